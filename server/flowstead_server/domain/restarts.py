"""Which task runs run again when a flow run that has ended is restarted, and why.

What did not succeed runs again, and so does all that came after it. What succeeded is kept, unless its value is needed
and was not stored: then it runs again for its value alone, and what had used that value before is kept. A list that is
mapped over and has to be made anew takes all its children along, as a position in it means nothing in another list.
Pure: a graph in, a plan out.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Final

from flowstead_server.domain.states import FAILED_NAMES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from uuid import UUID

SUCCEEDED_NAMES: Final = frozenset({"Success", "Cached", "Mapped", "Skipped"})
# Results whose location is no place that a later process could read the value from.
_NOT_STORED: Final = frozenset({"NoResultType", "SecretResult", "ConstantResult"})
_REPEATED_TYPES: Final = ("ResourceSetupTask", "ResourceCleanupTask")
# A task whose trigger failed never ran.
_FAILED_ITSELF: Final = FAILED_NAMES - {"TriggerFailed"}
_HAVE_VALUES: Final = frozenset({"Success", "Cached"})
_NO_CHILD: Final = -1


class Reason(Enum):
    """Why a task run runs again."""

    FAILED = "it had failed"
    UNFINISHED = "it had not ended successfully"
    DOWNSTREAM = "it depends on a task that runs again"
    MAPPED_ANEW = "the list that it is mapped over is made anew"
    RESULT_MISSING = "its result is needed and was not stored"
    NEVER_KEPT = "what it gives is never kept"
    ASKED = "it was asked for"


class _Kind(IntEnum):
    # Looked at again by the engine, so that its inputs are needed; not run again.
    VISIT = 1
    # Run for its value: what has used the value before is kept.
    VALUE = 2
    # Run because its outcome does not count: neither do those after it.
    ANEW = 3


@dataclass(frozen=True, slots=True)
class RunNode:
    """A task run. `map_index` is -1 unless it is a mapped child; `width` is the number of children of a Mapped one.

    `stored`: its state says where its value is kept. `repeated`: the engine runs its task again in every process.
    """

    id: UUID
    task_id: UUID
    map_index: int
    state: str | None
    stored: bool
    repeated: bool = False
    width: int = 0


@dataclass(frozen=True, slots=True)
class Dependency:
    """An edge of the flow. `carries_value`: the downstream task takes the upstream value as an argument."""

    upstream: UUID
    downstream: UUID
    carries_value: bool
    mapped: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """The task runs that run again, with the reason of each, in the order of the given runs; all others are kept."""

    again: Mapping[UUID, Reason]
    kept: int


def is_stored(result: object) -> bool:
    """Return whether a serialized result says where a later process finds the value."""
    if not isinstance(result, dict) or result.get("type") in _NOT_STORED:
        return False
    return isinstance(result.get("location"), str)


def is_repeated(task_type: str | None, result: object) -> bool:
    """Return whether engines run such a task again whenever they come by, because its value is never kept."""
    if isinstance(result, dict) and result.get("type") == "SecretResult":
        return True
    return task_type is not None and task_type.endswith(_REPEATED_TYPES)


def plan_restart(
    runs: Sequence[RunNode], dependencies: Iterable[Dependency], asked: Collection[UUID] = frozenset()
) -> Plan:
    """Decide about the task runs of one flow run; `asked` are ids of tasks whose values are to be made anew."""
    planning = _Planning(runs, dependencies)
    for run in runs:
        planning.judge(run, asked)
    planning.settle()
    again = {run.id: planning.reasons[run.id] for run in runs if run.id in planning.reasons}
    return Plan(again, len(runs) - len(again))


@dataclass(slots=True)
class _Planning:
    runs: Sequence[RunNode]
    dependencies: Iterable[Dependency]
    reasons: dict[UUID, Reason] = field(default_factory=dict)
    _kinds: dict[UUID, _Kind] = field(default_factory=dict)
    _by_task: dict[UUID, dict[int, RunNode]] = field(default_factory=lambda: defaultdict(dict))
    _upstream: dict[UUID, list[Dependency]] = field(default_factory=lambda: defaultdict(list))
    _downstream: dict[UUID, list[Dependency]] = field(default_factory=lambda: defaultdict(list))
    _mapped: set[UUID] = field(default_factory=set)
    _aligned: dict[Dependency, bool] = field(default_factory=dict)
    # Tasks all of whose runs are ANEW, and those all of whose values are needed: a list may have 10,000 children.
    _all_anew: set[UUID] = field(default_factory=set)
    _all_needed: set[UUID] = field(default_factory=set)
    _open: deque[tuple[RunNode, _Kind]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        for run in self.runs:
            self._by_task[run.task_id][run.map_index] = run
        for dependency in self.dependencies:
            self._upstream[dependency.downstream].append(dependency)
            self._downstream[dependency.upstream].append(dependency)
            if dependency.mapped:
                self._mapped.add(dependency.downstream)

    def judge(self, run: RunNode, asked: Collection[UUID]) -> None:
        """Say of one run what follows from its own state."""
        is_parent = run.state == "Mapped"
        if run.state not in SUCCEEDED_NAMES:
            self._push(run, _Kind.ANEW, Reason.FAILED if run.state in _FAILED_ITSELF else Reason.UNFINISHED)
        elif run.repeated:
            self._push(run, _Kind.VALUE, Reason.NEVER_KEPT)
        elif run.task_id in asked and not is_parent:
            self._push(run, _Kind.VALUE, Reason.ASKED)
        elif run.state == "Cached" or (is_parent and len(self._by_task[run.task_id]) - 1 < run.width):
            # A cache entry is checked against the inputs again; children that were never made need theirs.
            self._push(run, _Kind.VISIT)

    def settle(self) -> None:
        """Follow every consequence until nothing new comes of any."""
        while self._open:
            run, kind = self._open.popleft()
            if kind < self._kinds[run.id]:
                continue
            for dependency in self._upstream[run.task_id]:
                if dependency.carries_value:
                    self._need(dependency, run)
            if kind is _Kind.VISIT:
                continue
            for dependency in self._downstream[run.task_id]:
                self._follow(dependency, run, kind)
            if kind is _Kind.ANEW and run.map_index == _NO_CHILD and run.task_id in self._mapped:
                self._push_all(run.task_id, Reason.MAPPED_ANEW)

    def _push(self, run: RunNode, kind: _Kind, reason: Reason | None = None) -> None:
        if kind <= self._kinds.get(run.id, 0):
            return
        self._kinds[run.id] = kind
        if reason is not None:
            self.reasons[run.id] = reason
        self._open.append((run, kind))

    def _push_all(self, task_id: UUID, reason: Reason) -> None:
        if task_id not in self._all_anew:
            self._all_anew.add(task_id)
            for run in self._by_task[task_id].values():
                self._push(run, _Kind.ANEW, reason)

    def _need(self, dependency: Dependency, run: RunNode) -> None:
        above = self._by_task[dependency.upstream]
        if dependency.upstream in self._mapped and dependency.mapped and self._is_aligned(dependency):
            if run.map_index != _NO_CHILD and run.map_index in above:
                self._need_value(above[run.map_index])
        elif dependency.upstream not in self._all_needed:
            self._all_needed.add(dependency.upstream)
            for source in above.values():
                self._need_value(source)

    def _need_value(self, run: RunNode) -> None:
        if run.state in _HAVE_VALUES and not run.stored:
            self._push(run, _Kind.VALUE, Reason.RESULT_MISSING)

    def _follow(self, dependency: Dependency, run: RunNode, kind: _Kind) -> None:
        below = self._by_task[dependency.downstream]
        if not dependency.mapped:
            if kind is _Kind.ANEW:
                self._push_all(dependency.downstream, Reason.DOWNSTREAM)
        elif dependency.upstream not in self._mapped or run.map_index == _NO_CHILD or not self._is_aligned(dependency):
            self._push_all(dependency.downstream, Reason.MAPPED_ANEW)
        elif kind is _Kind.ANEW and run.map_index in below:
            self._push(below[run.map_index], _Kind.ANEW, Reason.DOWNSTREAM)

    def _is_aligned(self, dependency: Dependency) -> bool:
        """Whether the children of two mapped tasks belong together by position, as far as their numbers tell.

        Where a mapped task is flattened they do not, and nothing but the numbers is stored of that.
        """
        known = self._aligned.get(dependency)
        if known is None:
            others = [other.upstream for other in self._upstream[dependency.downstream] if other.mapped]
            known = self._aligned[dependency] = self._fit(dependency.downstream, others)
        return known

    def _fit(self, task_id: UUID, mapped_over: list[UUID]) -> bool:
        width = self._width(task_id)
        widths = [self._width(above) for above in mapped_over]
        known = [above for above in widths if above is not None]
        if width is None or not known:
            return True
        return width == min(known) if len(known) == len(widths) else width <= min(known)

    def _width(self, task_id: UUID) -> int | None:
        parent = self._by_task[task_id].get(_NO_CHILD)
        return parent.width if parent is not None and parent.state == "Mapped" else None
