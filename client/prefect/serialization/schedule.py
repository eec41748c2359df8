"""Schedules and clocks.

Only the library's own filters and adjustments can be described; others raise `ValueError`, as do intervals below a
minute.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import pendulum

from prefect._version import __version__
from prefect.schedules import adjustments, filters
from prefect.schedules.clocks import Clock, CronClock, DatesClock, IntervalClock, RRuleClock
from prefect.schedules.schedules import Schedule
from prefect.serialization.functions import function_from_dict, function_to_dict
from prefect.utilities.datetimes import as_datetime

__all__ = ["clock_from_dict", "clock_to_dict", "schedule_from_dict", "schedule_to_dict"]

_OWN = {module.__name__: frozenset(module.__all__) for module in (filters, adjustments)}
_SHORTEST = timedelta(minutes=1)


def _date_to_dict(date: Any) -> dict[str, Any] | None:
    if date is None:
        return None
    moment = as_datetime(date)
    name = moment.timezone_name
    if not name or name[0] in "+-":
        # Fixed offsets have no name that other machines know.
        moment, name = moment.in_timezone("UTC"), "UTC"
    return {"dt": moment.naive().isoformat(), "tz": name}


def _date_from_dict(data: Any) -> Any:
    if not data:
        return None
    if isinstance(data, str):
        return as_datetime(data)
    return pendulum.instance(datetime.fromisoformat(data["dt"]), tz=data.get("tz") or "UTC")


def _zone_name(moment: Any) -> str | None:
    # ISO 8601 keeps the offset only, and with it a rule would lose its time of day when clocks change.
    name = as_datetime(moment).timezone_name if moment is not None and moment.tzinfo is not None else None
    return name if name and name[0] not in "+-" else None


def _rule_to_dict(rule: Any) -> dict[str, Any]:
    def iso(moment: Any) -> str | None:
        return as_datetime(moment).isoformat() if moment is not None else None

    start, until = getattr(rule, "_dtstart", None), getattr(rule, "_until", None)
    return {"rr": str(rule), "_dtstart": iso(start), "_until": iso(until), "_tz": _zone_name(start)}


def _rrule_to_dict(rule: Any) -> dict[str, Any]:
    from dateutil import rrule  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415 - few use it

    if isinstance(rule, rrule.rrule):
        return {"type": "rrule", **_rule_to_dict(rule)}
    members = vars(rule)
    return {
        "type": "rruleset",
        "_rrule": [_rule_to_dict(item) for item in members["_rrule"]],
        "_rdate": [as_datetime(item).isoformat() for item in members["_rdate"]],
        "_exrule": [_rule_to_dict(item) for item in members["_exrule"]],
        "_exdate": [as_datetime(item).isoformat() for item in members["_exdate"]],
    }


def _rule_from_dict(data: Mapping[str, Any]) -> Any:
    from dateutil import rrule  # noqa: PLC0415 - few use it

    rule = rrule.rrulestr(data["rr"])
    changes = {name: as_datetime(data[f"_{name}"]) for name in ("dtstart", "until") if data.get(f"_{name}") is not None}
    if data.get("_tz") and "dtstart" in changes:
        changes["dtstart"] = changes["dtstart"].in_timezone(data["_tz"])
    return rule.replace(**changes) if changes else rule


def _rrule_from_dict(data: Mapping[str, Any]) -> Any:
    from dateutil import rrule  # noqa: PLC0415 - few use it

    if data.get("type") != "rruleset":
        return _rule_from_dict(data)
    rules = rrule.rruleset()
    for item in data.get("_rrule") or ():
        rules.rrule(_rule_from_dict(item))
    for item in data.get("_exrule") or ():
        rules.exrule(_rule_from_dict(item))
    for item in data.get("_rdate") or ():
        rules.rdate(as_datetime(item))
    for item in data.get("_exdate") or ():
        rules.exdate(as_datetime(item))
    return rules


def clock_to_dict(clock: Clock) -> dict[str, Any]:
    """Return a clock as JSON-able data; raises `ValueError` for an interval below a minute."""
    data: dict[str, Any] = {
        "type": type(clock).__name__,
        "parameter_defaults": clock.parameter_defaults,
        "labels": clock.labels,
        "__version__": __version__,
    }
    if isinstance(clock, DatesClock):
        return data | {"dates": [_date_to_dict(date) for date in clock.dates]}
    data |= {"start_date": _date_to_dict(clock.start_date), "end_date": _date_to_dict(clock.end_date)}
    if isinstance(clock, IntervalClock):
        if clock.interval < _SHORTEST:
            raise ValueError("Interval can not be less than one minute when deploying to Prefect Cloud.")
        return data | {"interval": clock.interval // timedelta(microseconds=1)}
    if isinstance(clock, CronClock):
        return data | {"cron": clock.cron, "day_or": clock.day_or}
    if isinstance(clock, RRuleClock):
        return data | {"rrule_obj": _rrule_to_dict(clock.rrule_obj)}
    raise ValueError(f"A clock of type {type(clock).__name__!r} cannot be registered; use one of the library's own.")


def clock_from_dict(data: Mapping[str, Any]) -> Clock:
    """Return the clock of JSON-able data; raises `ValueError` if its type is not known."""
    common = {"parameter_defaults": data.get("parameter_defaults"), "labels": data.get("labels")}
    kind = data.get("type")
    if kind == "DatesClock":
        return DatesClock([_date_from_dict(date) for date in data["dates"]], **common)
    common |= {"start_date": _date_from_dict(data.get("start_date")), "end_date": _date_from_dict(data.get("end_date"))}
    if kind == "IntervalClock":
        return IntervalClock(timedelta(microseconds=data["interval"]), **common)
    if kind == "CronClock":
        return CronClock(data["cron"], day_or=data.get("day_or"), **common)
    if kind == "RRuleClock":
        return RRuleClock(_rrule_from_dict(data["rrule_obj"]), **common)
    raise ValueError(f"There is no clock of type {kind!r}.")


def _functions(name: str, functions: Iterable[Callable[..., Any]]) -> list[dict[str, Any]]:
    described = []
    for function in functions:
        data = function_to_dict(function)
        module, _, attribute = data["fn"].rpartition(".")
        if attribute not in _OWN.get(module, ()):
            raise ValueError(
                f"When running with Prefect Cloud/Server, custom functions aren't supported for `Schedule.{name}`. "
                f"Unable to serialize `{function!r}`."
            )
        described.append(data)
    return described


def schedule_to_dict(schedule: Schedule) -> dict[str, Any]:
    """Return a schedule as JSON-able data."""
    return {
        "clocks": [clock_to_dict(clock) for clock in schedule.clocks],
        "filters": _functions("filters", schedule.filters),
        "or_filters": _functions("or_filters", schedule.or_filters),
        "not_filters": _functions("not_filters", schedule.not_filters),
        "adjustments": _functions("adjustments", schedule.adjustments),
        "type": "Schedule",
        "__version__": __version__,
    }


def schedule_from_dict(data: Mapping[str, Any]) -> Schedule:
    """Return the schedule of JSON-able data."""
    names = ("filters", "or_filters", "not_filters", "adjustments")
    functions = {name: [function_from_dict(item) for item in data.get(name) or ()] for name in names}
    return Schedule([clock_from_dict(clock) for clock in data.get("clocks") or ()], **functions)
