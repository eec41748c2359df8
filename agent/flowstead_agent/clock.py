"""The time of the API's database, by which runs are due: the clock of the agent's machine may be wrong, or jump.

Answers tell the time, and a clock that never jumps counts on from there.  Before the first answer it is the machine's.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

__all__ = ["ApiClock"]

# After so long an answer is believed whatever it says: the database's own clock may have been set.
_BELIEVED_SECONDS = 60.0


class ApiClock:
    """Tells the database's time, late by what the quickest of the last answers took to come, never early."""

    def __init__(self, count: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._ahead: float | None = None
        self._heard_at = 0.0

    def heard(self, moment: datetime) -> None:
        """Note the time (aware) that an answer told, which has come just now."""
        count = self._count()
        ahead = moment.timestamp() - count
        if self._ahead is None or ahead > self._ahead or count - self._heard_at > _BELIEVED_SECONDS:
            self._ahead = ahead
            self._heard_at = count

    def now(self) -> datetime:
        """Return the time, aware."""
        if self._ahead is None:
            return datetime.now(UTC)
        return datetime.fromtimestamp(self._count() + self._ahead, UTC)

    def seconds_until(self, moment: datetime) -> float:
        """Return how many seconds are left until a moment (aware); negative if it is past."""
        return (moment - self.now()).total_seconds()
