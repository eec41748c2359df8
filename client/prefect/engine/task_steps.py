"""The steps of a task run: each takes the run and its state, and returns the next state.

A step that is done with the run raises `ENDRUN` with the state that it ends in.  The order is that of the tuple
`PIPELINE` in `prefect.engine.task_runner`; what a step raises besides is judged by the runner.
"""

import contextlib
import itertools
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prefect.configuration import config
from prefect.core.edge import Edge
from prefect.engine import signals
from prefect.engine.cache_validators import hash_input
from prefect.engine.result import Result, ResultNotImplementedError
from prefect.engine.signals import ENDRUN
from prefect.engine.state import (
    Cached,
    Failed,
    Mapped,
    Retrying,
    Running,
    Scheduled,
    Skipped,
    State,
    Success,
    TimedOut,
    TriggerFailed,
)
from prefect.engine.timeouts import run_with_timeout
from prefect.exceptions import TaskTimeoutSignal
from prefect.utilities.context import context
from prefect.utilities.datetimes import utcnow
from prefect.utilities.interruption import user_code
from prefect.utilities.logging import RedirectToLog
from prefect.utilities.stdout import redirect_thread_stdout

if TYPE_CHECKING:
    from prefect.core.task import Task
    from prefect.engine.task_runner import TaskRunner

__all__ = ["TaskRun"]

SKIPPED_UPSTREAM = (
    "Upstream task was skipped; if this was not the intended behavior, consider changing "
    "`skip_on_upstream_skip=False` for this task."
)


@dataclass(slots=True)
class TaskRun:
    """One run of one task (or of one mapped child): what the steps know besides its state."""

    runner: "TaskRunner"
    task: "Task"
    name: str
    upstream_states: dict[Edge, State]
    is_mapped_parent: bool = False
    inputs: dict[str, Result] = field(default_factory=dict)

    @property
    def result(self) -> Result:
        """The result object that values are kept with."""
        return self.runner.result

    def values(self) -> dict[str, Any]:
        """The inputs' values by name."""
        return {key: result.value for key, result in self.inputs.items()}

    def formatting(self) -> dict[str, Any]:
        """The names that templates may use: parameters, overridden by context, overridden by inputs."""
        names = {**(context.get("parameters") or {}), **context.__dict__, **self.values()}
        names.pop("self", None)
        return names


def _every_state(upstream_states: dict[Edge, State]) -> "itertools.chain[State]":
    """Yield the upstream states, the children in the place of a mapped state that is reduced."""
    return itertools.chain.from_iterable(
        state.map_states if isinstance(state, Mapped) and not edge.mapped else (state,)
        for edge, state in upstream_states.items()
    )


def check_task_is_ready(run: TaskRun, state: State) -> State:
    """Go on if the task has not run, or is mapped or cached; otherwise end as it is."""
    if state.is_pending() or state.is_cached():
        return state
    logger = run.runner.logger
    if state.is_mapped():
        logger.debug("Task '%s': task is already mapped, but run will proceed so children are generated.", run.name)
        return state
    if state.is_running():
        logger.debug("Task '%s': task is already running.", run.name)
    elif state.is_finished():
        logger.debug("Task '%s': Task is already finished.", run.name)
    else:
        logger.debug("Task '%s': Task is not ready to run or state was unrecognized (%r).", run.name, state)
    raise ENDRUN(state)


def check_start_time(run: TaskRun, state: State) -> State:
    """End unchanged if the run is scheduled for later, or for an unknown time."""
    if isinstance(state, Scheduled):
        if state.start_time is None:
            run.runner.logger.debug("Task '%s' is scheduled without a known start_time; ending run.", run.name)
            raise ENDRUN(state)
        if state.start_time > utcnow():
            run.runner.logger.debug("Task '%s': start_time has not been reached; ending run.", run.name)
            raise ENDRUN(state)
    return state


def check_upstream_finished(run: TaskRun, state: State) -> State:
    """End unchanged unless everything upstream has ended."""
    if not all(upstream is not None and upstream.is_finished() for upstream in _every_state(run.upstream_states)):
        run.runner.logger.debug("Task '%s': Not all upstream states are finished; ending run.", run.name)
        raise ENDRUN(state)
    return state


def check_upstream_skipped(run: TaskRun, state: State) -> State:
    """End as Skipped if anything upstream was skipped and the task does not mind."""
    if run.task.skip_on_upstream_skip and any(upstream.is_skipped() for upstream in _every_state(run.upstream_states)):
        run.runner.logger.debug("Task '%s': Upstream states were skipped; ending run.", run.name)
        raise ENDRUN(Skipped(SKIPPED_UPSTREAM))
    return state


def load_results(run: TaskRun, state: State) -> State:
    """Let the runner fetch upstream values that this process does not have."""
    run.upstream_states = run.runner.load_upstream_results(state, run.upstream_states)
    return state


def gather_inputs(run: TaskRun, state: State) -> State:
    """Collect the results that arrive over keyed edges."""
    run.inputs = {
        edge.key: upstream._result  # noqa: SLF001 - states and engine are one part
        for edge, upstream in run.upstream_states.items()
        if edge.key is not None
    }
    return state


def map_parent(run: TaskRun, state: State) -> State:
    """End as Mapped with the number of children, if the task is to be mapped."""
    if not run.is_mapped_parent:
        return state
    if isinstance(state, Mapped):
        # Children of an earlier pass are kept; those that only the API remembers are made anew.
        if len(state.map_states) < state.n_map_states:
            state.map_states.extend([None] * (state.n_map_states - len(state.map_states)))
        raise ENDRUN(state)
    mapped = {edge: upstream for edge, upstream in run.upstream_states.items() if edge.mapped}
    if not any(upstream.is_successful() for upstream in mapped.values()):
        raise ENDRUN(Failed("No upstream states can be mapped over."))
    widths = []
    for upstream in mapped.values():
        if isinstance(upstream, Mapped):
            widths.append(upstream.n_map_states)
        elif upstream.is_successful():
            value = upstream.result
            if not hasattr(value, "__getitem__") or not hasattr(value, "__len__") or isinstance(value, MappingABC):
                raise ENDRUN(Failed("At least one upstream state has an unmappable result."))
            widths.append(len(value))
    raise ENDRUN(Mapped("Ready to proceed with mapping.", n_map_states=min(widths)))


def set_task_run_name(run: TaskRun, state: State) -> State:
    """Give the run the name that the task's template or function makes."""
    template = run.task.task_run_name
    if template is not None:
        names = run.formatting()
        name = template(**names) if callable(template) else template.format(**names)
        context["task_run_name"] = name
        run.runner.report_task_run_name(name)
    return state


def _hashes(values: dict[str, Any]) -> dict[str, str] | None:
    try:
        return {key: hash_input(value) for key, value in values.items()}
    except Exception:
        # Inputs that cannot be hashed can only be compared by value; the run itself is fine.
        return None


def check_target(run: TaskRun, state: State) -> State:
    """Become Cached if a value is at the task's target already."""
    target = run.task.target
    names = run.formatting()
    location = target(**names) if callable(target) else str(target)
    if not run.result.exists(location, **names):
        return state
    found = run.result.read(location.format(**names))
    return Cached(
        f"Result found at task target {found.location}",
        result=found,
        hashed_inputs=_hashes(run.values()),
        cached_parameters=context.get("parameters"),
    )


def check_target_or_cache(run: TaskRun, state: State) -> State:
    """Become Cached if the value is known: at the target, or else in the runner's cache."""
    if run.task.target:
        return check_target(run, state)
    return run.runner.check_task_is_cached(run, state)


def check_trigger(run: TaskRun, state: State) -> State:
    """End as the trigger says, unless it lets the task run."""
    try:
        if not run.task.trigger(run.upstream_states):
            raise signals.TRIGGERFAIL("Trigger failed")  # noqa: TRY301 - the same outcome as a trigger's own signal
    except signals.PrefectStateSignal as signal:
        run.runner.logger.debug("Task '%s': %s signal raised during execution.", run.name, type(signal).__name__)
        raise ENDRUN(signal.state) from signal
    except Exception as error:
        if context.get("raise_on_exception"):
            raise
        run.runner.logger.exception(f"Task '{run.name}': Unexpected error while evaluating task trigger: {error!r}")  # noqa: TRY401 - the text is that of 1.x
        message = f"Unexpected error while checking task trigger: {error!r}"
        raise ENDRUN(TriggerFailed(message, result=error)) from error
    return state


def set_running(run: TaskRun, state: State) -> State:
    """Become Running; end as it is if there is nothing to run."""
    if not state.is_pending():
        run.runner.logger.debug("Task '%s': Can't set state to Running because it isn't Pending; ending run.", run.name)
        raise ENDRUN(state)
    return Running("Starting task run.")


def run_task(run: TaskRun, state: State) -> State:
    """Call the task and become what comes of it."""
    if not state.is_running():
        raise ENDRUN(state)
    task, runner = run.task, run.runner
    runner.logger.debug("Task %r: Calling task.run() method...", run.name)
    redirect: Any = contextlib.nullcontext()
    if task.log_stdout:
        redirect = redirect_thread_stdout(RedirectToLog(runner.logger))
    try:
        with redirect, user_code():
            value = run_with_timeout(task.run, task.timeout, run.values(), run.name)
    except signals.LOOP as signal:
        looped = signal.state
        if looped.message is None:
            looped.message = f"Task is looping ({context.get('task_loop_count', 1)})"
        looped._result = checkpoint(run, looped.result)  # noqa: SLF001 - states and engine are one part
        return looped
    except signals.SUCCESS as signal:
        signal.state._result = checkpoint(run, signal.state.result)  # noqa: SLF001 - as above
        return signal.state
    except TaskTimeoutSignal as signal:
        if context.get("raise_on_exception"):
            raise
        return TimedOut("Task timed out during execution.", result=signal)
    except Exception as error:
        if context.get("raise_on_exception"):
            raise
        runner.logger.exception(f"Task '{run.name}': Exception encountered during task execution!")
        return Failed(f"Error during execution of task: {error!r}", result=error)
    return Success("Task run succeeded.", result=checkpoint(run, value))


def checkpoint(run: TaskRun, value: Any) -> Result:
    """Return the result that holds a value, written to its place if this run persists results."""
    result = run.result
    wanted = context.get("checkpointing") is True and run.task.checkpoint is not False and value is not None
    # A signal is its own result when it was given none; there is no value to keep.
    if wanted and not isinstance(value, signals.PrefectStateSignal):
        try:
            return result.write(value, **run.formatting())
        except ResultNotImplementedError:
            pass
        except Exception as error:
            error.add_note(f"Task {run.name!r} itself succeeded; what it returned could not be written.")
            raise
    return result.from_value(value)


def cache_result(run: TaskRun, state: State) -> State:
    """Become Cached if the task is to be cached."""
    task = run.task
    if task.cache_for is None or not state.is_successful() or state.is_skipped() or isinstance(state, Cached):
        return state
    return Cached(
        state.message,
        result=state._result,  # noqa: SLF001 - states and engine are one part
        hashed_inputs=_hashes(run.values()),
        cached_result_expiration=utcnow() + task.cache_for,
        cached_parameters=context.get("parameters"),
    )


def check_for_retry(run: TaskRun, state: State) -> State:
    """Become Retrying if the run failed and has attempts left."""
    if not state.is_failed():
        return state
    task = run.task
    if task.retry_on and not isinstance(state.result, tuple(task.retry_on)):
        run.runner.logger.info(
            "Task '%s': Skipping retry. Exception of type %r is not an instance of the retry on exception types.",
            run.name,
            type(state.result).__name__,
        )
        return state
    count = context.get("task_run_count", 1)
    if count > task.max_retries:
        return state
    delay = task.retry_delay(count) if callable(task.retry_delay) else task.retry_delay
    retrying = Retrying(
        f"Retrying Task (after attempt {count} of {task.max_retries + 1})",
        start_time=utcnow() + delay if delay is not None else utcnow(),
        run_count=count,
    )
    loop_count = context.get("task_loop_count")
    if loop_count is not None:
        retrying.context["_loop_count"] = loop_count
        retrying._result = context["_task_loop_result"]  # noqa: SLF001 - states and engine are one part
    return retrying


def default_checkpointing() -> bool:
    """Return whether results are persisted when the context does not say."""
    settings = context.get("config") or config
    return bool(settings.flows.checkpointing)
