"""`TaskRunner`: takes one task (or one mapped child) from state to state through `PIPELINE`.

A run always returns a state.  Only what steers the process (`KeyboardInterrupt`, `SystemExit`) and, for debugging,
what `prefect.context.raise_on_exception` lets through, is raised.
"""

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from prefect.engine import task_steps as steps
from prefect.engine.result import Result
from prefect.engine.runner import ENDRUN, Runner, call_state_handlers, unwrap_state
from prefect.engine.signals import PrefectStateSignal
from prefect.engine.state import Cached, Failed, Looped, Paused, Pending, Resume, Retrying, State
from prefect.engine.task_steps import TaskRun
from prefect.utilities.context import context as prefect_context
from prefect.utilities.datetimes import utcnow
from prefect.utilities.logging import get_logger

if TYPE_CHECKING:
    from prefect.core.edge import Edge
    from prefect.core.task import Task

__all__ = ["PIPELINE", "TaskRunner"]


class Step(NamedTuple):
    """A step of the pipeline; an unguarded one changes what the run knows, not its state."""

    take: Callable[[TaskRun, State], State]
    guarded: bool = True


PIPELINE = (
    Step(steps.check_task_is_ready),
    Step(steps.check_start_time),
    Step(steps.check_upstream_finished),
    Step(steps.check_upstream_skipped),
    Step(steps.load_results, guarded=False),
    Step(steps.gather_inputs, guarded=False),
    Step(steps.map_parent),
    Step(steps.set_task_run_name, guarded=False),
    Step(steps.check_target_or_cache),
    Step(steps.check_trigger),
    Step(steps.set_running),
    Step(steps.run_task),
    Step(steps.cache_result),
    Step(steps.check_for_retry),
)


class TaskRunner(Runner):
    """Runs `task`; its values are kept with the task's own result, else a copy of `flow_result`, else in memory."""

    def __init__(
        self,
        task: "Task",
        state_handlers: Sequence[Callable[..., Any]] | None = None,
        flow_result: Result | None = None,
    ) -> None:
        self.task = task
        if task.result is not None:
            self.result = task.result
        else:
            self.result = flow_result.copy() if flow_result is not None else Result()
        super().__init__(state_handlers=state_handlers)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.task.name}>"

    # -- what a backend does differently -----------------------------------------------------------------------------

    def call_runner_target_handlers(self, old_state: State, new_state: State) -> State:
        """Call the task's state handlers."""
        self.logger.debug(
            "Task '%s': Handling state change from %s to %s",
            prefect_context.get("task_full_name", self.task.name),
            type(old_state).__name__,
            type(new_state).__name__,
        )
        return call_state_handlers(self.task.state_handlers, self.task, old_state, new_state)

    def load_upstream_results(self, state: State, upstream_states: "dict[Edge, State]") -> "dict[Edge, State]":
        """Return the upstream states with their values; here they are always in memory."""
        return upstream_states

    def report_task_run_name(self, name: str) -> None:
        """Tell whoever keeps the run what it is called; here nobody does."""

    def check_task_is_cached(self, run: TaskRun, state: State) -> State:
        """Return a valid Cached state (the given one, or one from `prefect.context.caches`), else one that can run."""
        parameters = prefect_context.get("parameters")
        validator = self.task.cache_validator
        if isinstance(state, Cached) and validator(state, run.values(), parameters):
            return state
        if self.task.cache_for is not None:
            caches = prefect_context.get("caches") or {}
            for candidate in caches.get(self.task.cache_key or self.task.name, ()):
                if validator(candidate, run.values(), parameters):
                    found: State = candidate
                    return found
            self.logger.warning("Task '%s': Can't use cache because it is now invalid", run.name)
        if isinstance(state, Cached):
            return Pending("Cache was invalid; ready to run.")
        return state

    def initialize_run(self, state: State | None, context: dict[str, Any]) -> tuple[State, dict[str, Any]]:
        """Return the state to begin with and what the context gains; raises `ENDRUN` if the run cannot begin."""
        state = unwrap_state(state)
        if isinstance(state, Retrying):
            context["task_run_count"] = state.run_count + 1
        else:
            context["task_run_count"] = state.context.get("task_run_count", 1)
        if isinstance(state, Resume) or (
            isinstance(state, Paused) and state.start_time is not None and state.start_time <= utcnow()
        ):
            context["resume"] = True
        if "_loop_count" in state.context:
            context["task_loop_count"] = state.context["_loop_count"]
            context["task_loop_result"] = state.result
            context["_task_loop_result"] = state._result  # noqa: SLF001 - states and engine are one part
        if "checkpointing" not in prefect_context:
            context["checkpointing"] = steps.default_checkpointing()
        context["task_full_name"] = self._full_name(context)
        context["logger"] = get_logger(context["task_full_name"])
        if self.task.target:
            self.result.location = self.task.target
        return state, context

    def _full_name(self, context: dict[str, Any]) -> str:
        map_index = context.get("map_index", prefect_context.get("map_index"))
        return self.task.name if map_index is None else f"{self.task.name}[{map_index}]"

    # -- the run -----------------------------------------------------------------------------------------------------

    def run(
        self,
        state: State | None = None,
        upstream_states: "dict[Edge, State] | None" = None,
        context: dict[str, Any] | None = None,
        is_mapped_parent: bool = False,
    ) -> State:
        """Run the task from `state` on (default Pending), given the states before it; returns the state it ends in."""
        given = {"map_index": None, "task_name": self.task.name, **(context or {})}
        if "task_tags" not in given:
            given["task_tags"] = self.task.tags
        with prefect_context(given):
            name = self._full_name(given)
            if "task_loop_count" not in prefect_context:
                self.logger.info("Task '%s': Starting task run...", name)
            try:
                end = self._run_to_end(state, dict(upstream_states or {}), is_mapped_parent, name)
            except Exception as error:
                if prefect_context.get("raise_on_exception"):
                    raise
                message = f"Task '{name}': Unexpected error while running task: {error!r}"
                self.logger.exception(message)
                end = Failed(message, result=error)
            self.logger.info("Task '%s': Finished task run for task with final state: '%s'", name, type(end).__name__)
            return end

    def _run_to_end(
        self, state: State | None, upstream_states: "dict[Edge, State]", is_mapped_parent: bool, name: str
    ) -> State:
        while True:
            try:
                state, gained = self.initialize_run(state, {})
                prefect_context.update(gained)
                run = TaskRun(self, self.task, name, upstream_states, is_mapped_parent)
                state = self._run_pipeline(run, state)
            except ENDRUN as end:
                state = end.state
            except PrefectStateSignal as signal:
                self.logger.info("%s signal raised: %r", type(signal).__name__, signal)
                state = signal.state
            if not isinstance(state, Looped):
                return state
            prefect_context.update(
                task_loop_count=state.loop_count + 1,
                task_loop_result=state.result,
                _task_loop_result=state._result,  # noqa: SLF001 - states and engine are one part
            )
            next_state = Pending(f"Looping task (on loop index {state.loop_count})")
            next_state.context["task_run_count"] = prefect_context.get("task_run_count", 1)
            state = next_state

    def _run_pipeline(self, run: TaskRun, state: State) -> State:
        for step in PIPELINE:
            take = functools.partial(step.take, run)
            state = self.guard(take, state) if step.guarded else take(state)
        return state
