"""Triggers: whether a task may run, given the states of the tasks before it.

A trigger takes `{Edge: State}` and returns True, or raises a signal (`TRIGGERFAIL`, `SKIP`, `PAUSE`) that becomes the
task's state.  A mapped upstream task counts as its children.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from prefect.engine import signals
from prefect.utilities.context import context

if TYPE_CHECKING:
    from prefect.core.edge import Edge
    from prefect.engine.state import State

__all__ = [
    "all_failed",
    "all_finished",
    "all_successful",
    "always_run",
    "any_failed",
    "any_successful",
    "manual_only",
    "not_all_skipped",
    "some_failed",
    "some_successful",
]

Upstream = Mapping["Edge", "State"]


def _expand(upstream_states: Upstream) -> "set[State]":
    found: set[State] = set()
    for state in upstream_states.values():
        if state.is_mapped():
            found.update(child for child in state.map_states if child is not None)  # type: ignore[attr-defined]
        else:
            found.add(state)
    return found


def all_finished(upstream_states: Upstream) -> bool:
    """Run when all upstream tasks have ended, in any way."""
    if not all(state.is_finished() for state in _expand(upstream_states)):
        raise signals.TRIGGERFAIL('Trigger was "all_finished" but some of the upstream tasks were not finished.')
    return True


always_run = all_finished


def manual_only(upstream_states: Upstream) -> bool:
    """Run only when a person resumed the task."""
    if context.get("resume"):
        return True
    raise signals.PAUSE('Trigger function is "manual_only"')


def all_successful(upstream_states: Upstream) -> bool:
    """Run when all upstream tasks succeeded; the default."""
    if not all(state.is_successful() for state in _expand(upstream_states)):
        raise signals.TRIGGERFAIL('Trigger was "all_successful" but some of the upstream tasks failed.')
    return True


def not_all_skipped(upstream_states: Upstream) -> bool:
    """Run when all upstream tasks succeeded and not all of them were skipped."""
    states = _expand(upstream_states)
    if all(state.is_skipped() for state in states):
        raise signals.SKIP("All upstreams were skipped", result=None)
    if not all(state.is_successful() for state in states):
        raise signals.TRIGGERFAIL('Trigger was "not_all_skipped" but some of the upstream tasks failed.')
    return True


def all_failed(upstream_states: Upstream) -> bool:
    """Run when all upstream tasks failed."""
    if not all(state.is_failed() for state in _expand(upstream_states)):
        raise signals.TRIGGERFAIL('Trigger was "all_failed" but some of the upstream tasks succeeded.')
    return True


def any_successful(upstream_states: Upstream) -> bool:
    """Run when at least one upstream task succeeded, or there is none."""
    states = _expand(upstream_states)
    if states and not any(state.is_successful() for state in states):
        raise signals.TRIGGERFAIL('Trigger was "any_successful" but none of the upstream tasks succeeded.')
    return True


def any_failed(upstream_states: Upstream) -> bool:
    """Run when at least one upstream task failed, or there is none."""
    states = _expand(upstream_states)
    if states and not any(state.is_failed() for state in states):
        raise signals.TRIGGERFAIL('Trigger was "any_failed" but none of the upstream tasks failed.')
    return True


def _within(count: int, total: int, at_least: float | None, at_most: float | None) -> bool:
    def absolute(bound: float) -> float:
        return bound * total if bound < 1 else bound

    if at_least is not None and count < absolute(at_least):
        return False
    return at_most is None or count <= absolute(at_most)


def _counting(
    name: str, counts: "Callable[[State], bool]", at_least: float | None, at_most: float | None
) -> Callable[[Upstream], bool]:
    def trigger(upstream_states: Upstream) -> bool:
        states = _expand(upstream_states)
        if not states:
            return True
        if not _within(sum(counts(state) for state in states), len(states), at_least, at_most):
            raise signals.TRIGGERFAIL(f'Trigger was "{name}" but thresholds were not met.')
        return True

    # Serialization names a trigger by its factory and arguments.
    arguments: dict[str, Any] = {"at_least": at_least, "at_most": at_most}
    trigger.__name__ = name
    trigger.__qualname__ = name
    trigger.factory_kwargs = arguments  # type: ignore[attr-defined]
    return trigger


def some_failed(at_least: float | None = None, at_most: float | None = None) -> Callable[[Upstream], bool]:
    """Return a trigger: run when the number of failed upstream tasks is within bounds (below 1: fractions of all)."""
    return _counting("some_failed", lambda state: state.is_failed(), at_least, at_most)


def some_successful(at_least: float | None = None, at_most: float | None = None) -> Callable[[Upstream], bool]:
    """Return a trigger: run when the number of successful upstream tasks is within bounds (below 1: fractions)."""
    return _counting("some_successful", lambda state: state.is_successful(), at_least, at_most)
