"""Runs everything at once, in the calling thread."""

from collections.abc import Callable
from typing import Any

from prefect.executors.base import Executor

__all__ = ["LocalExecutor"]


class LocalExecutor(Executor):
    """The default executor: submitting runs, futures are values."""

    def submit(
        self, fn: Callable[..., Any], *args: Any, extra_context: dict[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        """Return `fn(*args, **kwargs)`."""
        return fn(*args, **kwargs)

    def wait(self, futures: Any) -> Any:
        """Return the argument: everything has run already."""
        return futures
