"""The base of all services: a round of work, again and again, until the server stops.

A service says what one round is (`run_once`) and how often; the loop does the waiting, spreads processes apart, logs
what was done and what failed, and keeps the figures that the metrics show. A round that fails is tried again soon.
`stop` wakes a service that waits and cancels a round that is under way, so a round may end at any point where it waits.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Generic, TypeVar

from flowstead_server.domain.errors import ApiUnavailableError

logger = logging.getLogger(__name__)

_JITTER = 0.1
_RETRY_SECONDS = 10.0

Counts = TypeVar("Counts")


@dataclass(slots=True)
class Figures:
    """What a service has done since its process began; times in seconds.

    `counts`: the sums of what its rounds counted, by name. `last_success`: seconds of the epoch. `due`: when the round
    after the last successful one was to begin, by the clock of the event loop; null before the start.
    """

    rounds: int = 0
    failures: int = 0
    seconds: float = 0.0
    last_seconds: float = 0.0
    last_success: float | None = None
    due: float | None = None
    counts: dict[str, int] = field(default_factory=dict)

    def lag(self, now: float) -> float:
        """Return by how much the next round is late at `now`: it has not begun, it is still at work, or it fails."""
        return 0.0 if self.due is None else max(0.0, now - self.due)

    def add(self, counts: object) -> None:
        """Add what a round counted: the whole numbers among the members of a dataclass."""
        for name, value in counted(counts).items():
            self.counts[name] = self.counts.get(name, 0) + value


def counted(counts: object) -> dict[str, int]:
    """Return the whole numbers among the members of a dataclass instance, by name."""
    members = {member.name: getattr(counts, member.name) for member in fields(counts)}  # type: ignore[arg-type] # instance
    return {name: value for name, value in members.items() if type(value) is int}


class Service(ABC, Generic[Counts]):
    """Runs `run_once` every `interval` seconds. `Counts` is a frozen dataclass: what a round did, in whole numbers."""

    name: ClassVar[str]
    interval: float
    """Seconds from the start of one round to the next; up to a tenth more, so that processes drift apart."""

    first_wait: ClassVar[float | None] = None
    """Seconds before the first round; one interval unless given."""

    level: ClassVar[int] = logging.INFO
    """Level at which a round is logged that did something."""

    def __init__(self) -> None:
        self.figures = Figures()
        self._task: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()

    @abstractmethod
    async def run_once(self) -> Counts:
        """Do the work once and say what was done. May be cancelled at any point where it waits."""

    async def oldest_work(self) -> float | None:
        """Return for how many seconds the oldest work has been waiting, 0 if none does; null: nobody can say."""
        return None

    def start(self) -> None:
        """Begin with the rounds; the first one comes after `first_wait`."""
        self._task = asyncio.create_task(self._run(), name=self.name)

    def wake(self) -> None:
        """Let the next round begin now. During a round: let another one follow it at once."""
        self._woken.set()

    async def stop(self) -> None:
        """End the rounds; one that is under way is cancelled."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        wait = self.interval if self.first_wait is None else self.first_wait
        succeeded = True
        while True:
            wait *= 1 + random.random() * _JITTER  # noqa: S311 - spreads load, hides nothing
            if succeeded:
                self.figures.due = loop.time() + wait
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._woken.wait()
            self._woken.clear()
            begin = loop.time()
            succeeded = await self._round()
            took = loop.time() - begin
            self.figures.rounds += 1
            self.figures.seconds += took
            self.figures.last_seconds = took
            wait = max(0.0, self.interval - took) if succeeded else min(self.interval, _RETRY_SECONDS)

    async def _round(self) -> bool:
        try:
            counts: Any = await self.run_once()
            self.figures.add(counts)
        except Exception as error:
            self.figures.failures += 1
            if (away := _database_is_away(error)) is not None:
                # It concerns all services alike, and no traceback tells more.
                logger.warning("A round of %s failed: %s", self.name, away)
            else:
                logger.exception("A round of %s failed", self.name)
            return False
        self.figures.last_success = time.time()
        if done := {name: number for name, number in counted(counts).items() if number}:
            logger.log(self.level, "%s: %s", self.name, ", ".join(f"{name} {number}" for name, number in done.items()))
        return True


def _database_is_away(error: Exception) -> ApiUnavailableError | None:
    """Return the error that says so, if nothing else went wrong, in several tasks of a round or in one."""
    if isinstance(error, ApiUnavailableError):
        return error
    if isinstance(error, ExceptionGroup) and error.split(ApiUnavailableError)[1] is None:
        return _database_is_away(error.exceptions[0])
    return None
