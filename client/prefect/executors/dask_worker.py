"""What the workers of a Dask cluster do for `DaskExecutor`.

A call never ends its worker: what would do so comes back as a value.
"""

import threading
import time
from typing import Any

from prefect.executors.deferred import Call, Raised, Unsendable

__all__ = ["run_on_worker"]


def run_on_worker(call: Call | Unsendable, values: list[Any], event_name: str | None = None) -> Any:
    """Make a call on a worker, unless the run was cancelled; what would end the worker comes back as a value."""
    for value in values:
        if isinstance(value, Raised):
            return value
    if event_name is not None and _cancellations.is_set(event_name):
        return Raised(KeyboardInterrupt())
    try:
        return call(values)
    except (KeyboardInterrupt, SystemExit) as error:
        return Raised(error)


class _Cancellations:
    """What this worker knows of cancelled runs; it asks the scheduler at most every so often, not for every task."""

    _PAUSE_SECONDS = 0.2

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, bool]] = {}

    def is_set(self, name: str) -> bool:
        """Return whether the event with this name was set a moment ago."""
        asked, answer = self._known.get(name, (0.0, False))
        now = time.monotonic()
        if answer or now - asked < self._PAUSE_SECONDS:
            return answer
        import distributed  # noqa: PLC0415 - this is a worker, which has it

        answer = bool(distributed.Event(name, client=distributed.get_client()).is_set())
        with self._lock:
            if name not in self._known:
                # Runs that are over are not asked about again.
                self._known.clear()
            self._known[name] = (time.monotonic(), answer)
        return answer


_cancellations = _Cancellations()
