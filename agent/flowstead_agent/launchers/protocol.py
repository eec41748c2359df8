"""What the rest of the agent knows about a platform: the protocol of launchers and what they return.

A launcher knows neither loops nor the API.  `LaunchError` is the only error that `launch` raises for a run that
cannot be started; `LaunchOutcomeUnknownError` says that it may have been.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

__all__ = ["ClaimedRun", "Ended", "Launched", "Launcher", "Note", "Reporting"]


@dataclass(frozen=True, slots=True)
class ClaimedRun:
    """A flow run that this agent has claimed and nobody else may start."""

    flow_run_id: str
    name: str | None
    version: int
    """the version of the run after the claim"""
    claim_token: str
    start_time: datetime
    """when to start, aware; may be in the future"""
    restart: bool
    """the run was Running, and one of its task runs is due for a retry"""
    flow_id: str
    run_config: Mapping[str, Any] | None = None
    storage: Mapping[str, Any] | None = None
    flow_name: str = ""
    core_version: str | None = None
    """the version of the library that registered the flow"""


@dataclass(frozen=True, slots=True)
class Ended:
    """How what was launched came to its end."""

    ok: bool
    """whether it ended by itself and reported no failure"""
    reason: str
    """one sentence, for the run's state and log, that says what ended and how"""
    output: str
    """the last of what it printed, empty if nothing or unknown"""


@dataclass(frozen=True, slots=True)
class Note:
    """What a platform has to say about a run, for the run's log."""

    timestamp: datetime
    """when it happened, aware"""
    logger: str
    level: str
    """the name of a logging level"""
    message: str


class Launched(Protocol):
    """A run on its platform."""

    @property
    def description(self) -> str:
        """What the run's log calls it, such as `PID: 123`."""
        ...

    @property
    def ended(self) -> Awaitable[Ended]:
        """How it ended; may be awaited by several tasks, at any time, and cancelled without effect on the run."""
        ...

    async def terminate(self, grace_seconds: float) -> str:
        """End it with all that it has started: politely, and by force after `grace_seconds`.

        Returns when it has ended, with what was ended and how: the middle of a sentence for the run's log.
        """
        ...


class Launcher(Protocol):
    """Starts runs on one platform."""

    async def start(self) -> None:
        """Get ready; called once, before the first launch.  Raises `AgentError` if the platform is not usable."""
        ...

    async def launch(self, claimed: ClaimedRun) -> Launched:
        """Start a run.  Raises `LaunchError`, or `LaunchOutcomeUnknownError`."""
        ...

    async def watch(self) -> None:
        """Look after the platform for as long as the agent lives.  Raises `AgentError` if it is gone for good."""
        ...

    async def close(self) -> None:
        """Let go of everything; what was launched goes on."""
        ...


@runtime_checkable
class Reporting(Protocol):
    """A launcher that has something to say about runs while they go on."""

    def report_to(self, write: Callable[[ClaimedRun, Note], None]) -> None:
        """Hand what there is to say to `write`, in the event loop; called once, before `start`."""
        ...
