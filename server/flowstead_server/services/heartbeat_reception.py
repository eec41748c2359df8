"""Keeps note of the times in which heartbeats can arrive, so that nobody is taken for dead who could not be heard."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from flowstead_server.orchestration.liveness import receive_heartbeats
from flowstead_server.services.loop import Service

if TYPE_CHECKING:
    from flowstead_server.db.database import Database
    from flowstead_server.domain.liveness import LivenessRules


class HeartbeatReception(Service):
    """Says three times per tolerated gap that this server receives. A server that hangs does not come to say it."""

    name: ClassVar[str] = "heartbeat_reception"

    def __init__(self, database: Database, rules: LivenessRules) -> None:
        """Take the database whose runs send heartbeats here."""
        super().__init__()
        self.interval = rules.reception_gap.total_seconds() / 3
        self._database = database
        self._rules = rules

    async def round(self) -> None:
        """Say it once."""
        await receive_heartbeats(self._database, self._rules)
