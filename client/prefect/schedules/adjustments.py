"""Adjustments of a schedule's events: functions from a time to the time at which the flow really runs."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from prefect.utilities.datetimes import as_datetime

__all__ = ["add", "next_weekday"]

_SATURDAY = 5
_DAYS = 7


def add(interval: timedelta) -> Callable[[datetime], datetime]:
    """Return an adjustment: this much later."""

    def adjustment(dt: datetime) -> datetime:
        return dt + interval

    # Serialization names an adjustment by its factory and arguments.
    function: Any = adjustment
    function.__name__ = function.__qualname__ = "add"
    function.factory_kwargs = {"interval": interval}
    return adjustment


def next_weekday(dt: datetime) -> datetime:
    """Move Saturdays and Sundays to the Monday after, at the same time of day."""
    moment = as_datetime(dt)
    return moment.add(days=_DAYS - moment.weekday()) if moment.weekday() >= _SATURDAY else moment
