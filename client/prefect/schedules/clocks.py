"""Clocks: generators of the times at which a flow is to run.

Naive dates count as UTC; start and end dates are inclusive; every clock yields strictly increasing times strictly
after the one asked for.  Arguments that make no sense raise `TypeError` or `ValueError` when the clock is made.
"""

import itertools
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pendulum

from prefect.utilities.datetimes import as_datetime, plain, utcnow

__all__ = ["Clock", "ClockEvent", "CronClock", "DatesClock", "IntervalClock", "RRuleClock"]

_ANCHOR = pendulum.datetime(2019, 1, 1, tz="UTC")
_HOUR = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)
# Clocks are put forward and back by less than this.
_LARGEST_SHIFT = timedelta(hours=3)
_MAX_CRON_ITERATIONS = 1000


def _utc(moment: datetime) -> datetime:
    """Return a moment in UTC.  Python compares two moments of one zone by the wall clock, which can come twice."""
    return plain(moment).astimezone(UTC)


def _wall(moment: datetime) -> datetime:
    """Return what the clock on the wall shows."""
    return plain(moment).replace(tzinfo=None, fold=0)


def _occurrences(wall: datetime, zone: Any) -> tuple[datetime, datetime]:
    """Return the moments in UTC of a wall clock's time, by the offset before and after a change of the clock.

    They are equal for most; the first is later for a time that the clock skips, the second for one that comes twice.
    """
    return wall.replace(tzinfo=zone).astimezone(UTC), wall.replace(tzinfo=zone, fold=1).astimezone(UTC)


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
        return _utc(self.start_time) < _utc(other.start_time)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClockEvent) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(_utc(self.start_time))

    def _key(self) -> tuple[datetime, dict[str, Any], list[str] | None]:
        return _utc(self.start_time), self.parameter_defaults, self.labels

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
            if self.end_date is not None and _utc(moment) > _utc(self.end_date):
                return
            yield ClockEvent(moment, parameter_defaults=self.parameter_defaults, labels=self.labels)


class IntervalClock(Clock):
    """Ticks every `interval`, counted from `start_date` (default 2019-01-01 UTC) on the wall clock of its time zone.

    What runs daily, or every twelve hours, keeps its local time when clocks change; within the first day the interval
    is elapsed time.  What runs hourly or more often also ticks in an hour that comes twice.
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

    def times(self, after: pendulum.DateTime) -> Iterator[datetime]:
        """Yield the ticks after a time."""
        anchor = self.start_date if self.start_date is not None else _ANCHOR
        zone: Any = anchor.tzinfo
        latest = max(_utc(after), _utc(anchor) - timedelta.resolution)
        if isinstance(zone, pendulum.FixedTimezone) or zone == pendulum.UTC:
            moments = self._elapsed(anchor, latest)
        elif self.interval <= _HOUR:
            moments = self._aligned(anchor, latest)
        else:
            moments = self._by_the_wall(anchor, latest)
        for moment in moments:
            if moment > latest:
                latest = moment
                yield pendulum.instance(moment).in_timezone(zone)

    def _elapsed(self, anchor: datetime, after: datetime) -> Iterator[datetime]:
        first = _utc(anchor)
        for number in itertools.count(max(0, (after - first) // self.interval)):
            yield first + self.interval * number

    def _aligned(self, anchor: datetime, after: datetime) -> Iterator[datetime]:
        """Yield every moment at which the wall clock shows a whole number of intervals since the anchor."""
        start, zone = _wall(anchor), anchor.tzinfo
        moment = after
        while True:
            behind = (_wall(moment.astimezone(zone)) - start) % self.interval
            later = moment + (self.interval - behind)
            since = (_wall(later.astimezone(zone)) - start) % self.interval
            if not since:
                yield later
            elif not (_wall((later - since).astimezone(zone)) - start) % self.interval and later - since > moment:
                # The clock changed in between; this was the tick by the new time.
                yield later - since
            moment = later

    def _by_the_wall(self, anchor: datetime, after: datetime) -> Iterator[datetime]:
        start, zone = _wall(anchor), anchor.tzinfo
        passed = _wall(after.astimezone(zone)) - start - _LARGEST_SHIFT
        for number in itertools.count(max(0, passed // self.interval)):
            elapsed = self.interval * number
            yield max(_occurrences(start + elapsed, zone)) if elapsed.days else _utc(anchor) + elapsed


class CronClock(Clock):
    """Ticks as a cron expression says, on the wall clock of the start date's time zone (default UTC).

    A time that comes twice when clocks change ticks the second time; one that is skipped ticks when the clock has been
    put forward.  `day_or` (default true): day of month and day of week are alternatives.  Raises `ValueError` for an
    expression that is none.
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
        """Yield the ticks after a time."""
        zone: Any = self.start_date.tzinfo if self.start_date is not None else pendulum.UTC
        latest = _utc(after)
        if self.start_date is not None:
            latest = max(latest, _utc(self.start_date) - timedelta(seconds=1))
        ticks = _croniter()(self.cron, _wall(latest.astimezone(zone)), day_or=self.day_or)
        for _ in range(_MAX_CRON_ITERATIONS):
            try:
                moment = _tick(ticks.get_next(datetime), zone)
            except ValueError:
                # Croniter's word for an expression that matches no more days, such as the 30th of February.
                return
            if moment > latest:
                latest = moment
                yield pendulum.instance(moment).in_timezone(zone)


def _tick(wall: datetime, zone: Any) -> datetime:
    before, behind = _occurrences(wall, zone)
    while before > behind:
        # Back to the first minute that the clock skips, which is the moment at which it is put forward.
        earlier = _occurrences(wall - _MINUTE, zone)
        if earlier[0] <= earlier[1]:
            return before
        wall -= _MINUTE
        before, behind = earlier
    return behind


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
        return (date for date in self.dates if _utc(date) > _utc(after))


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
            if _utc(moment) > _utc(after) and (self.start_date is None or _utc(moment) >= _utc(self.start_date)):
                yield moment
