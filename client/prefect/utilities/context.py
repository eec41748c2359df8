"""`prefect.context`: what a running task or flow may know about its run; one independent copy per thread.

A new thread starts with the `[context]` section of the configuration and `config`, nothing else.  Calling the context
overlays values for a block and restores exactly what was there before, also when the block raises.
"""

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from prefect.configuration import config
from prefect.utilities.collections import DotDict, merge_dicts

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

__all__ = ["Context", "context"]


class Context(DotDict, threading.local):
    """A thread-local mapping with attribute access; see the module's docstring."""

    def __init__(self) -> None:
        super().__init__()
        self._seed()

    def _seed(self) -> None:
        self.__dict__.update((config.get("context") or {}).copy())
        self.__dict__.setdefault("secrets", {})
        self.__dict__["config"] = config

    def reset(self) -> None:
        """Forget everything in this thread's context but what the configuration puts there."""
        self.__dict__.clear()
        self._seed()
        self.__dict__["logger"] = _root_logger()

    @contextlib.contextmanager
    def __call__(self, *args: Any, **kwargs: Any) -> "Iterator[Context]":
        """Overlay a mapping and keyword arguments for a block; a `config` entry is merged into the current one."""
        previous = self.__dict__.copy()
        try:
            new = dict(*args, **kwargs)
            overlay = new.get("config")
            if overlay is not None and overlay is not self.__dict__.get("config"):
                current: MutableMapping[str, Any] = self.__dict__.get("config") or config
                new["config"] = merge_dicts(current, overlay)
            self.update(new)
            yield self
        finally:
            self.__dict__.clear()
            self.__dict__.update(previous)

    def __getstate__(self) -> None:
        raise TypeError(
            "Pickling context objects is explicitly not supported. Access context values inside the function that "
            "needs them, and pass plain values across processes."
        )

    def __reduce__(self) -> Any:
        return self.__getstate__()

    def __repr__(self) -> str:
        return "<Context>"


def _root_logger() -> Any:
    import logging  # noqa: PLC0415 - the context is imported before logging is configured

    return logging.getLogger("prefect")


context = Context()
