"""Tells the receivers of cloud hooks what has happened."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from flowstead_server.orchestration.hook_deliveries import (
    Delivered,
    Forgotten,
    HookDeliverer,
    forget_old_deliveries,
    oldest_due_delivery,
)
from flowstead_server.services.loop import Service

if TYPE_CHECKING:
    from flowstead_server.db.database import Database
    from flowstead_server.pubsub.hub import Hub

logger = logging.getLogger(__name__)

# Hints come with every change of any run. Looks at the outbox are so far apart (seconds), more if nothing was found.
_LEAST_GAP = 0.005
_MOST_GAP = 0.2


class Hooks(Service[Delivered]):
    """Delivers what is due at once after a hint, and looks every five seconds without one.

    What a round leaves under way goes on, and wakes the next one when it is done.
    """

    name: ClassVar[str] = "hooks"
    interval: float = 5.0
    first_wait: ClassVar[float | None] = 0.0
    level: ClassVar[int] = logging.DEBUG

    def __init__(self, database: Database, hub: Hub) -> None:
        """Take the database whose events they are, and where hints about changed runs arrive."""
        super().__init__()
        self._database = database
        self._deliverer = database.part(HookDeliverer)
        self._hub = hub
        self._follower: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin with the rounds, and to follow hints."""
        super().start()
        self._follower = asyncio.create_task(self._follow(), name="hooks-hints")

    async def stop(self) -> None:
        """End the rounds. What is being sent has a moment to end."""
        if self._follower is not None:
            self._follower.cancel()
            with suppress(asyncio.CancelledError):
                await self._follower
            self._follower = None
        await super().stop()
        await self._deliverer.close()

    async def run_once(self) -> Delivered:
        """Deliver what is due; returns what was done until now."""
        done = await self._deliverer.deliver_due()
        if done.dead:
            logger.warning("Events of cloud hooks that are given up: %d; cloud_hook_delivery says why.", done.dead)
        if self._deliverer.busy:
            self.wake()
        return done

    async def oldest_work(self) -> float:
        """Return for how many seconds a delivery has been due."""
        return await oldest_due_delivery(self._database)

    async def _follow(self) -> None:
        gap = _LEAST_GAP
        with self._hub.follow_changes() as changes:
            while True:
                if not await changes.wait(self.interval):
                    continue
                changes.take()
                before = self._deliverer.events
                self._deliverer.look()
                self.wake()
                await asyncio.sleep(gap)
                gap = _LEAST_GAP if self._deliverer.events > before else min(2 * gap, _MOST_GAP)


class HookCleaning(Service[Forgotten]):
    """Forgets old deliveries every ten minutes."""

    name: ClassVar[str] = "hook_cleaning"
    interval: float = 600.0

    def __init__(self, database: Database) -> None:
        """Take the database whose deliveries they are."""
        super().__init__()
        self._database = database

    async def run_once(self) -> Forgotten:
        """Forget what is old enough."""
        return await forget_old_deliveries(self._database)
