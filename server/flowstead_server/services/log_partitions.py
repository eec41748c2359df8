"""Keeps partitions of the log table ready for the days to come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from flowstead_server.orchestration.logs import ensure_log_partitions
from flowstead_server.services.loop import Service

if TYPE_CHECKING:
    from flowstead_server.db.database import Database


@dataclass(frozen=True, slots=True)
class MadePartitions:
    """How many partitions were missing."""

    partitions: int


class LogPartitions(Service[MadePartitions]):
    """Makes missing partitions every hour. Lines without one are not lost: they wait in the default partition."""

    name: ClassVar[str] = "log_partitions"
    interval: float = 3600.0

    def __init__(self, database: Database) -> None:
        """Take the database whose log table it is."""
        super().__init__()
        self._database = database

    async def run_once(self) -> MadePartitions:
        """Make the partitions from today on."""
        return MadePartitions(await ensure_log_partitions(self._database))
