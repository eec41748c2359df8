"""Forgets the ids of log batches that nobody will send again."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from flowstead_server.orchestration.logs import forget_log_batches
from flowstead_server.services.loop import Service

if TYPE_CHECKING:
    from flowstead_server.db.database import Database


@dataclass(frozen=True, slots=True)
class ForgottenBatches:
    """How many ids were forgotten."""

    batches: int


class LogBatches(Service[ForgottenBatches]):
    """Forgets old ids every ten minutes, so that their table stays small. After an outage it leaves clients, which
    waited for the server, the time to send their last batch again.
    """

    name: ClassVar[str] = "log_batches"
    interval: float = 600.0
    level: ClassVar[int] = logging.DEBUG

    def __init__(self, database: Database) -> None:
        """Take the database whose log it is."""
        super().__init__()
        self._database = database

    async def run_once(self) -> ForgottenBatches:
        """Forget what is old enough."""
        return ForgottenBatches(await forget_log_batches(self._database))
