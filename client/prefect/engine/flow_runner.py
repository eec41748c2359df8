"""`FlowRunner`: takes a flow through one pass over its tasks, and decides the state of the run.

A run always returns a state.  Only what steers the process (`KeyboardInterrupt`, `SystemExit`) and, for debugging,
what `prefect.context.raise_on_exception` lets through, is raised.
"""

import functools
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from prefect.engine.defaults import get_default_executor_class, get_default_task_runner_class
from prefect.engine.flow_pass import FlowPass, run_task
from prefect.engine.runner import ENDRUN, Runner, call_state_handlers, unwrap_state
from prefect.engine.state import Failed, Mapped, Running, Scheduled, State, Success
from prefect.utilities.context import context as prefect_context
from prefect.utilities.datetimes import as_datetime, utcnow

if TYPE_CHECKING:
    from prefect.core.flow import Flow
    from prefect.core.task import Task
    from prefect.executors import Executor

__all__ = ["FlowRunner", "run_task"]

_BAD_DATE = (
    "`date` was set in the context manually but could not be parsed into a pendulum `DateTime` object. Additional "
    "context variables that rely on the current date i.e `today` and `tomorrow` will be based on the current time "
    "instead of the `date` context variable."
)


class FlowRunner(Runner):
    """Runs `flow`, each task by a `task_runner_cls` (default: the configured one)."""

    def __init__(
        self,
        flow: "Flow",
        task_runner_cls: Any = None,
        state_handlers: Sequence[Callable[..., Any]] | None = None,
    ) -> None:
        self.flow = flow
        self.task_runner_cls = task_runner_cls if task_runner_cls is not None else get_default_task_runner_class()
        super().__init__(state_handlers=state_handlers)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.flow.name}>"

    # -- what a backend does differently -----------------------------------------------------------------------------

    def call_runner_target_handlers(self, old_state: State, new_state: State) -> State:
        """Call the flow's state handlers."""
        self.logger.debug(
            "Flow '%s': Handling state change from %s to %s",
            self.flow.name,
            type(old_state).__name__,
            type(new_state).__name__,
        )
        return call_state_handlers(self.flow.state_handlers, self.flow, old_state, new_state)

    def load_for_mapping(self, task: "Task", state: State) -> State:
        """Return the state of a task with its value, which is about to be split; here it is always in memory."""
        return state

    def prepare_children(
        self, task: "Task", count: int, task_context: Mapping[str, Any]
    ) -> "list[tuple[State | None, dict[str, Any]]]":
        """Return the state that each mapped child begins with (None for a new one) and what its context gains."""
        return [(None, {})] * count

    def initialize_run(
        self,
        state: State | None,
        task_states: dict["Task", State],
        context: dict[str, Any],
        task_contexts: dict["Task", dict[str, Any]],
        parameters: Mapping[str, Any],
    ) -> tuple[State, dict["Task", State], dict[str, Any], dict["Task", dict[str, Any]]]:
        """Return the state to begin with and the complete contexts; raises `ENDRUN` if the run cannot begin."""
        context["parameters"] = {
            **{parameter.name: parameter.default for parameter in self.flow.parameters() if not parameter.required},
            **(context.get("parameters") or {}),
            **parameters,
        }
        context["flow_name"] = self.flow.name
        now = utcnow()
        if context.get("scheduled_start_time") is None:
            context["scheduled_start_time"] = now
        self._set_dates(context, now)
        for task, slug in self.flow.slugs.items():
            own = {"task_name": task.name, "task_slug": slug, **self._ids(slug)}
            task_contexts[task] = own | task_contexts.get(task, {})
        return unwrap_state(state), task_states, context, task_contexts

    def _ids(self, slug: str) -> dict[str, str]:
        """Return the ids of a task and its run in this pass, as far as nobody else gives them."""
        return {"task_id": slug, "task_run_id": str(uuid.uuid4())}

    def _set_dates(self, context: dict[str, Any], now: Any) -> None:
        date = context.get("date")
        if date is None:
            date = now
        elif isinstance(date, (str, datetime)):
            try:
                date = as_datetime(date)
            except (ValueError, OverflowError):
                self.logger.warning(_BAD_DATE)
                date = None
        else:
            self.logger.warning(_BAD_DATE)
            date = None
        if date is not None:
            context["date"] = date
        day = date if date is not None else now
        for name, moment in (("today", day), ("yesterday", day.add(days=-1)), ("tomorrow", day.add(days=1))):
            text = moment.strftime("%Y-%m-%d")
            context.setdefault(name, text)
            context.setdefault(f"{name}_nodash", text.replace("-", ""))

    def execute(self, state: State, flow_pass: FlowPass, return_tasks: set["Task"]) -> State:
        """Run the tasks; returns the state that follows from theirs."""
        if not state.is_running():
            self.logger.info("Flow is not in a Running state.")
            raise ENDRUN(state)
        with flow_pass.executor.start():
            states = flow_pass.run(self.flow.terminal_tasks() | self.flow.reference_tasks() | return_tasks)
        return self.determine_final_state(state, states, return_tasks)

    # -- the run -----------------------------------------------------------------------------------------------------

    def run(
        self,
        state: State | None = None,
        task_states: dict["Task", State] | None = None,
        return_tasks: Iterable["Task"] | None = None,
        parameters: Mapping[str, Any] | None = None,
        task_runner_state_handlers: Sequence[Callable[..., Any]] | None = None,
        executor: "Executor | None" = None,
        context: Mapping[str, Any] | None = None,
        task_contexts: dict["Task", dict[str, Any]] | None = None,
    ) -> State:
        """Make one pass over the flow from `state` on (default Pending); returns the state it ends in.

        The result is a dictionary from the `return_tasks` (default none) to their states.
        """
        self.logger.info("Beginning Flow run for '%s'", self.flow.name)
        executor = self._executor(executor)
        self.logger.debug("Using executor type %s", type(executor).__name__)
        try:
            overlay = {**prefect_context.__dict__, **(context or {})}
            state, states, overlay, contexts = self.initialize_run(
                state, dict(task_states or {}), overlay, dict(task_contexts or {}), parameters or {}
            )
            with prefect_context(overlay):
                tasks = set(return_tasks or ())
                flow_pass = FlowPass(self, executor, states, contexts, task_runner_state_handlers)
                for step in (
                    self.check_flow_is_pending_or_running,
                    self.check_flow_reached_start_time,
                    self.set_flow_to_running,
                    functools.partial(self._execute_checked, flow_pass=flow_pass, return_tasks=tasks),
                ):
                    state = self.guard(step, state)
        except ENDRUN as end:
            state = end.state
        except Exception as error:
            if prefect_context.get("raise_on_exception"):
                raise
            self.logger.exception(f"Unexpected error while running flow: {error!r}")  # noqa: TRY401 - the text is that of 1.x
            state = self.fail_run(Failed(f"Unexpected error while running flow: {error!r}", result=error))
        return state

    def fail_run(self, state: Failed) -> State:
        """Return the state of a run that ended by an error outside the steps; a backend reports it."""
        return state

    def _executor(self, executor: "Executor | None") -> "Executor":
        chosen: Any = executor if executor is not None else self.flow.executor
        if chosen is None:
            chosen = get_default_executor_class()
        if isinstance(chosen, type):
            chosen = chosen()
        found: Executor = chosen
        return found

    def _execute_checked(self, state: State, flow_pass: FlowPass, return_tasks: set["Task"]) -> State:
        if not return_tasks <= self.flow.tasks:
            raise ValueError("Some tasks in return_tasks were not found in the flow.")
        return self.execute(state, flow_pass, return_tasks)

    def check_flow_is_pending_or_running(self, state: State) -> State:
        """End as it is if the run has ended, or cannot begin."""
        if state.is_finished():
            self.logger.info("Flow run has already finished.")
            raise ENDRUN(state)
        if not (state.is_pending() or state.is_running()):
            self.logger.info("Flow is not ready to run.")
            raise ENDRUN(state)
        return state

    def check_flow_reached_start_time(self, state: State) -> State:
        """End as it is if the run is scheduled for later."""
        if isinstance(state, Scheduled) and state.start_time is not None and state.start_time > utcnow():
            self.logger.debug("Flow '%s': start_time has not been reached; ending run.", self.flow.name)
            raise ENDRUN(state)
        return state

    def set_flow_to_running(self, state: State) -> State:
        """Become Running."""
        if state.is_pending():
            return Running("Running flow.")
        return state

    def determine_final_state(self, state: State, states: dict["Task", State], return_tasks: set["Task"]) -> State:
        """Return the state that the states of terminal and reference tasks decide."""
        result = {task: states[task] for task in return_tasks}
        terminal = _expand(states[task] for task in self.flow.terminal_tasks())
        reference = _expand(states[task] for task in self.flow.reference_tasks())
        if not all(end.is_finished() for end in terminal):
            self.logger.info("Flow run RUNNING: terminal tasks are incomplete.")
            state.result = result
            final = state
        elif any(end.is_failed() for end in reference):
            self.logger.info("Flow run FAILED: some reference tasks failed.")
            final = Failed("Some reference tasks failed.", result=result)
        elif all(end.is_successful() for end in reference):
            self.logger.info("Flow run SUCCESS: all reference tasks succeeded")
            final = Success("All reference tasks succeeded.", result=result)
        else:
            self.logger.info("Flow run SUCCESS: no reference tasks failed")
            final = Success("No reference tasks failed.", result=result)
        if self.flow.terminal_state_handler is not None:
            chosen = self.flow.terminal_state_handler(self.flow, final, reference)
            if chosen is not None and chosen is not final:
                if chosen.result is None:
                    # A handler that makes a new state means its kind, not to lose the tasks' states.
                    chosen.result = result
                final = chosen
        return final


def _expand(states: Iterable[State]) -> set[State]:
    found: set[State] = set()
    for state in states:
        if isinstance(state, Mapped):
            found.update(child for child in state.map_states if child is not None)
        else:
            found.add(state)
    return found
