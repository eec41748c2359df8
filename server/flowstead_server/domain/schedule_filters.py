"""The filters and adjustments that a serialized schedule may name: those of the library, by their qualified names.

A filter says whether a flow runs at a time, which it sees in the clock's own zone; an adjustment moves it.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from flowstead_server.domain.clocks import occurrences, wall_of
from flowstead_server.domain.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Filter = Callable[[datetime], bool]
    Adjustment = Callable[[datetime], datetime]

_SATURDAY: Final = 5
_DAYS: Final = 7


def read_filter(data: object) -> Filter:
    """Return the filter that a reference names. Raises BadInputError if there is none of this name and arguments."""
    made: Filter = _read(data, "filters", _FILTERS)
    return made


def read_adjustment(data: object) -> Adjustment:
    """Return the adjustment that a reference names. Raises BadInputError as `read_filter`."""
    made: Adjustment = _read(data, "adjustments", _ADJUSTMENTS)
    return made


def _read(data: object, module: str, makers: Mapping[str, Callable[..., Any]]) -> Any:
    name, arguments = (data.get("fn"), data.get("kwargs") or {}) if isinstance(data, dict) else (data, {})
    maker = makers.get(str(name).removeprefix(f"prefect.schedules.{module}."))
    if maker is None:
        raise BadInputError(f"The schedule's {module} name {str(name)[:80]!r}, which is none of the library's own.")
    try:
        return maker(**{key: _decoded(value) for key, value in arguments.items()})
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BadInputError(f"The arguments of {name!r} in the schedule's {module} cannot be read: {error}.") from error


def _decoded(value: object) -> object:
    if not isinstance(value, str):
        return value
    kind, _, text = value.partition(":")
    if kind == "//datetime":
        return datetime.fromisoformat(text)
    if kind == "//time":
        return time.fromisoformat(text)
    return timedelta(seconds=float(text)) if kind == "//timedelta" else value


def _instant(moment: datetime) -> datetime:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _between(value: Any, first: Any, last: Any) -> bool:
    # a span that ends before it begins contains midnight, or new year
    return bool(first <= value <= last) if first <= last else bool(value >= first or value <= last)


def _on_datetime(dt: datetime) -> Filter:
    exact = _instant(dt)
    return lambda moment: _instant(moment) == exact


def _on_date(month: int, day: int) -> Filter:
    return lambda moment: (moment.month, moment.day) == (month, day)


def _at_time(time: time) -> Filter:  # the arguments have the names that serialized schedules use
    return lambda moment: moment.time() == time


def _between_datetimes(start: datetime, end: datetime) -> Filter:
    first, last = _instant(start), _instant(end)
    return lambda moment: first <= _instant(moment) <= last


def _between_dates(start_month: int, start_day: int, end_month: int, end_day: int) -> Filter:
    first, last = (int(start_month), int(start_day)), (int(end_month), int(end_day))
    return lambda moment: _between((moment.month, moment.day), first, last)


def _between_times(start: time, end: time) -> Filter:
    _between(time(), start, end)
    return lambda moment: _between(moment.time(), start, end)


def _is_day_of_week(day_of_week: int) -> Filter:
    return lambda moment: moment.weekday() == day_of_week


def _add(interval: timedelta) -> Adjustment:
    shift = timedelta(0) + interval
    return lambda moment: (moment.astimezone(UTC) + shift).astimezone(moment.tzinfo)


def _next_weekday(moment: datetime) -> datetime:
    if moment.weekday() < _SATURDAY:
        return moment
    zone = moment.tzinfo or UTC
    wall = wall_of(moment) + timedelta(days=_DAYS - moment.weekday())
    return max(occurrences(wall, zone)).astimezone(zone)


_FILTERS: Final[dict[str, Callable[..., Filter]]] = {
    "on_datetime": _on_datetime,
    "on_date": _on_date,
    "at_time": _at_time,
    "between_datetimes": _between_datetimes,
    "between_dates": _between_dates,
    "between_times": _between_times,
    "is_day_of_week": _is_day_of_week,
    "is_weekday": lambda: lambda moment: moment.weekday() < _SATURDAY,
    "is_weekend": lambda: lambda moment: moment.weekday() >= _SATURDAY,
    "is_month_end": lambda: lambda moment: (moment.date() + timedelta(days=1)).month != moment.month,
    "is_month_start": lambda: lambda moment: moment.day == 1,
}
_ADJUSTMENTS: Final[dict[str, Callable[..., Adjustment]]] = {"add": _add, "next_weekday": lambda: _next_weekday}
