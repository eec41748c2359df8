"""Forgets the ids of log batches that nobody will send again."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from flowstead_server.orchestration.logs import forget_log_batches
from flowstead_server.services.loop import Service

if TYPE_CHECKING:
    from flowstead_server.db.database import Database


class LogBatches(Service):
    """Forgets old ids every ten minutes, so that their table stays small. The first round leaves clients that waited
    for the server the time to send their last batch again.
    """

    name: ClassVar[str] = "log_batches"
    interval: float = 600.0

    def __init__(self, database: Database) -> None:
        """Take the database whose log it is."""
        super().__init__()
        self._database = database

    async def round(self) -> None:
        """Forget what is old enough."""
        await forget_log_batches(self._database)
