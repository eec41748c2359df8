"""An agent put together: registers, starts its loops, and ends in good order.

The API being away holds up the registration and every loop, and ends none; a key that the API refuses ends the agent
with `AgentRefusedError`.  A stop lets launches that have begun succeed, hands back what has not started, and leaves
running processes alone.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from flowstead_agent.api import AgentApi
from flowstead_agent.cancelling import cancel_all
from flowstead_agent.clock import ApiClock
from flowstead_agent.console import BANNER
from flowstead_agent.deployments import Deployments
from flowstead_agent.errors import AgentError, ApiError, ApiRejectedError
from flowstead_agent.launchers.protocol import Launcher, Reporting
from flowstead_agent.logs.run_log import RunLog
from flowstead_agent.loops.claim import Claiming
from flowstead_agent.loops.keep_alive import keep_alive
from flowstead_agent.loops.poll import Ladder, poll
from flowstead_agent.loops.subscribe import Subscribed, subscribe
from flowstead_agent.loops.wake import WakeUp
from flowstead_agent.outage import Backoff, Outage
from flowstead_agent.outbox import Outbox
from flowstead_agent.settings import AgentSettings
from prefect.client.session import Session
from prefect.utilities.outbox import outbox_directory

__all__ = ["Agent"]


class Agent:
    """One agent with one launcher.  Belongs to one event loop; `run` is called once."""

    def __init__(
        self,
        settings: AgentSettings,
        api: AgentApi,
        launcher: Launcher,
        logger: logging.Logger,
        session: Session,
    ) -> None:
        self._settings = settings
        self._api = api
        self._launcher = launcher
        self._logger = logger
        self._outage = Outage(logger, session.endpoint.url)
        self._outbox = Outbox(outbox_directory(), session, self._outage, logger)
        clock = ApiClock()
        self._wake = WakeUp(clock)
        self._ladder = Ladder()
        self._log = RunLog(api, settings.name, self._outbox, self._outage, logger)
        if isinstance(launcher, Reporting):
            launcher.report_to(self._log.note)
        self._claiming = Claiming(settings, api, self._wake, self._ladder, self._outage, logger, clock, self._register)
        self._deployments = Deployments(
            settings, api, launcher, self._log, self._outbox, self._outage, logger, clock, self._claiming.room_again
        )
        self._claiming.serve(self._deployments)

    def poke(self) -> None:
        """Look for work now."""
        self._wake.now()

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set or the last poll is done.  Raises `AgentRefusedError`."""
        stopping = asyncio.ensure_future(stop.wait())
        try:
            # Whoever has got this far needs the launcher; whoever waits for the API may as well get it ready.
            if await self._unless(stopping, self._start()):
                await self._serve(stopping)
        finally:
            stopping.cancel()
            self._wake.close()
            await self._launcher.close()
            await self._api.close()
            self._outbox.close()

    async def _start(self) -> None:
        await asyncio.gather(self._launcher.start(), self._register())
        labels = list(self._settings.labels)
        print(BANNER, flush=True)  # noqa: T201 - the banner is no log line
        self._logger.info("Starting %s with labels %s", self._settings.kind, labels)
        self._logger.info("Waiting for flow runs...")

    async def _register(self) -> None:
        settings = self._settings
        backoff = Backoff()
        if settings.agent_config_id is None:
            self._logger.info("Registering agent...")
        else:
            self._logger.info("Registering agent with config %s...", settings.agent_config_id)
        while True:
            try:
                agent_id = await self._api.register(settings.kind, settings.name, settings.agent_config_id)
            except ApiRejectedError as error:
                raise AgentError(f"The API refuses to register this agent: {error}") from error
            except ApiError as error:
                self._outage.failed(error)
                await asyncio.sleep(backoff.pause())
            else:
                break
        self._outage.succeeded()
        self._logger.info("Registration successful!")
        self._logger.debug("Assigned agent id: %s", agent_id)

    async def _serve(self, stopping: "asyncio.Future[Any]") -> None:
        settings = self._settings
        subscribed = Subscribed()
        helpers = _tasks(
            run_log=self._log.run(),
            outbox=self._outbox.run(),
            platform=self._launcher.watch(),
            keep_alive=keep_alive(self._api, self._deployments, self._outage, settings.lease_seconds),
        )
        producers = _tasks(
            poll=poll(self._wake, self._ladder, subscribed, settings.poll_seconds),
            subscribe=subscribe(
                self._api,
                self._wake,
                subscribed,
                self._deployments,
                self._outage,
                self._logger,
                lead_seconds=settings.prefetch_seconds / 2,
            ),
        )
        claiming = asyncio.create_task(self._claiming.run(), name="claim")
        try:
            await asyncio.wait([stopping, claiming, *helpers, *producers], return_when=asyncio.FIRST_COMPLETED)
            for task in (*helpers, *producers):
                if task.done():
                    task.result()  # raises: these loops have no other end
        finally:
            await cancel_all(producers)
            await self._end(claiming)
            await cancel_all(helpers)
        claiming.result()

    async def _end(self, claiming: "asyncio.Task[None]") -> None:
        settings = self._settings
        if claiming.done() and claiming.exception() is None:
            # The last poll is done, and what it found is to be started.
            await self._deployments.drain()
        self._claiming.stop()
        # What is being claimed in this moment would be lost for as long as its lease lasts.
        await asyncio.wait([claiming], timeout=settings.stop_seconds)
        if not claiming.done():
            await cancel_all([claiming])
        await self._deployments.hand_back(settings.stop_seconds)
        await self._deployments.close(settings.stop_seconds)
        await self._log.flush(settings.stop_seconds)

    @staticmethod
    async def _unless(stopping: "asyncio.Future[Any]", work: Coroutine[Any, Any, None]) -> bool:
        """Do `work` and return True, or return False as soon as the agent is to stop."""
        task = asyncio.ensure_future(work)
        await asyncio.wait([stopping, task], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
            return True
        await cancel_all([task])
        return False


def _tasks(**loops: Coroutine[Any, Any, None]) -> "list[asyncio.Task[None]]":
    return [asyncio.create_task(loop, name=name) for name, loop in loops.items()]
