"""What the agents of all platforms have in common: their settings, how they start and how signals end them.

An agent's `start()` blocks until Ctrl-C, SIGTERM, SIGHUP or the last of `max_polls`.  Bad arguments raise `AgentError`,
a key that the API refuses raises `prefect.exceptions.AuthorizationError`; an API that is away raises nothing, it is
waited for.
"""

import asyncio
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flowstead_agent.agent import Agent
from flowstead_agent.api import AgentApi
from flowstead_agent.console import agent_logger
from flowstead_agent.environment import ApiAccess
from flowstead_agent.errors import AgentError, AgentRefusedError
from flowstead_agent.health import parsed_address, serve_health
from flowstead_agent.labels import checked_labels
from flowstead_agent.launchers.protocol import Launcher
from flowstead_agent.settings import AgentSettings
from prefect.client.auth import load_auth
from prefect.client.session import AsyncSession, Session
from prefect.configuration import config
from prefect.exceptions import AuthorizationError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PlatformAgent"]


class PlatformAgent(ABC):
    """An agent of some platform, which its subclass names by the launcher that it makes.

    - agent_config_id: id of an agent config that the agent is linked to
    - name, labels, env_vars, agent_address: default to the settings under `cloud.agent`
    - max_polls: how often to ask for work before ending; None for ever
    - no_cloud_logs: true keeps the logs of flow runs from the API; None decides by `cloud.send_flow_run_logs`
    - max_concurrent: how many flow runs may be claimed or running at the same time; None for as many as come. A flow
      that waits for its child runs takes a place while it waits
    - grace_seconds: seconds between SIGTERM and SIGKILL for the processes of a run that is cancelled
    """

    def __init__(
        self,
        agent_config_id: str | None = None,
        name: str | None = None,
        labels: Iterable[str] | None = None,
        env_vars: Mapping[str, Any] | None = None,
        max_polls: int | None = None,
        agent_address: str | None = None,
        no_cloud_logs: bool | None = None,
        max_concurrent: int | None = None,
        grace_seconds: float | None = None,
    ) -> None:
        self.name = name or config.cloud.agent.get("name") or "agent"
        self.labels = self._checked_labels(labels or config.cloud.agent.get("labels") or [])
        self.env_vars = dict(env_vars or config.cloud.agent.get("env_vars") or {})
        self.agent_config_id = agent_config_id
        self.max_polls = max_polls
        self.agent_address = agent_address or config.cloud.agent.get("agent_address") or None
        self.log_to_cloud = bool(config.cloud.send_flow_run_logs) if no_cloud_logs is None else not no_cloud_logs
        self.max_concurrent = _checked_limit(max_concurrent or config.cloud.agent.get("max_concurrent") or None)
        grace = config.cloud.agent.get("grace_seconds", 10.0) if grace_seconds is None else grace_seconds
        self.grace_seconds = max(0.0, float(grace))
        self.access = _access()
        try:
            self.logger = agent_logger(self.name, str(config.cloud.agent.get("level") or "INFO"), config.logging.format)
        except ValueError as error:
            raise AgentError(f"The log level of the agent is no level: {error}.") from error
        self.logger.debug("Environment variables: %s", sorted(self.env_vars))
        self.logger.debug("Max polls: %s", self.max_polls)
        self.logger.debug("Agent address: %s", self.agent_address)
        self.logger.debug("Log to Cloud: %s", self.log_to_cloud)
        self.logger.debug("Prefect backend: %s", self.access.backend)

    def start(self) -> None:
        """Serve until a signal or the last poll.  Raises `AuthorizationError` if the API refuses the agent's key."""
        try:
            asyncio.run(self._run())
        except AgentRefusedError as error:
            raise AuthorizationError(str(error)) from error

    @abstractmethod
    def _launcher(self) -> Launcher:
        """Return what starts flow runs on the platform; called once, in the event loop."""

    def _checked_labels(self, labels: Iterable[str]) -> list[str]:
        return checked_labels(labels)

    async def _run(self) -> None:
        access = self.access
        settings = AgentSettings(
            kind=type(self).__name__,
            name=self.name,
            labels=self.labels,
            agent_config_id=self.agent_config_id,
            max_polls=self.max_polls,
            max_concurrent=self.max_concurrent,
            grace_seconds=self.grace_seconds,
        )
        session = AsyncSession(api_key=access.api_key, tenant_id=access.tenant_id)
        agent = Agent(
            settings,
            AgentApi(session, self.labels, access.tenant_id),
            self._launcher(),
            self.logger,
            Session(api_key=access.api_key, tenant_id=access.tenant_id),
        )
        stop = asyncio.Event()
        with self._stopped_by_signals(stop):
            if self.agent_address is None:
                await agent.run(stop)
                return
            async with serve_health(*parsed_address(self.agent_address), agent.poke) as port:
                self.logger.debug("Agent API server listening on port %d", port)
                await agent.run(stop)

    @contextmanager
    def _stopped_by_signals(self, stop: asyncio.Event) -> "Iterator[None]":
        if threading.current_thread() is not threading.main_thread():
            # Signals are the main thread's; an agent elsewhere is stopped by its owner.
            yield
            return
        loop = asyncio.get_running_loop()

        def end(number: signal.Signals) -> None:
            if number is signal.SIGINT:
                self.logger.info("Keyboard interrupt received! Shutting down...")
            else:
                self.logger.info("%s received! Shutting down...", number.name)
            stop.set()

        # A closed terminal is no crash: what is claimed goes back at once. But `nohup` ignores SIGHUP, which stays so.
        numbers = [
            number
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
            if signal.getsignal(number) is not signal.SIG_IGN
        ]
        for number in numbers:
            loop.add_signal_handler(number, end, number)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)


def _checked_limit(limit: int | None) -> int | None:
    if limit is not None and limit < 1:
        raise AgentError(f"An agent runs at least 1 flow run at a time, but max_concurrent is {limit}.")
    return limit


def _access() -> ApiAccess:
    url = str(config.cloud.api)
    remembered = load_auth(url)
    return ApiAccess(
        url=url,
        backend=str(config.backend),
        api_key=config.cloud.get("api_key") or remembered.get("api_key"),
        tenant_id=config.cloud.get("tenant_id") or remembered.get("tenant_id"),
    )
