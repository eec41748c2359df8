"""Puts runs back into the queue that should go on but have nothing left that would make them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from flowstead_server.orchestration.liveness import Resurrected, resurrect_lost_runs
from flowstead_server.services.loop import Service

if TYPE_CHECKING:
    from flowstead_server.db.database import Database
    from flowstead_server.domain.liveness import LivenessRules


class Lazarus(Service[Resurrected]):
    """Looks for lost runs every `interval` seconds."""

    name: ClassVar[str] = "lazarus"

    def __init__(self, database: Database, rules: LivenessRules, interval: float) -> None:
        """Take the database whose runs they are, and how often one may be put back."""
        super().__init__()
        self.interval = interval
        self._database = database
        self._rules = rules

    async def run_once(self) -> Resurrected:
        """Look once; returns what was found."""
        return await resurrect_lost_runs(self._database, self._rules)
