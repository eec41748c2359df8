"""Schedules: the events of one or more clocks, filtered and adjusted.

Pure computation; a schedule that yields nothing gives an empty list.  At most 10,000 candidates are looked at.
"""

import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from prefect.schedules.clocks import Clock, ClockEvent, CronClock, IntervalClock, RRuleClock
from prefect.utilities.datetimes import as_datetime

__all__ = ["CronSchedule", "IntervalSchedule", "RRuleSchedule", "Schedule"]

_MAX_CANDIDATES = 10_000
Filter = Callable[[datetime], bool]
Adjustment = Callable[[datetime], datetime]


class Schedule:
    """The events of `clocks` that pass all `filters`, any of `or_filters` and none of `not_filters`.

    Raises `TypeError` if the clocks are no collection.
    """

    def __init__(
        self,
        clocks: Iterable[Clock],
        filters: Iterable[Filter] | None = None,
        or_filters: Iterable[Filter] | None = None,
        not_filters: Iterable[Filter] | None = None,
        adjustments: Iterable[Adjustment] | None = None,
    ) -> None:
        if not isinstance(clocks, Iterable):
            raise TypeError("clocks should be a list of clocks.")
        self.clocks = list(clocks)
        self.filters = list(filters or ())
        self.or_filters = list(or_filters or ())
        self.not_filters = list(not_filters or ())
        self.adjustments = list(adjustments or ())

    @property
    def start_date(self) -> Any:
        """The earliest start date of the clocks, None if none has one."""
        return min((clock.start_date for clock in self.clocks if clock.start_date is not None), default=None)

    @property
    def end_date(self) -> Any:
        """The latest end date of the clocks, None if none has one."""
        return max((clock.end_date for clock in self.clocks if clock.end_date is not None), default=None)

    def next(self, n: int, after: datetime | None = None, return_events: bool = False) -> list[Any]:
        """Return the next `n` times after one (default now), or with `return_events` the events themselves."""
        events = itertools.islice(self._events(after), n)
        return list(events) if return_events else [event.start_time for event in events]

    def _events(self, after: datetime | None) -> Iterator[ClockEvent]:
        merged = heapq.merge(*(clock.events(after) for clock in self.clocks))
        for event in itertools.islice(_distinct(merged), _MAX_CANDIDATES):
            if self._passes(event.start_time):
                for adjustment in self.adjustments:
                    event.start_time = as_datetime(adjustment(event.start_time))
                yield event

    def _passes(self, moment: datetime) -> bool:
        return (
            all(check(moment) for check in self.filters)
            and (not self.or_filters or any(check(moment) for check in self.or_filters))
            and not any(check(moment) for check in self.not_filters)
        )


def _distinct(events: Iterable[ClockEvent]) -> Iterator[ClockEvent]:
    same_time: list[ClockEvent] = []
    for event in events:
        if same_time and same_time[0] < event:
            same_time = []
        if event not in same_time:
            # A copy is remembered, because adjustments change the event itself.
            same_time.append(ClockEvent(event.start_time, event.parameter_defaults, event.labels))
            yield event


def IntervalSchedule(  # noqa: N802 - used like a class
    start_date: datetime | None = None, interval: timedelta | None = None, end_date: datetime | None = None
) -> Schedule:
    """Return a schedule of one `IntervalClock`."""
    return Schedule([IntervalClock(interval=interval, start_date=start_date, end_date=end_date)])  # type: ignore[arg-type]  # None is refused there


def CronSchedule(  # noqa: N802 - used like a class
    cron: str, start_date: datetime | None = None, end_date: datetime | None = None, day_or: bool | None = None
) -> Schedule:
    """Return a schedule of one `CronClock`."""
    return Schedule([CronClock(cron=cron, start_date=start_date, end_date=end_date, day_or=day_or)])


def RRuleSchedule(  # noqa: N802 - used like a class
    rrule_obj: Any, start_date: datetime | None = None, end_date: datetime | None = None
) -> Schedule:
    """Return a schedule of one `RRuleClock`."""
    return Schedule([RRuleClock(rrule_obj=rrule_obj, start_date=start_date, end_date=end_date)])
