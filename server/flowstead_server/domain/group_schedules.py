"""The schedule of a flow group, as `set_flow_group_schedule` describes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flowstead_server.domain.cron import is_cron
from flowstead_server.domain.errors import BadInputError
from flowstead_server.domain.scheduling import MissedRuns

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

MIN_INTERVAL_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class CronClock:
    """Fires by a cron expression. `parameter_defaults`: null or a JSON object."""

    cron: str
    parameter_defaults: object = None


@dataclass(frozen=True, slots=True)
class IntervalClock:
    """Fires every `interval` seconds. `parameter_defaults`: null or a JSON object."""

    interval: int
    parameter_defaults: object = None


def group_schedule(
    cron_clocks: Sequence[CronClock],
    interval_clocks: Sequence[IntervalClock],
    timezone: str | None,
    now: datetime,
    missed_runs: str | None = None,
) -> dict[str, Any]:
    """Return a serialized schedule: cron clocks first, all starting now on the wall clock of `timezone`, if given.

    `missed_runs` names a MissedRuns policy. Raises BadInputError for an unknown zone or policy, and for a clock that
    nobody can load.
    """
    if missed_runs is not None and missed_runs not in list(MissedRuns):
        raise BadInputError(f"Missed runs can be {', '.join(MissedRuns)}, not {missed_runs[:80]!r}.")
    start = _start(timezone, now)
    crons = [
        _clock("CronClock", {"cron": clock.cron}, clock.parameter_defaults, start, ok=is_cron(clock.cron))
        for clock in cron_clocks
    ]
    intervals = [
        _clock(
            "IntervalClock",
            # on the wire in microseconds
            {"interval": clock.interval * 1_000_000},
            clock.parameter_defaults,
            start,
            ok=clock.interval >= MIN_INTERVAL_SECONDS,
        )
        for clock in interval_clocks
    ]
    policy = {} if missed_runs is None else {"missed_runs": missed_runs}
    return {"type": "Schedule", "clocks": crons + intervals, **policy}


def _start(timezone: str | None, now: datetime) -> dict[str, str] | None:
    if timezone is None:
        return None
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadInputError(f"Invalid timezone provided for schedule: {timezone[:80]}") from None
    return {"dt": now.astimezone(zone).replace(tzinfo=None).isoformat(), "tz": timezone}


def _clock(
    kind: str, members: dict[str, Any], parameter_defaults: object, start: dict[str, str] | None, *, ok: bool
) -> dict[str, Any]:
    clock = {"type": kind, **members}
    if parameter_defaults is not None:
        clock["parameter_defaults"] = parameter_defaults
    clock["start_date"] = start
    if not ok or not isinstance(parameter_defaults, dict | None):
        shown = repr(clock)
        raise BadInputError(f"Invalid clock provided for schedule: {shown[:200]}")
    return clock
