"""Keeps note of the times in which heartbeats can arrive, so that nobody is taken for dead who could not be heard."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from flowstead_server.orchestration.liveness import receive_heartbeats
from flowstead_server.services.loop import Service

if TYPE_CHECKING:
    from flowstead_server.db.database import Database
    from flowstead_server.domain.liveness import LivenessRules


@dataclass(frozen=True, slots=True)
class Received:
    """How often it was noted."""

    notes: int


class HeartbeatReception(Service[Received]):
    """Says three times per tolerated gap that this server receives. A server that hangs does not come to say it."""

    name: ClassVar[str] = "heartbeat_reception"
    level: ClassVar[int] = logging.DEBUG

    def __init__(self, database: Database, rules: LivenessRules) -> None:
        """Take the database whose runs send heartbeats here."""
        super().__init__()
        self.interval = rules.reception_gap.total_seconds() / 3
        self._database = database
        self._rules = rules

    async def run_once(self) -> Received:
        """Say it once."""
        await receive_heartbeats(self._database, self._rules)
        return Received(1)
