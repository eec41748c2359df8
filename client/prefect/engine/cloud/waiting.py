"""How a process waits for a run to become due, or for a slot, and for how long before it leaves that to the API."""

import math
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from prefect._generated import operations as ops
from prefect.engine.state import State
from prefect.utilities.datetimes import utcnow

if TYPE_CHECKING:
    from prefect.client import Client

__all__ = ["WAITED_FOR", "due_soon", "sleep_until", "wait_for_slot"]

WAITED_FOR = timedelta(minutes=10)
_SLICE = 60.0
_ASKED_FOR = 10
_PAUSE = 2.0


def due_soon(state: State) -> bool:
    """Return whether a state has a start time that is worth waiting for."""
    start = getattr(state, "start_time", None)
    return start is not None and bool(start <= utcnow() + WAITED_FOR)


def sleep_until(moment: Any) -> None:
    """Sleep until a moment; the clock may be set meanwhile."""
    while (seconds := (moment - utcnow()).total_seconds()) > 0:
        time.sleep(min(seconds, _SLICE))


def wait_for_slot(
    client: "Client", until: Any, *, flow_run_id: str | None = None, task_run_id: str | None = None
) -> None:
    """Wait until the API says that a run should ask for its slot of a concurrency limit again, or until a moment.

    An API that cannot be asked, or that does not know the question, lets the run wait until that moment.
    """
    while (seconds := (until - utcnow()).total_seconds()) > 0:
        question = ops.wait_for_slot(
            flow_run_id=flow_run_id, task_run_id=task_run_id, seconds=min(math.ceil(seconds), _ASKED_FOR)
        )
        try:
            if client.execute(question):
                return
        except Exception:
            time.sleep(min(seconds, _PAUSE))
