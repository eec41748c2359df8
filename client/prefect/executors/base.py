"""The protocol of executors.

An executor starts, takes functions, and gives back futures that `wait` turns into values.  What a submitted function
raises, `wait` raises.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from prefect.utilities.logging import get_logger

if TYPE_CHECKING:
    import logging

__all__ = ["Executor"]


class Executor:
    """The base of executors; subclasses override `submit` and `wait`, and `start` if they hold resources."""

    @property
    def logger(self) -> "logging.Logger":
        """The logger `prefect.{class name}`."""
        return get_logger(type(self).__name__)

    @contextlib.contextmanager
    def start(self) -> Iterator[Any]:
        """Hold what is needed to run functions while the block runs."""
        yield self

    def submit(
        self, fn: Callable[..., Any], *args: Any, extra_context: dict[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        """Return a future of `fn(*args, **kwargs)`; futures among the arguments are resolved first.

        `extra_context` (`task_name`, `task_tags`, `task_index`, and `urgent` for what the caller is about to wait for)
        is for names, resources and order, not for the function.
        """
        raise NotImplementedError

    def submit_each(
        self, fn: Callable[..., Any], calls: Iterable[tuple[Any, ...]], extra_context: dict[str, Any]
    ) -> list[Any]:
        """Return a future of `fn(*call)` for every call, in order; its number is the `task_index`."""
        return [
            self.submit(fn, *call, extra_context={**extra_context, "task_index": index})
            for index, call in enumerate(calls)
        ]

    def share(self, make: Callable[..., Any], **kwargs: Any) -> Any:
        """Return a future of `make(**kwargs)`: cheap to make, and an argument of many calls."""
        return self.submit(make, **kwargs)

    def wait(self, futures: Any) -> Any:
        """Return the same structure of dictionaries and lists with values in the place of futures."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<Executor: {type(self).__name__}>"
