"""Arguments of `Task` as it keeps them: checked, with clear errors, and in one form."""

import collections.abc
import warnings
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from prefect.utilities.context import context

__all__ = ["exception_types", "handler_list", "tag_set", "whole_seconds"]


def tag_set(tags: Iterable[str] | None) -> set[str]:
    """Return the tags together with those of the context; raises `TypeError` for a string."""
    if isinstance(tags, str):
        raise TypeError("Tags should be a set of tags, not a string.")
    return set(tags or ()) | set(context.get("tags") or ())


def handler_list(
    state_handlers: Iterable[Callable[..., Any]] | None, on_failure: Callable[..., Any] | None
) -> list[Callable[..., Any]]:
    """Return the state handlers, and one for failures; raises `TypeError` for what is no list of them."""
    if state_handlers is not None and not isinstance(state_handlers, collections.abc.Sequence):
        raise TypeError("state_handlers should be iterable.")
    handlers = list(state_handlers or ())
    if on_failure is not None:
        from prefect.utilities.notifications import callback_factory  # noqa: PLC0415 - few tasks have one

        handlers.append(callback_factory(on_failure, check=lambda state: state.is_failed()))
    return handlers


def exception_types(retry_on: Any) -> set[type[Exception]] | None:
    """Return the exceptions that are worth a retry; raises `TypeError` for what is no exception type."""
    if retry_on is None:
        return None
    types = {retry_on} if isinstance(retry_on, type) or not isinstance(retry_on, Iterable) else set(retry_on)
    for value in types:
        if not isinstance(value, type):
            raise TypeError(
                f"Invalid `retry_on` value {value!r}. Expected an exception type but got an instance of {type(value)}"
            )
        if not issubclass(value, Exception):
            raise TypeError(f"Invalid `retry_on` value {value!r}. Expected an exception subclass.")
    return types


def whole_seconds(timeout: Any) -> int | None:
    """Return a timeout in seconds; raises `TypeError` for anything but whole seconds or a timedelta."""
    if timeout is None or (isinstance(timeout, int) and not isinstance(timeout, bool)):
        return timeout
    if not isinstance(timeout, timedelta):
        raise TypeError("Only integer timeouts (representing seconds) are supported.")
    if timeout.microseconds:
        warnings.warn("Task timeouts do not support a sub-second part; it was dropped.", stacklevel=4)
    return int(timeout.total_seconds())
