"""A serialized schedule: the events of its clocks, filtered and adjusted."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from flowstead_server.domain.clocks import Clock, read_clock
from flowstead_server.domain.errors import BadInputError
from flowstead_server.domain.schedule_filters import read_adjustment, read_filter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from flowstead_server.domain.schedule_filters import Adjustment, Filter

MAX_CANDIDATES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Event:
    """A run that a clock asks for. `tick` (UTC) is the clock's time; `start` (UTC) differs from it if adjusted."""

    tick: datetime
    start: datetime
    parameter_defaults: Mapping[str, Any]
    labels: list[str] | None


@dataclass(slots=True)
class Search:
    """Goes through the candidates after a time; `seen_to` is the last one's tick, `ended` that there are no more."""

    seen_to: datetime
    ended: bool = False
    candidates: int = 0


@dataclass(frozen=True, slots=True)
class Schedule:
    """The events of `clocks` that pass all `filters`, any of `or_filters` and none of `not_filters`."""

    clocks: list[Clock]
    filters: list[Filter] = field(default_factory=list)
    or_filters: list[Filter] = field(default_factory=list)
    not_filters: list[Filter] = field(default_factory=list)
    adjustments: list[Adjustment] = field(default_factory=list)

    def events(self, after: datetime, search: Search | None = None) -> Iterator[Event]:
        """Yield the events whose tick is strictly after a time, in the order of their ticks.

        At most MAX_CANDIDATES ticks are looked at; `search` is told how far that went.
        """
        merged = heapq.merge(*(_ticks(clock, after) for clock in self.clocks), key=_utc_tick)
        for tick, moment, clock in itertools.islice(_distinct(merged), MAX_CANDIDATES):
            if search is not None:
                search.seen_to, search.candidates = tick, search.candidates + 1
            if self._passes(moment):
                adjusted = moment
                for adjustment in self.adjustments:
                    adjusted = adjustment(adjusted)
                yield Event(tick, adjusted.astimezone(UTC), clock.parameter_defaults, clock.labels)
        if search is not None:
            search.ended = search.candidates < MAX_CANDIDATES

    def _passes(self, moment: datetime) -> bool:
        return (
            all(check(moment) for check in self.filters)
            and (not self.or_filters or any(check(moment) for check in self.or_filters))
            and not any(check(moment) for check in self.not_filters)
        )


def read_schedule(data: object) -> Schedule:
    """Read a serialized schedule. Raises BadInputError that says what is wrong with it."""
    clocks = data.get("clocks") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(clocks, list):
        raise BadInputError("A schedule must be a JSON object with a list of clocks.")
    return Schedule(
        [read_clock(clock) for clock in clocks],
        [read_filter(item) for item in _list(data, "filters")],
        [read_filter(item) for item in _list(data, "or_filters")],
        [read_filter(item) for item in _list(data, "not_filters")],
        [read_adjustment(item) for item in _list(data, "adjustments")],
    )


def _list(data: Mapping[str, Any], name: str) -> list[Any]:
    value = data.get(name) or []
    if not isinstance(value, list):
        raise BadInputError(f"The {name} of a schedule must be a list, but are {str(value)[:80]!r}.")
    return value


_Tick = tuple[datetime, datetime, Clock]


def _ticks(clock: Clock, after: datetime) -> Iterator[_Tick]:
    for moment in clock.ticks(after):
        yield moment.astimezone(UTC), moment, clock


def _utc_tick(tick: _Tick) -> datetime:
    return tick[0]


def _distinct(ticks: Iterable[_Tick]) -> Iterator[_Tick]:
    """Leave out what the same parameters and labels ask for twice at one time."""
    same_time: list[_Tick] = []
    for tick in ticks:
        if same_time and same_time[0][0] < tick[0]:
            same_time = []
        if not any(_wishes(tick) == _wishes(other) for other in same_time):
            same_time.append(tick)
            yield tick


def _wishes(tick: _Tick) -> tuple[Mapping[str, Any], list[str] | None]:
    return tick[2].parameter_defaults, tick[2].labels
