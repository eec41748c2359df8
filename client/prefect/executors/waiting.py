"""Wait for what others do, so that Ctrl-C and a cancelled run end the wait at once and cleanly."""

import _thread
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from prefect.utilities.context import context

__all__ = ["call_interruptibly"]

T = TypeVar("T")


def call_interruptibly(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Return `function(*args, **kwargs)`, which runs in a thread that an interrupted main thread leaves behind.

    Waiting on queues and conditions, as dask does, can lose a `KeyboardInterrupt` or turn it into a `RuntimeError` if
    it comes between two of their steps; waiting for one lock cannot.
    """
    if threading.current_thread() is not threading.main_thread():
        return function(*args, **kwargs)
    outcome: list[tuple[bool, Any]] = []
    values = dict(context.__dict__)
    done = threading.Lock()
    done.acquire()

    def work() -> None:
        try:
            with context(values):
                outcome.append((True, function(*args, **kwargs)))
        except BaseException as error:
            outcome.append((False, error))
        finally:
            done.release()

    # Not `threading.Thread`, whose start waits on a condition.
    _thread.start_new_thread(work, ())
    done.acquire()
    succeeded, value = outcome[0]
    if not succeeded:
        raise value
    result: T = value
    return result
