"""Times as the library uses them: aware, UTC unless they say otherwise.

Pure functions; a string that is no date and time raises `pendulum.parsing.exceptions.ParserError` (a `ValueError`).
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pendulum

__all__ = ["as_datetime", "plain", "retry_delay", "utcnow"]


def utcnow() -> pendulum.DateTime:
    """Return the current time in UTC."""
    return pendulum.now("UTC")


def plain(moment: datetime) -> datetime:
    """Return a moment as the standard library's datetime, in the same time zone."""
    return datetime(
        moment.year,
        moment.month,
        moment.day,
        moment.hour,
        moment.minute,
        moment.second,
        moment.microsecond,
        tzinfo=moment.tzinfo,
        fold=moment.fold,
    )


def as_datetime(value: datetime | str) -> pendulum.DateTime:
    """Return an aware `pendulum.DateTime`; a naive time counts as UTC."""
    if isinstance(value, str):
        parsed = pendulum.parse(value)
        if not isinstance(parsed, pendulum.DateTime):
            raise ValueError(f"{value!r} is no date and time.")  # noqa: TRY004 - the text is wrong, not its type
        return parsed
    if isinstance(value, pendulum.DateTime) and value.tzinfo is not None:
        if value.timezone is not None:
            return value
        # With a time zone that is not pendulum's own, adding to it would lose the zone.
        value = plain(value)
    return pendulum.instance(value if value.tzinfo is not None else value.replace(tzinfo=pendulum.UTC))


def retry_delay(
    interval: timedelta | None = None,
    *,
    exponential_backoff: bool = False,
    max_delay: timedelta = timedelta(hours=2),
    **kwargs: Any,
) -> Callable[[int], timedelta]:
    """Return a function from the number of a run to the delay after it, for `retry_delay` of a task.

    The interval is a timedelta or its keywords (`minutes=5`); with back-off it doubles from the third run on.  Raises
    `ValueError` for both and for neither.
    """
    if interval is not None and kwargs:
        raise ValueError("Provide an interval or interval keywords, but not both.")
    if interval is None and not kwargs:
        raise ValueError("Provide either an interval or interval keywords.")
    base = interval if interval is not None else timedelta(**kwargs)

    def delay(run_number: int) -> timedelta:
        scale = 2 ** max(0, run_number - 2) if exponential_backoff else 1
        return min(base * scale, max_delay)

    return delay
