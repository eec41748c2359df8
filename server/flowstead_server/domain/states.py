"""The state names, what they imply, and the transition table as data.

The old server let any state follow any state. Here a pair is refused only when it can come from nothing but a stale
copy of a run: the table below is the whole rule, and the documentation's diagram and the test are made from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEDULED_NAMES: Final = frozenset({"Scheduled", "Paused", "Resume", "Retrying", "Queued"})
RUNNING_NAMES: Final = frozenset({"Running", "Cancelling"})
FAILED_NAMES: Final = frozenset({"Failed", "TimedOut", "TriggerFailed", "ValidationFailed"})
FINISHED_NAMES: Final = FAILED_NAMES | {"Finished", "Looped", "Success", "Cached", "Mapped", "Skipped", "Cancelled"}
# The names that set end_time. Derived finished states such as Skipped do not, as on the old server.
ENDING_NAMES: Final = frozenset({"Success", "Failed", "Cached", "TimedOut", "Looped", "Cancelled"})
# States that wrap another one.
META_NAMES: Final = frozenset({"Submitted", "Queued", "ClientFailed"})
STATE_NAMES: Final = FINISHED_NAMES | RUNNING_NAMES | SCHEDULED_NAMES | META_NAMES | {"Pending"}

ROOT_STATE: Final = "State"
# Each state's parent, and the colour of its dots and bars.
_TREE: Final = {
    "Pending": (ROOT_STATE, "#7ebdff"),
    "Scheduled": ("Pending", "#ffab00"),
    "Paused": ("Scheduled", "#99a8e8"),
    "Resume": ("Scheduled", "#f58c0c"),
    "Retrying": ("Scheduled", "#f66a0a"),
    "Submitted": (ROOT_STATE, "#ffdf5d"),
    "Queued": (ROOT_STATE, "#ffea7f"),
    "ClientFailed": (ROOT_STATE, "#eb0000"),
    "Running": (ROOT_STATE, "#3d67ff"),
    "Cancelling": ("Running", "#E8E8E8"),
    "Finished": (ROOT_STATE, "#003ccb"),
    "Looped": ("Finished", "#003ccb"),
    "Success": ("Finished", "#28a745"),
    "Cached": ("Success", "#34d058"),
    "Mapped": ("Success", "#003ccb"),
    "Skipped": ("Success", "#62757f"),
    "Failed": ("Finished", "#eb0000"),
    "TimedOut": ("Failed", "#ff4e33"),
    "TriggerFailed": ("Failed", "#ff5131"),
    "ValidationFailed": ("Failed", "#ff5131"),
    "Cancelled": ("Finished", "#bdbdbd"),
}


def state_hierarchy() -> dict[str, list[str]]:
    """Return for every state name, and for the root of all, that name and those of all states below it."""
    below: dict[str, list[str]] = {name: [name] for name in (ROOT_STATE, *_TREE)}
    for name in _TREE:
        above = name
        while above != ROOT_STATE:
            above = _TREE[above][0]
            below[above].append(name)
    return below


def state_colors() -> dict[str, str]:
    """Return the colour of every state name, as `#rrggbb`."""
    return {name: color for name, (_, color) in _TREE.items()}


class Family(Enum):
    """States that the transition table does not tell apart."""

    NEW = "new"
    PENDING = "pending"
    SCHEDULED = "scheduled"
    SUBMITTED = "submitted"
    RUNNING = "running"
    CANCELLING = "cancelling"
    CLIENT_FAILED = "client failed"
    REPEATABLE = "repeatable"
    FINISHED = "finished"


class Subject(Enum):
    """What changes state."""

    FLOW_RUN = "flow run"
    TASK_RUN = "task run"


class Rule(Enum):
    """What becomes of a requested change."""

    ALLOW = "allow"
    ALREADY_SUBMITTED = "already submitted"
    STALE = "stale"


_FAMILIES: Final[Mapping[str, Family]] = {
    "Pending": Family.PENDING,
    **dict.fromkeys(SCHEDULED_NAMES, Family.SCHEDULED),
    "Submitted": Family.SUBMITTED,
    "Running": Family.RUNNING,
    "Cancelling": Family.CANCELLING,
    "ClientFailed": Family.CLIENT_FAILED,
    **dict.fromkeys(FINISHED_NAMES, Family.FINISHED),
    # A task run goes on from these: the next round of a loop, a cache entry that has expired, a mapped parent that is
    # visited again. A flow run is never in them.
    **dict.fromkeys(("Looped", "Cached", "Mapped"), Family.REPEATABLE),
}

_EVERYTHING: Final = frozenset(Family) - {Family.NEW}
_LIVE: Final = frozenset({Family.RUNNING, Family.CANCELLING})


def _row(*, stale: frozenset[Family] = frozenset(), submitted: Rule = Rule.ALLOW) -> dict[Family, Rule]:
    row = {target: Rule.STALE if target in stale else Rule.ALLOW for target in _EVERYTHING}
    return row | {Family.SUBMITTED: submitted}


_ONLY_RUNNING: Final = frozenset({Family.RUNNING})

TRANSITIONS: Final[Mapping[Subject, Mapping[Family, Mapping[Family, Rule]]]] = {
    Subject.FLOW_RUN: {
        Family.NEW: _row(),
        Family.PENDING: _row(),
        Family.SCHEDULED: _row(),
        # a second agent that saw the run waiting
        Family.SUBMITTED: _row(submitted=Rule.ALREADY_SUBMITTED),
        Family.RUNNING: _row(submitted=Rule.ALREADY_SUBMITTED),
        # only a process that has not yet heard of the cancellation says Running
        Family.CANCELLING: _row(stale=_ONLY_RUNNING, submitted=Rule.ALREADY_SUBMITTED),
        Family.CLIENT_FAILED: _row(),
        # a restart goes through a scheduled state
        Family.FINISHED: _row(stale=_LIVE, submitted=Rule.ALREADY_SUBMITTED),
        Family.REPEATABLE: _row(stale=_LIVE, submitted=Rule.ALREADY_SUBMITTED),
    },
    Subject.TASK_RUN: {
        Family.NEW: _row(),
        Family.PENDING: _row(),
        Family.SCHEDULED: _row(),
        Family.SUBMITTED: _row(),
        Family.RUNNING: _row(),
        Family.CANCELLING: _row(),
        Family.CLIENT_FAILED: _row(),
        Family.REPEATABLE: _row(),
        Family.FINISHED: _row(stale=_LIVE, submitted=Rule.STALE),
    },
}


def family(name: str | None) -> Family:
    """Return the family of a state name (null: a run without a state). Raises KeyError for an unknown name."""
    return Family.NEW if name is None else _FAMILIES[name]


def transition(subject: Subject, current: str | None, requested: str) -> Rule:
    """Return what becomes of a change from one state name to another."""
    return TRANSITIONS[subject][family(current)][family(requested)]


@dataclass(frozen=True, slots=True)
class Classification:
    """The predicates over one state name that rules use."""

    is_scheduled: bool
    is_running: bool
    is_finished: bool
    is_failed: bool


def classify(name: str | None) -> Classification:
    """Return the predicates of a state name; all false for null."""
    return Classification(
        is_scheduled=name in SCHEDULED_NAMES,
        is_running=name in RUNNING_NAMES,
        is_finished=name in FINISHED_NAMES,
        is_failed=name in FAILED_NAMES,
    )
