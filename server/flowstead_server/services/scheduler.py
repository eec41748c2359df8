"""Runs flows by their schedules."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, ClassVar

from flowstead_server.orchestration.scheduling import RunScheduler, Scheduled
from flowstead_server.services.loop import Service

if TYPE_CHECKING:
    from datetime import datetime

    from flowstead_server.db.database import Database
    from flowstead_server.domain.scheduling import SchedulingRules


class Scheduler(Service[Scheduled]):
    """Makes the runs of flows that are due, every five seconds. When none is, that is one look at an index.

    The first runs of a new schedule are made by the verb that sets it, at once.
    """

    name: ClassVar[str] = "scheduler"
    interval: float = 5.0
    first_wait: ClassVar[float | None] = 0.0
    level: ClassVar[int] = logging.DEBUG

    def __init__(self, database: Database, rules: SchedulingRules) -> None:
        """Take the database whose flows it runs."""
        super().__init__()
        self._scheduler = database.part(RunScheduler)
        self._scheduler.rules = rules

    async def run_once(self, now: datetime | None = None) -> Scheduled:
        """Make the runs that are due at `now` (default: the database's clock)."""
        return await self._scheduler.schedule_due(now)

    async def oldest_work(self) -> float:
        """Return for how many seconds a flow has been due."""
        return await self._scheduler.oldest_due()
