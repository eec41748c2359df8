"""Forgets logs and finished runs that are old enough, by the rules of the server and of each project."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from flowstead_server.orchestration.retention import Forgotten, Retention
from flowstead_server.services.loop import Service

if TYPE_CHECKING:
    from datetime import datetime

    from flowstead_server.db.database import Database


class RetentionService(Service[Forgotten]):
    """Looks every `interval` seconds. Soon after the start too, because some servers do not run for an hour."""

    name: ClassVar[str] = "retention"
    first_wait: ClassVar[float | None] = 60.0

    def __init__(self, database: Database, interval: float) -> None:
        """Take the database; the rules are those of its part `Retention`."""
        super().__init__()
        self.interval = interval
        self._retention = database.part(Retention)

    async def run_once(self, now: datetime | None = None) -> Forgotten:
        """Forget what is old enough at `now` (default: the database's clock)."""
        return await self._retention.forget(now)
