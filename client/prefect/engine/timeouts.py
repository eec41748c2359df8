"""Run a function for at most so many seconds, by the hardest means that the place allows.

On the main thread an alarm interrupts the function; elsewhere it runs in a process of its own that is killed; where
neither is possible the caller goes on while the function's thread does too.  Each raises `TaskTimeoutSignal`.
"""

import contextlib
import multiprocessing
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import cloudpickle  # type: ignore[import-untyped]  # it has no type hints

from prefect.exceptions import TaskTimeoutSignal
from prefect.utilities.context import context
from prefect.utilities.logging import get_logger

__all__ = ["run_with_timeout"]

_BEGUN = b"\n"
_SLICE_SECONDS = 1.0
_CHILD = "from prefect.engine.timeouts import serve_child; serve_child()"


def run_with_timeout(function: Callable[..., Any], seconds: int | None, kwargs: dict[str, Any], name: str) -> Any:
    """Return `function(**kwargs)`; raises `TaskTimeoutSignal` if it takes longer than `seconds` (None: no limit)."""
    if not seconds:
        return function(**kwargs)
    if sys.platform != "win32" and threading.current_thread() is threading.main_thread():
        with _alarm(seconds):
            return function(**kwargs)
    if sys.platform != "win32" and not multiprocessing.current_process().daemon:
        return _in_process(function, seconds, kwargs, name)
    reason = "on Windows" if sys.platform == "win32" else "in a daemonic subprocess"
    return _in_thread(function, seconds, kwargs, name, reason)


@contextlib.contextmanager
def _alarm(seconds: int) -> Iterator[None]:
    def expire(signum: int, frame: FrameType | None) -> None:
        raise TaskTimeoutSignal("Execution timed out.")

    previous = signal.signal(signal.SIGALRM, expire)
    started = time.monotonic()
    outer, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        if outer:
            # A task around this one has a limit too, and less of it left now.
            signal.setitimer(signal.ITIMER_REAL, max(0.001, outer - (time.monotonic() - started)))


def _in_process(function: Callable[..., Any], seconds: int, kwargs: dict[str, Any], name: str) -> Any:
    get_logger("TaskRunner").debug("Task '%s': Attaching process based timeout handler...", name)
    payload = cloudpickle.dumps((function, kwargs, _picklable(context.__dict__)))
    # Not multiprocessing: its spawned children import the user's script again, guarded or not.
    child = subprocess.Popen(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    try:
        answer = _answer_in_time(child, payload, seconds)
    except subprocess.TimeoutExpired:
        raise TaskTimeoutSignal(f"Execution timed out for Task '{name}'.") from None
    finally:
        if child.poll() is None:
            child.kill()
            child.communicate()
    if not answer:
        raise RuntimeError(f"The process of Task '{name}' ended with exit code {child.returncode} and no result.")
    succeeded, value = cloudpickle.loads(answer)
    if succeeded:
        return value
    raise value


def _answer_in_time(child: "subprocess.Popen[bytes]", payload: bytes, seconds: float) -> bytes:
    assert child.stdin is not None
    assert child.stdout is not None
    with contextlib.suppress(BrokenPipeError), child.stdin as stdin:
        view = memoryview(payload)
        while view:
            view = view[stdin.write(view) :]
    child.stdin = None
    # The limit is the task's: how long a process takes to begin is not its fault.
    child.stdout.read(len(_BEGUN))
    deadline = time.monotonic() + seconds
    while True:
        left = deadline - time.monotonic()
        try:
            # In slices, because a thread that is to be interrupted notices that only between two of them.
            answer, _ = child.communicate(timeout=max(0.0, min(left, _SLICE_SECONDS)))
        except subprocess.TimeoutExpired:
            if left <= _SLICE_SECONDS:
                raise
        else:
            return answer


def _picklable(values: dict[str, Any]) -> dict[str, Any]:
    kept = {}
    for key, value in values.items():
        # The child has its own logger and settings; what else cannot travel it does without.
        if key not in {"logger", "config"}:
            with contextlib.suppress(Exception):
                cloudpickle.dumps(value)
                kept[key] = value
    return kept


def serve_child() -> None:
    """Run the pickled function from stdin and write its pickled outcome to stdout; the body of the child process."""
    import os  # noqa: PLC0415 - for this process only

    function, kwargs, values = cloudpickle.loads(sys.stdin.buffer.read())
    # What the function prints must not mix with the answer.
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    answer.write(_BEGUN)
    answer.flush()
    with context(values):
        context["logger"] = get_logger(values.get("task_full_name"))
        try:
            outcome: tuple[bool, Any] = (True, function(**kwargs))
        except BaseException as error:
            outcome = (False, error)
    try:
        data = cloudpickle.dumps(outcome)
        cloudpickle.loads(data)
    except Exception as error:
        data = cloudpickle.dumps(
            (False, RuntimeError(f"Failed to pickle result of type {type(outcome[1]).__name__!r}: {error!r}"))
        )
    answer.write(data)
    answer.close()


def _in_thread(function: Callable[..., Any], seconds: int, kwargs: dict[str, Any], name: str, reason: str) -> Any:
    get_logger("TaskRunner").debug(
        "Task '%s': Falling back to daemonic soft limit timeout handler because we are running %s.", name, reason
    )
    warnings.warn(
        f"This task is running {reason}; consequently Prefect can only enforce a soft timeout limit, i.e., if your "
        "Task reaches its timeout limit it will enter a TimedOut state but continue running in the background.",
        stacklevel=3,
    )
    values = dict(context.__dict__)
    outcome: list[tuple[bool, Any]] = []

    def work() -> None:
        with context(values):
            try:
                outcome.append((True, function(**kwargs)))
            except BaseException as error:
                outcome.append((False, error))

    thread = threading.Thread(target=work, name=f"prefect-timeout-{name}", daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise TaskTimeoutSignal(
            f"Execution timed out but was executed {reason} and will continue to run in the background."
        )
    succeeded, value = outcome[0]
    if succeeded:
        return value
    raise value
