"""`flow.run()`: passes over a flow in this process until it ends, and again for every event of its schedule.

Wrong arguments raise `ValueError`; everything that happens in the run ends as a state.
"""

import time
import uuid
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from prefect.configuration import config
from prefect.engine.defaults import get_default_flow_runner_class
from prefect.engine.state import Cached, Mapped, Paused, Pending, Resume, Scheduled, State
from prefect.utilities.context import context as prefect_context
from prefect.utilities.datetimes import utcnow

if TYPE_CHECKING:
    from prefect.core.flow import Flow
    from prefect.core.task import Task

__all__ = ["run_flow"]


def run_flow(
    flow: "Flow",
    parameters: dict[str, Any] | None = None,
    run_on_schedule: bool | None = None,
    runner_cls: Any = None,
    **kwargs: Any,
) -> State | None:
    """Run the flow to its end; see `Flow.run`."""
    if "return_tasks" in kwargs:
        raise ValueError(
            "The `return_tasks` keyword cannot be provided to `flow.run()`; all tasks are returned. If you want the "
            "states of some tasks only, use a FlowRunner."
        )
    values = _parameters(flow, dict(parameters or {}), kwargs)
    runner_class = runner_cls if runner_cls is not None else _runner_class()
    if run_on_schedule is None:
        run_on_schedule = config.flows.run_on_schedule
    if "caches" not in prefect_context:
        prefect_context["caches"] = {}
    state = None
    if flow.schedule is None or not run_on_schedule:
        state = _run_once(flow, runner_class, values, utcnow(), dict(kwargs))
    else:
        for event in _events(flow):
            overridden = {**values, **(event.parameter_defaults or {})}
            state = _run_once(flow, runner_class, overridden, event.start_time, dict(kwargs))
    return state


def _runner_class() -> Any:
    if prefect_context.get("running_with_backend"):
        # A flow that a task runs is no run of the API, whatever the process that executes one is told to use.
        from prefect.engine.flow_runner import FlowRunner  # noqa: PLC0415 - the configured one may be another

        return FlowRunner
    return get_default_flow_runner_class()


def _parameters(flow: "Flow", parameters: dict[str, Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the values of parameters, taking those out of `kwargs` that are named like one."""
    known = {parameter.name: parameter for parameter in flow.parameters()}
    for name in [name for name in kwargs if name in known]:
        parameters[name] = kwargs.pop(name)
    unexpected = sorted(name for name in parameters if name not in known)
    if unexpected:
        error = ValueError(f"Flow.run received the following unexpected parameters: {', '.join(unexpected)}")
        error.add_note(f"The flow has the parameters: {', '.join(sorted(known))}." if known else "The flow has none.")
        raise error
    missing = sorted(name for name, parameter in known.items() if parameter.required and name not in parameters)
    if missing:
        raise ValueError(f"Flow.run did not receive the following required parameters: {', '.join(missing)}")
    return parameters


def _events(flow: "Flow") -> Iterator[Any]:
    after = None
    events = flow.schedule.next(1, return_events=True)
    if not events:
        raise ValueError("Flow has no more scheduled runs.")
    while events:
        yield events[0]
        # An event that a long run overtook is still due: go on from the event, not from now.
        after = events[0].start_time
        events = flow.schedule.next(1, after=after, return_events=True)


def _run_once(flow: "Flow", runner_class: Any, parameters: dict[str, Any], start: Any, kwargs: dict[str, Any]) -> State:
    context = dict(kwargs.pop("context", None) or {})
    context["flow_run_id"] = kwargs.pop("flow_run_id", None) or str(uuid.uuid4())
    context["flow_run_name"] = kwargs.pop("flow_run_name", None) or str(uuid.uuid4())
    context.setdefault("scheduled_start_time", start)
    context["flow_id"] = flow.name
    if prefect_context.get("running_with_backend"):
        # Lines of a flow that a task runs go into the log of that task.
        owner = (prefect_context.get("flow_run_id"), prefect_context.get("task_run_id"))
        context["log_owner"] = prefect_context.get("log_owner") or owner
    state: State | None = kwargs.pop("state", None)
    states: dict[Task, State] = dict(kwargs.pop("task_states", None) or {})
    if state is None:
        state = Scheduled(start_time=start)
    if isinstance(state, Scheduled) and state.start_time is not None and state.start_time > utcnow():
        flow.logger.info("Waiting for next scheduled run at %s", state.start_time)
        _sleep_until(state.start_time)
    while not state.is_finished():
        runner = runner_class(flow=flow)
        state = runner.run(
            state=state,
            task_states=states,
            return_tasks=flow.tasks,
            parameters=parameters,
            context=context,
            **kwargs,
        )
        if not isinstance(state.result, dict) or state.is_scheduled():
            break
        states.update(state.result)
        if not state.is_finished() and not _await_next_pass(flow, states):
            break
    return _finish(flow, runner_class, state)


def _finish(flow: "Flow", runner_class: Any, state: State) -> State:
    if isinstance(state.result, Exception):
        flow.logger.error("Unexpected error occured in %s: %r", runner_class.__name__, state.result)
    elif isinstance(state.result, dict):
        for task in flow.tasks:
            state.result.setdefault(task, Pending("Task not run."))
        _remember_cached(state.result)
    return state


def _sleep_until(moment: Any) -> None:
    # Clocks may be set while we sleep, hence not once for the whole time.
    while (seconds := (moment - utcnow()).total_seconds()) > 0:
        time.sleep(min(seconds, 60.0))


def _all_states(states: Iterable[State]) -> Iterator[State]:
    for state in states:
        yield state
        if isinstance(state, Mapped):
            yield from (child for child in state.map_states if child is not None)


def _await_next_pass(flow: "Flow", states: dict["Task", State]) -> bool:
    """Ask about paused tasks and wait for the next start time; returns False if nothing could ever go on."""
    for task, state in states.items():
        if isinstance(state, Paused):
            try:
                approval = input(f"{task} is currently Paused; enter 'y' to resume:\n")
            except EOFError:
                flow.logger.warning("%s is Paused, and there is no input to ask on whether to resume it.", task)
                return False
            if approval.strip().lower() == "y":
                states[task] = Resume("Approval given to resume.")
    times = [
        state.start_time
        for state in _all_states(states.values())
        if isinstance(state, Scheduled) and state.start_time is not None
    ]
    if times and (earliest := min(times)) > utcnow():
        flow.logger.info("Waiting for next available Task run at %s", earliest)
        _sleep_until(earliest)
    return True


def _remember_cached(states: dict["Task", State]) -> None:
    """Put the unexpired Cached states into `prefect.context.caches`, and drop expired ones."""
    caches = prefect_context.setdefault("caches", {})
    now = utcnow()

    def alive(state: Any) -> bool:
        return (
            isinstance(state, Cached)
            and state.cached_result_expiration is not None
            and state.cached_result_expiration > now
        )

    for task, state in states.items():
        if task.cache_for is None:
            continue
        key = task.cache_key or task.name
        fresh = [found for found in _all_states([state]) if alive(found)]
        known = {id(found) for found in fresh}
        caches[key] = fresh + [old for old in caches.get(key, ()) if alive(old) and id(old) not in known]
