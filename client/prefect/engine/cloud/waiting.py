"""How long a process waits for a run to become due, before it leaves that to the API."""

import time
from datetime import timedelta
from typing import Any

from prefect.engine.state import State
from prefect.utilities.datetimes import utcnow

__all__ = ["WAITED_FOR", "due_soon", "sleep_until"]

WAITED_FOR = timedelta(minutes=10)
_SLICE = 60.0


def due_soon(state: State) -> bool:
    """Return whether a state has a start time that is worth waiting for."""
    start = getattr(state, "start_time", None)
    return start is not None and bool(start <= utcnow() + WAITED_FOR)


def sleep_until(moment: Any) -> None:
    """Sleep until a moment; the clock may be set meanwhile."""
    while (seconds := (moment - utcnow()).total_seconds()) > 0:
        time.sleep(min(seconds, _SLICE))
