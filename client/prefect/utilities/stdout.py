"""Redirect what one thread prints, whatever the others do.

While anything is redirected, `sys.stdout` is an object that asks who is writing.  A thread without a redirection of its
own, such as one that a task started, writes to the only one there is, or else to the real stdout.
"""

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import Any

__all__ = ["redirect_thread_stdout"]

_lock = threading.Lock()


class _Switch:
    def __init__(self, original: Any) -> None:
        self._original = original
        self._own = threading.local()
        self._redirections: list[Any] = []

    def _target(self) -> Any:
        own = getattr(self._own, "stream", None)
        if own is not None:
            return own
        redirections = self._redirections
        return redirections[0] if len(redirections) == 1 else self._original

    def write(self, text: str) -> Any:
        return self._target().write(text)

    def flush(self) -> None:
        self._target().flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target(), name)

    def enter(self, stream: Any) -> Any:
        outer = getattr(self._own, "stream", None)
        self._own.stream = stream
        self._redirections.append(stream)
        return outer

    def leave(self, stream: Any, outer: Any) -> None:
        self._own.stream = outer
        self._redirections.remove(stream)
        if not self._redirections and sys.stdout is self:
            sys.stdout = self._original


@contextlib.contextmanager
def redirect_thread_stdout(stream: Any) -> Iterator[None]:
    """Send what the calling thread writes to `sys.stdout` in the block to `stream`."""
    with _lock:
        switch: Any = sys.stdout
        if not isinstance(switch, _Switch):
            switch = sys.stdout = _Switch(sys.stdout)  # type: ignore[assignment]  # it forwards what streams have
        outer = switch.enter(stream)
    try:
        yield
    finally:
        with _lock:
            switch.leave(stream, outer)
