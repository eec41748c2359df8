"""The base of all services: a round of work, again and again, until the server stops."""

from __future__ import annotations

import asyncio
import logging
import random
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import ClassVar

logger = logging.getLogger(__name__)

_JITTER = 0.1
_RETRY_SECONDS = 10.0


class Service(ABC):
    """Runs `round` every `interval` seconds. A round that fails is logged and tried again soon."""

    name: ClassVar[str]
    interval: float
    """Seconds from the start of one round to the next; up to a tenth more, so that processes drift apart."""

    first_wait: ClassVar[float | None] = None
    """Seconds before the first round; one interval unless given."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def round(self) -> None:
        """Do the work once. May be cancelled at any point where it waits."""

    def start(self) -> None:
        """Begin with the rounds; the first one comes after `first_wait`."""
        self._task = asyncio.create_task(self._run(), name=self.name)

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
        while True:
            await asyncio.sleep(wait * (1 + random.random() * _JITTER))  # noqa: S311 - spreads load, hides nothing
            begin = loop.time()
            try:
                await self.round()
            except Exception:
                logger.exception("A round of %s failed", self.name)
                wait = min(self.interval, _RETRY_SECONDS)
            else:
                wait = max(0.0, self.interval - (loop.time() - begin))
