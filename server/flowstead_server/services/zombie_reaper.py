"""Finds runs whose process is dead, ends their claim, and retries or fails the task runs that were under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from flowstead_server.orchestration.liveness import Reaped, reap_dead_runs
from flowstead_server.services.loop import Service

if TYPE_CHECKING:
    from flowstead_server.db.database import Database
    from flowstead_server.domain.liveness import LivenessRules


class ZombieReaper(Service[Reaped]):
    """Looks for the dead every `interval` seconds."""

    name: ClassVar[str] = "zombie_reaper"

    def __init__(self, database: Database, rules: LivenessRules, interval: float) -> None:
        """Take the database whose runs they are, and what counts as dead."""
        super().__init__()
        self.interval = interval
        self._database = database
        self._rules = rules

    async def run_once(self) -> Reaped:
        """Look once; returns what was found."""
        return await reap_dead_runs(self._database, self._rules)
