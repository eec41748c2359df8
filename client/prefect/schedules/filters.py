"""Filters of a schedule's events: functions from a time, in its own zone, to whether a flow runs then.

Those with arguments are made by a call, the others are passed as they are.
"""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

from prefect.utilities.datetimes import as_datetime, plain

__all__ = [
    "at_time",
    "between_dates",
    "between_datetimes",
    "between_times",
    "is_day_of_week",
    "is_month_end",
    "is_month_start",
    "is_weekday",
    "is_weekend",
    "on_date",
    "on_datetime",
]

Filter = Callable[[datetime], bool]
_SATURDAY = 5


def _made(filter_function: Filter, name: str, **arguments: Any) -> Filter:
    # Serialization names a filter by its factory and arguments.
    function: Any = filter_function
    function.__name__ = function.__qualname__ = name
    function.factory_kwargs = arguments
    made: Filter = function
    return made


def _instant(moment: datetime) -> datetime:
    # Python compares two moments of one zone by the wall clock, which can come twice.
    return plain(as_datetime(moment)).astimezone(UTC)


def on_datetime(dt: datetime) -> Filter:
    """Return a filter: exactly this time."""
    exact = _instant(dt)
    return _made(lambda moment: _instant(moment) == exact, "on_datetime", dt=dt)


def on_date(month: int, day: int) -> Filter:
    """Return a filter: this day of any year."""
    return _made(lambda moment: (moment.month, moment.day) == (month, day), "on_date", month=month, day=day)


def at_time(time: time) -> Filter:
    """Return a filter: this time of any day."""
    return _made(lambda moment: moment.time() == time, "at_time", time=time)


def between_datetimes(start: datetime, end: datetime) -> Filter:
    """Return a filter: from one time to another, both included."""
    first, last = _instant(start), _instant(end)
    return _made(lambda moment: first <= _instant(moment) <= last, "between_datetimes", start=start, end=end)


def _between(value: Any, first: Any, last: Any) -> bool:
    if first <= last:
        return bool(first <= value <= last)
    return bool(value >= first or value <= last)


def between_dates(start_month: int, start_day: int, end_month: int, end_day: int) -> Filter:
    """Return a filter: from one day to another of any year, both included; the span may contain new year."""
    first, last = (start_month, start_day), (end_month, end_day)
    return _made(
        lambda moment: _between((moment.month, moment.day), first, last),
        "between_dates",
        start_month=start_month,
        start_day=start_day,
        end_month=end_month,
        end_day=end_day,
    )


def between_times(start: time, end: time) -> Filter:
    """Return a filter: from one time of day to another, both included; the span may contain midnight."""
    return _made(lambda moment: _between(moment.time(), start, end), "between_times", start=start, end=end)


def is_weekday(dt: datetime) -> bool:
    """Monday to Friday."""
    return dt.weekday() < _SATURDAY


def is_weekend(dt: datetime) -> bool:
    """Saturday and Sunday."""
    return dt.weekday() >= _SATURDAY


def is_month_end(dt: datetime) -> bool:
    """The last day of a month."""
    # Days, not hours: the last day of a month may have more of them than 24.
    return (dt.date() + timedelta(days=1)).month != dt.month


def is_month_start(dt: datetime) -> bool:
    """The first day of a month."""
    return dt.day == 1


def is_day_of_week(day_of_week: int) -> Filter:
    """Return a filter: this day of the week, 0 being Monday."""
    return _made(lambda moment: moment.weekday() == day_of_week, "is_day_of_week", day_of_week=day_of_week)
