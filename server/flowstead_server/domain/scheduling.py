"""Which runs a flow's schedule asks for now: a pure decision that is given the clock.

Two memories make it exact. `through` is the tick up to which runs have been asked for: what lies between it and now was
missed, because no server was there, and is dealt with by a policy. And each run has an idempotency key made of its
time, parameters and labels, so that asking twice makes one run.
"""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import orjson

from flowstead_server.domain.schedules import MAX_CANDIDATES, Event, Schedule, Search

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_CAUGHT_UP: Final = 1000
_SOONEST: Final = timedelta(seconds=1)
_LATEST: Final = timedelta(days=1)


class MissedRuns(StrEnum):
    """What becomes of runs whose time came while no server was there to make them."""

    SKIP = "skip"
    LATEST = "latest"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulingRules:
    """`ahead`: how many runs of a flow are kept waiting. `missed_runs`: what becomes of those that were missed."""

    ahead: int = 10
    missed_runs: MissedRuns = MissedRuns.SKIP


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do for one flow. `runs`: those to create, in order; `through`: up to which tick they go.

    `policy`: what was done about missed runs. `due`: when to look again, null if the schedule has ended. `missed`: how
    many runs were missed, from `missed_from` to `missed_to`, of which `caught_up` are among `runs`; `more_missed` if
    there may be more.
    """

    runs: Sequence[Event]
    due: datetime | None
    through: datetime
    policy: MissedRuns
    missed: int = 0
    missed_from: datetime | None = None
    missed_to: datetime | None = None
    more_missed: bool = False
    caught_up: int = 0


def plan(
    schedule: Schedule, *, now: datetime, through: datetime | None, rules: SchedulingRules, spread: int = 0
) -> Plan:
    """Decide for one flow at `now` (UTC). Null `through`: its schedule was just set or switched on.

    It is looked again when up to half of the times of the waiting runs have come; `spread`, a number that flows differ
    in, says when exactly, so that those with the same times do not all come at once.
    """
    ahead = rules.ahead
    cursor = now if through is None else through
    missed = _missed(schedule, cursor, now, rules.missed_runs) if cursor < now else _Missed()
    search = Search(now)
    coming: list[Event] = []
    for event in schedule.events(now, search):
        # What comes at one time is taken together, because `through` cannot say how much of it was.
        if len(coming) >= ahead and event.tick > coming[-1].tick:
            break
        if event.start > now:
            coming.append(event)
    new = [*missed.to_come, *(event for event in coming if event.tick > cursor)]
    if len(coming) >= ahead:
        due: datetime | None = coming[min(1 + spread % max(1, ahead // 2), len(coming) - 1)].tick
    elif search.ended and search.candidates == 0:
        due = None
    else:
        # Few of the candidates pass, or the schedule ends soon.
        due = search.seen_to
    if due is not None:
        due = min(max(due, now + _SOONEST), now + _LATEST)
    return Plan(
        runs=[*missed.caught_up, *new],
        due=due,
        through=max([cursor, now, *(event.tick for event in new)]),
        policy=rules.missed_runs,
        missed=missed.count,
        missed_from=missed.first,
        missed_to=missed.last,
        more_missed=missed.more,
        caught_up=len(missed.caught_up),
    )


@dataclass(frozen=True, slots=True)
class _Missed:
    count: int = 0
    first: datetime | None = None
    last: datetime | None = None
    more: bool = False
    caught_up: Sequence[Event] = ()
    to_come: Sequence[Event] = ()


def _missed(schedule: Schedule, after: datetime, now: datetime, policy: MissedRuns) -> _Missed:
    kept: deque[Event] = deque(maxlen={MissedRuns.SKIP: 0, MissedRuns.LATEST: 1, MissedRuns.ALL: MAX_CAUGHT_UP}[policy])
    count, first, last = 0, None, None
    to_come: list[Event] = []
    search = Search(after)
    for event in schedule.events(after, search):
        if event.tick > now:
            break
        if event.start > now:
            # The clock has ticked, but an adjustment moved the run into what is still to come.
            to_come.append(event)
            continue
        count, first, last = count + 1, first or event.start, event.start
        kept.append(event)
    more = search.candidates >= MAX_CANDIDATES and search.seen_to <= now
    caught_up: Sequence[Event] = list(kept)
    if more and kept and policy is MissedRuns.LATEST:
        # Too many to go through: half of them, counted back from now, certainly lead up to it.
        caught_up = _missed(schedule, now - (search.seen_to - after) / 2, now, policy).caught_up or caught_up
    return _Missed(count, first, last, more, caught_up, to_come)


def own_policy(schedule: object, otherwise: MissedRuns) -> MissedRuns:
    """Return the policy that a serialized schedule names as `missed_runs`, if it names one."""
    named = schedule.get("missed_runs") if isinstance(schedule, dict) else None
    return MissedRuns(named) if named in list(MissedRuns) else otherwise


def idempotency_key(event: Event) -> str:
    """Return what makes a run of an event one of its kind within its flow."""
    key = f"auto-scheduled:{event.start.isoformat()}"
    if not event.parameter_defaults and event.labels is None:
        return key
    wishes = orjson.dumps([event.parameter_defaults, event.labels], option=orjson.OPT_SORT_KEYS)
    return f"{key}:{hashlib.sha256(wishes).hexdigest()[:32]}"
