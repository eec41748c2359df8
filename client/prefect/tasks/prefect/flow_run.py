"""Run another flow from a flow: create its run, wait for it, read what its tasks returned.

Waiting follows the API's live stream, so it ends when the run does; see `prefect.backend.watching`.  Errors are those
of `prefect.backend` and `prefect.Client`.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from prefect._generated import operations as ops
from prefect.backend import FlowRunView, FlowView, create_link_artifact
from prefect.backend.watching import watch_flow_run
from prefect.client import Client
from prefect.core.task import Task
from prefect.engine.signals import signal_from_state
from prefect.utilities.context import context as prefect_context
from prefect.utilities.datetimes import as_datetime, utcnow
from prefect.utilities.logging import get_logger
from prefect.utilities.tasks import defaults_from_attrs, task

if TYPE_CHECKING:
    from prefect.run_configs import RunConfig

__all__ = ["StartFlowRun", "create_flow_run", "get_task_run_result", "wait_for_flow_run"]

_FOREVER = timedelta.max
_SHORTEST_POLL = timedelta(seconds=3)


def _logger() -> logging.Logger:
    found: logging.Logger = prefect_context.get("logger") or get_logger()
    return found


def _start_time(given: datetime | timedelta | None) -> datetime | None:
    if isinstance(given, timedelta):
        return utcnow() + given
    return given if given is None else as_datetime(given)


def _own_key() -> str | None:
    """Return what identifies this task run however often it is tried, if there is a task run."""
    task_run_id = prefect_context.get("task_run_id")
    if not task_run_id:
        return None
    map_index = prefect_context.get("map_index")
    return f"{task_run_id}-{map_index}" if map_index is not None and map_index >= 0 else str(task_run_id)


@task
def create_flow_run(
    flow_id: str | None = None,
    flow_name: str | None = None,
    project_name: str = "",
    parameters: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None,
    labels: Sequence[str] | None = None,
    run_name: str | None = None,
    run_config: "RunConfig | None" = None,
    scheduled_start_time: datetime | timedelta | None = None,
    idempotency_key: str | None = None,
    priority: int | None = None,
) -> str:
    """Create a run of a registered flow and return its id.

    Args:
        flow_id: The flow, or a flow group for its newest flow.
        flow_name: The flow by name instead; `project_name` says where if several projects have it.
        project_name: See `flow_name`; "" means any.
        parameters: Values of the flow's parameters.
        context: Values for `prefect.context` of the run.
        labels: Labels instead of the flow's: agents that have them all take the run.
        run_name: Name of the run; by default that of the running flow run and the flow's, joined by `-`.
        run_config: A run config instead of the flow's.
        scheduled_start_time: When to start, or how long from now.
        idempotency_key: The same key gives the same run; by default the id of this task run, so that a retry of this
            task finds the run again.
        priority: Among waiting runs the higher one goes first, -100 to 100, default 0; a point counts as much as ten
            minutes of waiting.

    Raises:
        ValueError: Both or neither of `flow_id` and `flow_name` are given, or there is no such flow, or several.
    """
    if flow_id and flow_name:
        raise ValueError("Received both `flow_id` and `flow_name`. Only one flow identifier can be passed.")
    if not flow_id and not flow_name:
        raise ValueError("Both `flow_id` and `flow_name` are null. You must pass a flow identifier")
    logger = _logger()
    logger.debug("Looking up flow metadata...")
    flow = FlowView.from_id(flow_id) if flow_id else FlowView.from_flow_name(flow_name or "", project_name)
    if not run_name and prefect_context.get("flow_run_name"):
        run_name = f"{prefect_context['flow_run_name']}-{flow.name}"
    shown = run_name or "<generated-name>"
    logger.info("Creating flow run '%s' for flow '%s'...", shown, flow.name)
    client = Client()
    flow_run_id = client.create_flow_run(
        flow_id=flow.flow_id,
        parameters=parameters,
        context=context,
        labels=labels,
        run_name=run_name or None,
        run_config=run_config,
        scheduled_start_time=_start_time(scheduled_start_time),
        idempotency_key=idempotency_key or _own_key(),
        priority=priority,
    )
    logger.info("Created flow run '%s': %s", shown, client.get_cloud_url("flow-run", flow_run_id))
    return flow_run_id


@task
def wait_for_flow_run(
    flow_run_id: str,
    stream_states: bool = True,
    stream_logs: bool = False,
    raise_final_state: bool = False,
    max_duration: timedelta = timedelta(hours=12),
) -> FlowRunView:
    """Wait until a flow run is finished and return it, as `Failed` as it may be.

    Args:
        flow_run_id: The flow run.
        stream_states: Log the run's states.
        stream_logs: Log the run's log lines, at their levels.
        raise_final_state: End this task in a state like the run's final one.
        max_duration: How long to wait at most.

    Raises:
        ValueError: There is no such run; or its final state, Cancelled say, is none that a task can end in.
        RuntimeError: `max_duration` is over.
        PrefectStateSignal: As asked for by `raise_final_state`.
    """
    run = FlowRunView.from_flow_run_id(flow_run_id)
    logger = _logger()
    for line in watch_flow_run(
        flow_run_id, stream_states=stream_states, stream_logs=stream_logs, max_duration=max_duration
    ):
        logger.log(line.level, "Flow %r: %s", run.name, line.message)
    run = run.get_latest()
    if raise_final_state:
        _raise_final_state(run)
    return run


def _raise_final_state(run: FlowRunView) -> None:
    signal = signal_from_state(run.state)
    raise signal(message=f"{run.flow_run_id} finished in state {run.state}", result=run)


def _wait(flow_run_id: str) -> FlowRunView:
    for _ in watch_flow_run(flow_run_id, stream_states=False, stream_logs=False, max_duration=_FOREVER):
        pass
    return FlowRunView.from_flow_run_id(flow_run_id)


@task
def get_task_run_result(flow_run_id: str, task_slug: str, map_index: int = -1, poll_time: int = 5) -> Any:
    """Wait until a flow run is finished and return what one of its tasks returned.

    Args:
        flow_run_id: The flow run, not the one that this task runs in.
        task_slug: The task by its slug in that flow, such as `my_task-1`.
        map_index: Which child of a mapped task; -1 gives the list of all.
        poll_time: Without effect: the API says when the run is finished.

    Raises:
        ValueError: The slug is empty, the run is this one or does not exist, or the task kept no result.
        TypeError: The kind of the result is not known here.
    """
    if not task_slug:
        raise ValueError("Required argument `task_slug` is empty")
    if flow_run_id == prefect_context.get("flow_run_id"):
        raise ValueError(
            "Given `flow_run_id` is the same as the currently running flow. The `get_task_run_result` task cannot be "
            "used to retrieve results from the flow run it belongs to."
        )
    logger = _logger()
    logger.debug("Waiting for flow run %s to finish before reading the result of %r...", flow_run_id, task_slug)
    run = _wait(flow_run_id)
    logger.debug("Retrieving result of task %r of flow run %r...", task_slug, run.name)
    return run.get_task_run(task_slug=task_slug, map_index=map_index).get_result()


class StartFlowRun(Task):
    """Creates a run of a registered flow; with `wait`, ends in the state that the run ends in.

    The newest version of the flow that is not archived runs.  A link to the run is published as an artifact unless
    `create_link_artifact` is false.  Raises `TypeError` for a task among the `parameters` (give it to the call
    instead), `ValueError` for a `poll_interval` below 3 seconds, which is otherwise without effect: the API says when
    the run is finished.
    """

    def __init__(
        self,
        flow_name: str | None = None,
        project_name: str | None = None,
        parameters: dict[str, Any] | None = None,
        run_config: "RunConfig | None" = None,
        wait: bool = False,
        new_flow_context: dict[str, Any] | None = None,
        run_name: str | None = None,
        scheduled_start_time: datetime | None = None,
        poll_interval: timedelta = timedelta(seconds=10),
        create_link_artifact: bool = True,
        **kwargs: Any,
    ) -> None:
        _check_no_task(parameters)
        if poll_interval < _SHORTEST_POLL:
            raise ValueError(f"`poll_interval` must be at least 3 seconds, but it is {poll_interval}.")
        self.flow_name = flow_name
        self.project_name = project_name
        self.parameters = parameters
        self.run_config = run_config
        self.wait = wait
        self.new_flow_context = new_flow_context
        self.run_name = run_name
        self.scheduled_start_time = scheduled_start_time
        self.poll_interval = poll_interval
        self.create_link_artifact = create_link_artifact
        if flow_name:
            kwargs.setdefault("name", f"Flow {flow_name}")
        super().__init__(**kwargs)

    @defaults_from_attrs(
        "flow_name",
        "project_name",
        "parameters",
        "run_config",
        "new_flow_context",
        "run_name",
        "scheduled_start_time",
    )
    def run(
        self,
        flow_name: str | None = None,
        project_name: str | None = None,
        parameters: dict[str, Any] | None = None,
        run_config: "RunConfig | None" = None,
        new_flow_context: dict[str, Any] | None = None,
        run_name: str | None = None,
        idempotency_key: str | None = None,
        scheduled_start_time: datetime | None = None,
    ) -> str:
        """Return the id of the run; with `wait`, raise the signal of its final state instead.

        Raises `ValueError` if flow or project are not given or do not exist.
        """
        if not flow_name:
            raise ValueError("Must provide a flow name.")
        if not project_name:
            raise ValueError("Must provide a project name.")
        client = Client()
        found = client.execute(ops.flows_by_name(name=flow_name, project_name=project_name, archived=False, limit=1))
        if not found:
            raise ValueError(f"Flow '{flow_name}' not found.")
        flow_run_id = client.create_flow_run(
            flow_id=found[0].id,
            parameters=parameters,
            run_config=run_config,
            idempotency_key=idempotency_key or prefect_context.get("task_run_id"),
            context=new_flow_context,
            run_name=run_name,
            scheduled_start_time=_start_time(scheduled_start_time),
        )
        url = client.get_cloud_url("flow-run", flow_run_id)
        self.logger.info("Flow Run: %s", url)
        if self.create_link_artifact:
            create_link_artifact(url)
        if self.wait:
            _raise_final_state(_wait(flow_run_id))
        return flow_run_id


def _check_no_task(parameters: Mapping[str, Any] | None) -> None:
    for name, value in (parameters or {}).items():
        if isinstance(value, Task):
            raise TypeError(
                f"The parameter {name!r} of a StartFlowRun is the task {value}, which has no value while the flow is "
                "built. Give such parameters when calling the task: `StartFlowRun(...)(parameters=...)`."
            )
