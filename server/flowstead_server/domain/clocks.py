"""The clocks of a serialized schedule: the times at which they tick.

The times are those of the library's own clocks (`prefect.schedules.clocks`), which this part may not import; a test
holds the two against each other. Naive times are UTC, start and end dates are inclusive. Reading raises BadInputError
for what is no clock.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flowstead_server.domain.cron import cron_walls, is_random, is_readable
from flowstead_server.domain.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_ANCHOR: Final = datetime(2019, 1, 1, tzinfo=UTC)
_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)
# Clocks are put forward and back by less than this.
_LARGEST_SHIFT: Final = timedelta(hours=3)
_MAX_CRON_ITERATIONS: Final = 1000
# A rule is walked from its start; one that is further behind than this would keep the server busy for seconds.
_MAX_RULE_ITERATIONS: Final = 200_000


def wall_of(moment: datetime) -> datetime:
    """Return what the clock on the wall shows."""
    return moment.replace(tzinfo=None, fold=0)


def occurrences(wall: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return the moments in UTC of a wall clock's time, by the offset before and after a change of the clock.

    They are equal for most; the first is later for a time that the clock skips, the second for one that comes twice.
    """
    return wall.replace(tzinfo=zone).astimezone(UTC), wall.replace(tzinfo=zone, fold=1).astimezone(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock(ABC):
    """What all clocks have. `parameter_defaults` and `labels` are for the runs that the clock makes."""

    start_date: datetime | None = None
    end_date: datetime | None = None
    parameter_defaults: Mapping[str, Any]
    labels: list[str] | None = None

    @abstractmethod
    def times(self, after: datetime) -> Iterator[datetime]:
        """Yield the times strictly after `after` (UTC), in order, in the clock's zone, regardless of the end date."""

    def ticks(self, after: datetime) -> Iterator[datetime]:
        """Yield the times strictly after `after` (UTC), up to the end date."""
        end = None if self.end_date is None else self.end_date.astimezone(UTC)
        for moment in self.times(after):
            if end is not None and moment.astimezone(UTC) > end:
                return
            yield moment


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalClock(Clock):
    """Ticks every `interval` on the wall clock of the start date's zone; within the first day by elapsed time."""

    interval: timedelta

    def times(self, after: datetime) -> Iterator[datetime]:
        """Yield the ticks after a time."""
        anchor = self.start_date or _ANCHOR
        zone = anchor.tzinfo or UTC
        latest = max(after, anchor.astimezone(UTC) - timedelta.resolution)
        if isinstance(zone, timezone):
            moments = self._elapsed(anchor, latest)
        elif self.interval <= _HOUR:
            moments = self._aligned(anchor, latest)
        else:
            moments = self._by_the_wall(anchor, latest)
        for moment in moments:
            if moment > latest:
                latest = moment
                yield moment.astimezone(zone)

    def _elapsed(self, anchor: datetime, after: datetime) -> Iterator[datetime]:
        first = anchor.astimezone(UTC)
        for number in itertools.count(max(0, (after - first) // self.interval)):
            yield first + self.interval * number

    def _aligned(self, anchor: datetime, after: datetime) -> Iterator[datetime]:
        """Yield every moment at which the wall clock shows a whole number of intervals since the anchor."""
        start, zone = wall_of(anchor), anchor.tzinfo
        moment = after
        while True:
            behind = (wall_of(moment.astimezone(zone)) - start) % self.interval
            later = moment + (self.interval - behind)
            since = (wall_of(later.astimezone(zone)) - start) % self.interval
            if not since:
                yield later
            elif not (wall_of((later - since).astimezone(zone)) - start) % self.interval and later - since > moment:
                # The clock changed in between; this was the tick by the new time.
                yield later - since
            moment = later

    def _by_the_wall(self, anchor: datetime, after: datetime) -> Iterator[datetime]:
        start, zone = wall_of(anchor), anchor.tzinfo or UTC
        passed = wall_of(after.astimezone(zone)) - start - _LARGEST_SHIFT
        for number in itertools.count(max(0, passed // self.interval)):
            elapsed = self.interval * number
            yield max(occurrences(start + elapsed, zone)) if elapsed.days else anchor.astimezone(UTC) + elapsed


@dataclass(frozen=True, slots=True, kw_only=True)
class CronClock(Clock):
    """Ticks as a cron expression says, on the wall clock of the start date's zone (default UTC).

    A time that comes twice ticks the second time; one that is skipped ticks when the clock has been put forward.
    """

    cron: str
    day_or: bool = True

    def times(self, after: datetime) -> Iterator[datetime]:
        """Yield the ticks after a time."""
        zone = (self.start_date.tzinfo if self.start_date is not None else None) or UTC
        latest = after
        if self.start_date is not None:
            latest = max(latest, self.start_date.astimezone(UTC) - timedelta(seconds=1))
        for wall in itertools.islice(
            cron_walls(self.cron, wall_of(latest.astimezone(zone)), self.day_or), _MAX_CRON_ITERATIONS
        ):
            moment = _cron_tick(wall, zone)
            if moment > latest:
                latest = moment
                yield moment.astimezone(zone)


def _cron_tick(wall: datetime, zone: tzinfo) -> datetime:
    before, behind = occurrences(wall, zone)
    while before > behind:
        # Back to the first minute that the clock skips, which is the moment at which it is put forward.
        earlier = occurrences(wall - _MINUTE, zone)
        if earlier[0] <= earlier[1]:
            return before
        wall -= _MINUTE
        before, behind = earlier
    return behind


@dataclass(frozen=True, slots=True, kw_only=True)
class DatesClock(Clock):
    """Ticks at the given dates, which are in order."""

    dates: list[datetime]

    def times(self, after: datetime) -> Iterator[datetime]:
        """Yield the dates after a time."""
        return (date for date in self.dates if date.astimezone(UTC) > after)


@dataclass(frozen=True, slots=True, kw_only=True)
class RRuleClock(Clock):
    """Ticks as rules of iCalendar say; `rule` is dateutil's."""

    rule: Iterable[datetime]

    def times(self, after: datetime) -> Iterator[datetime]:
        """Yield the occurrences after a time. Raises BadInputError if the rule begins too many of them before it."""
        start = None if self.start_date is None else self.start_date.astimezone(UTC)
        for number, occurrence in enumerate(self.rule):
            if number >= _MAX_RULE_ITERATIONS:
                raise BadInputError(
                    f"A recurrence rule has more than {_MAX_RULE_ITERATIONS} occurrences since its start; "
                    "let it start later."
                )
            zone = occurrence.tzinfo or UTC
            moment = min(occurrences(wall_of(occurrence), zone))
            if moment > after and (start is None or moment >= start):
                yield moment.astimezone(zone)


def read_clock(data: object) -> Clock:
    """Read a serialized clock. Raises BadInputError that says what is wrong with it."""
    if not isinstance(data, dict):
        raise BadInputError(f"A clock must be a JSON object, but it is {str(data)[:80]!r}.")
    kind = data.get("type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise BadInputError(f"There is no clock of type {str(kind)[:80]!r}.")
    defaults, labels = data.get("parameter_defaults") or {}, data.get("labels")
    if not isinstance(defaults, dict):
        raise BadInputError(f"The parameter_defaults of a clock must be an object, but are {str(defaults)[:80]!r}.")
    if labels is not None and not (isinstance(labels, list) and all(isinstance(label, str) for label in labels)):
        raise BadInputError(f"The labels of a clock must be a list of texts, but are {str(labels)[:80]!r}.")
    common = {
        "start_date": read_date(data.get("start_date")),
        "end_date": read_date(data.get("end_date")),
        "parameter_defaults": defaults,
        "labels": labels,
    }
    try:
        return reader(data, common)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise BadInputError(f"A clock of type {kind!r} cannot be read: {type(error).__name__}: {error}.") from error


def read_date(data: object) -> datetime | None:
    """Read `{"dt": naive ISO time, "tz": zone}`, an ISO time, or null. Raises BadInputError."""
    if not data:
        return None
    text, zone_name = (data.get("dt"), data.get("tz") or "UTC") if isinstance(data, dict) else (data, None)
    try:
        moment = datetime.fromisoformat(str(text))
        if moment.tzinfo is not None and zone_name is None:
            return moment
        zone = _zone(str(zone_name or "UTC"))
        # As pendulum has it: the earlier one of two, and before the gap what lies in one.
        return (moment.astimezone(UTC) if moment.tzinfo else min(occurrences(moment, zone))).astimezone(zone)
    except (ValueError, OverflowError, OSError, ZoneInfoNotFoundError) as error:
        raise BadInputError(f"A date of a schedule cannot be read: {str(data)[:80]!r} ({error}).") from error


def _zone(name: str) -> tzinfo:
    if name in {"UTC", "utc", "Z"}:
        return UTC
    if name[:1] in {"+", "-"}:
        return datetime.fromisoformat(f"2000-01-01T00:00:00{name}").tzinfo or UTC
    return ZoneInfo(name)


def _interval_clock(data: Mapping[str, Any], common: dict[str, Any]) -> Clock:
    interval = timedelta(microseconds=data["interval"])
    if interval <= timedelta(0):
        raise ValueError("the interval must be greater than 0")
    return IntervalClock(interval=interval, **common)


def _cron_clock(data: Mapping[str, Any], common: dict[str, Any]) -> Clock:
    cron, day_or = data["cron"], data.get("day_or")
    if not isinstance(cron, str) or not is_readable(cron):
        raise ValueError(f"invalid cron string {str(cron)[:80]!r}")
    if is_random(cron):
        raise ValueError(f"the cron string {cron[:80]!r} is drawn by lot whenever it is read; write numbers")
    return CronClock(cron=cron, day_or=True if day_or is None else bool(day_or), **common)


def _dates_clock(data: Mapping[str, Any], common: dict[str, Any]) -> Clock:
    dates = sorted(date for date in map(read_date, data["dates"]) if date is not None)
    if not dates:
        raise ValueError("it needs at least one date")
    return DatesClock(dates=dates, **common | {"start_date": dates[0], "end_date": dates[-1]})


def _rrule_clock(data: Mapping[str, Any], common: dict[str, Any]) -> Clock:
    from dateutil import rrule  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415 - few use it

    description = data["rrule_obj"]
    if description.get("type") != "rruleset":
        return RRuleClock(rule=_rule(description), **common)
    rules = rrule.rruleset()
    for member, add in (("_rrule", rules.rrule), ("_exrule", rules.exrule)):
        for item in description.get(member) or ():
            add(_rule(item))
    for member, add in (("_rdate", rules.rdate), ("_exdate", rules.exdate)):
        for item in description.get(member) or ():
            add(_moment(item))
    return RRuleClock(rule=rules, **common)


def _rule(data: Mapping[str, Any]) -> Any:
    from dateutil import rrule  # noqa: PLC0415 - few use it

    rule: Any = rrule.rrulestr(data["rr"])
    changes = {name: _moment(data[f"_{name}"]) for name in ("dtstart", "until") if data.get(f"_{name}") is not None}
    if data.get("_tz") and "dtstart" in changes:
        # ISO 8601 keeps the offset only, with which the rule would lose its time of day when clocks change.
        changes["dtstart"] = changes["dtstart"].astimezone(_zone(data["_tz"]))
    return rule.replace(**changes) if changes else rule


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_READERS: Final[dict[str, Callable[[Mapping[str, Any], dict[str, Any]], Clock]]] = {
    "IntervalClock": _interval_clock,
    "CronClock": _cron_clock,
    "DatesClock": _dates_clock,
    "RRuleClock": _rrule_clock,
}
