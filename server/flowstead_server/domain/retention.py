"""How long logs and finished flow runs are kept: the rules, and pure decisions that are given the clock.

A rule is about one state, or about all states that are kinds of it: `Finished` is about all of them. What a project
says goes before what the server says, and of several rules the one for the most special state holds. Only finished runs
are ever forgotten, with all that hangs on them; a run's log is kept no longer than the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from flowstead_server.domain.errors import BadInputError
from flowstead_server.domain.states import FINISHED_NAMES, state_hierarchy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date
    from uuid import UUID

MOST_DAYS: Final = 36_500
"""A hundred years: as good as for ever."""

ALL_STATES: Final = "Finished"
FINISHED: Final = tuple(sorted(FINISHED_NAMES))
# The states that a finished state is a kind of, the most special first: itself, and at the end `Finished`.
_LINEAGE: Final = {
    name: sorted(
        (above for above, below in state_hierarchy().items() if name in below and above in FINISHED_NAMES),
        key=lambda above: len(state_hierarchy()[above]),
    )
    for name in FINISHED
}
_A_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Rule:
    """For how many days after their end runs in a state, or a kind of it, keep their log and are kept; null: unsaid."""

    state: str
    logs_days: int | None = None
    runs_days: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the rule as it is stored."""
        return {"state": self.state, "logs_days": self.logs_days, "runs_days": self.runs_days}


# Generous, because they hold for everybody who has not thought about it.
DEFAULT_RULES: Final = (Rule(ALL_STATES, logs_days=90, runs_days=365), Rule("Failed", logs_days=180, runs_days=730))


@dataclass(frozen=True, slots=True)
class Kept:
    """For how many days runs in one state keep their log and are kept; `is_own`: the project says so."""

    state: str
    logs_days: int
    runs_days: int
    is_own: bool


@dataclass(frozen=True, slots=True)
class Cutoff:
    """Runs in `state` that ended before these moments lose their log, or go. Null project: those without own rules."""

    project_id: UUID | None
    state: str
    logs_before: datetime
    runs_before: datetime


def check_rules(rules: Sequence[Rule]) -> None:
    """Check the rules of a project.

    Raises:
        BadInputError: a state is not a finished one or comes twice, or a number of days makes no sense.
    """
    seen: set[str] = set()
    for rule in rules:
        if rule.state not in FINISHED_NAMES:
            raise BadInputError(
                f"Retention is about finished states, and {rule.state[:80]!r} is none; the finished states are "
                f"{', '.join(FINISHED)}."
            )
        if rule.state in seen:
            raise BadInputError(f"There are two retention rules for the state {rule.state}; give one for each state.")
        seen.add(rule.state)
        if rule.logs_days is None and rule.runs_days is None:
            raise BadInputError(
                f"The retention rule for the state {rule.state} says nothing; give logs_days, runs_days or both."
            )
        for name, days in (("logs_days", rule.logs_days), ("runs_days", rule.runs_days)):
            if days is not None and not 1 <= days <= MOST_DAYS:
                raise BadInputError(
                    f"{name} of the retention rule for the state {rule.state} must be between 1 and {MOST_DAYS} days, "
                    f"not {days}."
                )


def kept(state: str, own: Iterable[Rule], defaults: Iterable[Rule]) -> Kept:
    """Return how long runs in a finished state are kept, by a project's own rules and those of the server."""
    by_state = [{rule.state: rule for rule in rules} for rules in (own, defaults, DEFAULT_RULES)]
    found: dict[str, int] = {}
    is_own = False
    for source, rules in enumerate(by_state):
        for name in _LINEAGE[state]:
            rule = rules.get(name)
            for member in ("logs_days", "runs_days"):
                days: int | None = None if rule is None else getattr(rule, member)
                if days is not None and member not in found:
                    found[member] = days
                    is_own = is_own or source == 0
    return Kept(state, min(found["logs_days"], found["runs_days"]), found["runs_days"], is_own)


def cutoffs(now: datetime, defaults: Sequence[Rule], own: Mapping[UUID, Sequence[Rule]]) -> list[Cutoff]:
    """Return the moments before which is forgotten, for every finished state, at `now`.

    Args:
        now: the database's clock.
        defaults: rules of the server.
        own: rules of the projects that have some.
    """
    found: list[Cutoff] = []
    everybody: list[tuple[UUID | None, Sequence[Rule]]] = [(None, ()), *own.items()]
    for project_id, rules in everybody:
        for state in FINISHED:
            days = kept(state, rules, defaults)
            found.append(
                Cutoff(
                    project_id,
                    state,
                    now - timedelta(days=days.logs_days),
                    now - timedelta(days=days.runs_days),
                )
            )
    return found


def unowned(all_cutoffs: Iterable[Cutoff]) -> Cutoff:
    """Return the cutoff for what belongs to no run: for log lines as for logs, for messages as for runs."""
    return next(one for one in all_cutoffs if one.project_id is None and one.state == ALL_STATES)


def days_to_look_at(days: Iterable[date], all_cutoffs: Iterable[Cutoff]) -> list[date]:
    """Return the days of the log, oldest first, that have ended before the latest moment from which a log is kept."""
    latest = max(one.logs_before for one in all_cutoffs)
    return sorted(day for day in days if end_of(day) <= latest)


def start_of(day: date) -> datetime:
    """Return the first moment of a day of the log, which is one of UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def end_of(day: date) -> datetime:
    """Return the first moment after a day of the log."""
    return start_of(day) + _A_DAY


class Action(Enum):
    """What becomes of a day of the log."""

    KEEP = "keep"
    DELETE = "delete"
    """Some lines go, some stay."""
    WAIT = "wait"
    """Within a day all lines may go; dropping the table then costs less than deleting most of them now."""
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class DayOfLog:
    """Whose lines a day of the log holds: how many runs, how many of them may lose their log now, and in a day's time.

    Lines without a run, or whose run is gone, count as one more run each.
    """

    runs: int
    expired: int
    soon: int


def decide(day: DayOfLog) -> Action:
    """Decide about a day of the log that has ended before any log is kept from."""
    if day.expired == day.runs:
        return Action.DROP
    if day.soon == day.runs:
        return Action.WAIT
    return Action.DELETE if day.expired else Action.KEEP
