"""Clocks: generators of the times at which a flow is to run.

Naive dates count as UTC; start and end dates are inclusive; every clock yields strictly increasing times strictly
after the one asked for.  Arguments that make no sense raise `TypeError` or `ValueError` when the clock is made.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pendulum

from prefect.utilities.datetimes import as_datetime, utcnow

__all__ = ["Clock", "ClockEvent", "CronClock", "DatesClock", "IntervalClock", "RRuleClock"]

_ANCHOR = pendulum.datetime(2019, 1, 1, tz="UTC")
_DAY = 86_400
# Clocks are put forward and back by less than this.
_LARGEST_SHIFT = 10_800
_MAX_CRON_ITERATIONS = 1000


class ClockEvent:
    """One time, with the parameters and labels of the run that is to start then; events are ordered by time."""

    def __init__(
        self,
        start_time: datetime,
        parameter_defaults: dict[str, Any] | None = None,
        labels: list[str] | None = None,
    ) -> None:
        self.start_time = as_datetime(start_time)
        self.parameter_defaults = parameter_defaults or {}
        self.labels = labels

    def __lt__(self, other: "ClockEvent") -> bool:
        return bool(self.start_time < other.start_time)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClockEvent) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(self.start_time)

    def __repr__(self) -> str:
        return f"<ClockEvent: {self.start_time}>"


class Clock:
    """The base of clocks; subclasses override `times`."""

    def __init__(
        self,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        parameter_defaults: dict[str, Any] | None = None,
        labels: list[str] | None = None,
    ) -> None:
        self.start_date = as_datetime(start_date) if start_date is not None else None
        self.end_date = as_datetime(end_date) if end_date is not None else None
        self.parameter_defaults = parameter_defaults or {}
        self.labels = labels

    def times(self, after: pendulum.DateTime) -> Iterator[datetime]:
        """Yield the times strictly after `after`, in order, regardless of the end date."""
        raise NotImplementedError

    def events(self, after: datetime | None = None) -> Iterator[ClockEvent]:
        """Yield the events strictly after a time (default now), up to the end date."""
        for moment in self.times(as_datetime(after) if after is not None else utcnow()):
            if self.end_date is not None and moment > self.end_date:
                return
            yield ClockEvent(moment, parameter_defaults=self.parameter_defaults, labels=self.labels)


class IntervalClock(Clock):
    """Ticks every `interval`, counted from `start_date` (default 2019-01-01 UTC).

    Whole days of the elapsed time are days of the start date's time zone, the rest is elapsed time: what runs daily
    keeps its local time when clocks change.
    """

    def __init__(
        self,
        interval: timedelta,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        parameter_defaults: dict[str, Any] | None = None,
        labels: list[str] | None = None,
    ) -> None:
        if not isinstance(interval, timedelta):
            raise TypeError("Interval must be a timedelta.")
        if interval.total_seconds() <= 0:
            raise ValueError("Interval must be greater than 0.")
        self.interval = interval
        super().__init__(start_date, end_date, parameter_defaults, labels)

    def _at(self, anchor: pendulum.DateTime, count: int) -> pendulum.DateTime:
        elapsed = self.interval * count
        moment = anchor.add(days=elapsed.days)
        rest = elapsed - timedelta(days=elapsed.days)
        return moment.add(seconds=rest.seconds, microseconds=rest.microseconds) if rest else moment

    def times(self, after: pendulum.DateTime) -> Iterator[datetime]:
        """Yield the ticks after a time."""
        anchor = self.start_date if self.start_date is not None else _ANCHOR
        seconds = self.interval.total_seconds()
        passed = (after - anchor).total_seconds()
        count = max(0, math.floor((passed - _LARGEST_SHIFT) / seconds))
        latest = after
        for number in itertools.count(count):
            moment = self._at(anchor, number)
            if moment > latest:
                latest = moment
                yield moment


class CronClock(Clock):
    """Ticks as a cron expression says, on the wall clock of the start date's time zone (default UTC).

    `day_or` (default true): day of month and day of week are alternatives.  Raises `ValueError` for an expression that
    is none.
    """

    def __init__(
        self,
        cron: str,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        parameter_defaults: dict[str, Any] | None = None,
        labels: list[str] | None = None,
        day_or: bool | None = None,
    ) -> None:
        if not _croniter().is_valid(cron):
            raise ValueError(f"Invalid cron string: {cron}")
        self.cron = cron
        self.day_or = True if day_or is None else day_or
        super().__init__(start_date, end_date, parameter_defaults, labels)

    def times(self, after: pendulum.DateTime) -> Iterator[datetime]:
        """Yield the ticks after a time; a wall-clock time that comes twice ticks once."""
        zone: Any = self.start_date.tzinfo if self.start_date is not None else pendulum.UTC
        start = after if self.start_date is None else max(after, self.start_date.subtract(seconds=1))
        local = start.in_timezone(zone).naive()
        ticks = _croniter()(self.cron, datetime.fromisoformat(local.isoformat()), day_or=self.day_or)
        latest = after
        for _ in range(_MAX_CRON_ITERATIONS):
            wall = ticks.get_next(datetime)
            moment = pendulum.instance(wall, tz=zone)
            if moment > latest:
                latest = moment
                yield moment


def _croniter() -> Any:
    from croniter import croniter  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415 - costs 40 ms to import

    return croniter


class DatesClock(Clock):
    """Ticks at the given dates."""

    def __init__(
        self,
        dates: Iterable[datetime],
        parameter_defaults: dict[str, Any] | None = None,
        labels: list[str] | None = None,
    ) -> None:
        self.dates = sorted(as_datetime(date) for date in dates)
        if not self.dates:
            raise ValueError("A DatesClock needs at least one date.")
        super().__init__(self.dates[0], self.dates[-1], parameter_defaults, labels)

    def times(self, after: pendulum.DateTime) -> Iterator[datetime]:
        """Yield the dates after a time."""
        return (date for date in self.dates if date > after)


class RRuleClock(Clock):
    """Ticks as a `dateutil` rrule or rruleset says; raises `TypeError` for anything else."""

    def __init__(
        self,
        rrule_obj: Any,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        parameter_defaults: dict[str, Any] | None = None,
        labels: list[str] | None = None,
    ) -> None:
        from dateutil import rrule  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415 - few use it

        if not isinstance(rrule_obj, rrule.rrulebase):
            raise TypeError(f"`rrule_obj` must be a dateutil rrule or rruleset; got {type(rrule_obj)}.")
        self.rrule_obj = rrule_obj
        super().__init__(start_date, end_date, parameter_defaults, labels)

    def times(self, after: pendulum.DateTime) -> Iterator[datetime]:
        """Yield the occurrences after a time."""
        for occurrence in self.rrule_obj:
            moment = as_datetime(occurrence)
            if moment > after and (self.start_date is None or moment >= self.start_date):
                yield moment
