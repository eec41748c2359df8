"""`FlowRunView`: a run of a flow, its states, logs and task runs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from prefect._generated import operations as ops
from prefect.backend.agents import check_for_compatible_agents
from prefect.backend.flow import FlowView
from prefect.backend.lines import FlowRunLog, level_number
from prefect.backend.task_run import TaskRunView
from prefect.backend.watching import stream_flow_run_logs, watch_flow_run
from prefect.client import Client
from prefect.client.request import UNSET
from prefect.engine.state import Pending, State
from prefect.utilities.datetimes import as_datetime

__all__ = [
    "FlowRunLog",
    "FlowRunView",
    "check_for_compatible_agents",
    "stream_flow_run_logs",
    "watch_flow_run",
]

_MOST_TASK_RUNS = 1000
_LOG_PAGE = 5000


class FlowRunView:
    """A flow run, as it was when it was asked for."""

    def __init__(
        self,
        flow_run_id: str,
        name: str,
        flow_id: str,
        labels: set[str],
        parameters: dict[str, Any],
        context: dict[str, Any],
        state: State,
        states: list[State],
        updated_at: datetime,
        run_config: Any,
        task_runs: list[TaskRunView] | None = None,
    ) -> None:
        self.flow_run_id = flow_run_id
        self.name = name
        self.flow_id = flow_id
        self.labels = labels
        self.parameters = parameters
        self.context = context
        self.state = state
        self.states = states
        self.updated_at = updated_at
        self.run_config = run_config
        self._finished: dict[str, TaskRunView] = {run.task_run_id: run for run in task_runs or ()}
        self._flow: FlowView | None = None

    def __repr__(self) -> str:
        return f"FlowRunView(flow_run_id={self.flow_run_id!r}, name={self.name!r}, state={self.state!r})"

    @classmethod
    def from_flow_run_id(cls, flow_run_id: str, load_static_tasks: bool = False) -> "FlowRunView":
        """Return the flow run of this id, with its finished task runs if `load_static_tasks`.

        Raises `ValueError` if there is none, `TypeError` if the id is no string.
        """
        if not isinstance(flow_run_id, str):
            raise TypeError(f"`flow_run_id` must be a string, not {type(flow_run_id).__name__}: {flow_run_id!r}.")
        return cls._read(flow_run_id, {}, load_static_tasks=load_static_tasks)

    def get_latest(self, load_static_tasks: bool = False) -> "FlowRunView":
        """Return the flow run as it is now; finished task runs that were read already are kept."""
        return self._read(self.flow_run_id, self._finished, load_static_tasks=load_static_tasks)

    @classmethod
    def _read(cls, flow_run_id: str, known: Mapping[str, TaskRunView], *, load_static_tasks: bool) -> "FlowRunView":
        run = Client().execute(ops.flow_run_view(id=flow_run_id))
        if run is None:
            raise ValueError(
                f"No flow runs found while querying for flow runs where {{'id': {{'_eq': {flow_run_id!r}}}}}"
            )
        states = []
        for item in run.states:
            state = State.deserialize(item.serialized_state)
            state.timestamp = as_datetime(item.timestamp)  # type: ignore[attr-defined]  # views add it, as in 1.x
            states.append(state)
        kept = list(known.values())
        if load_static_tasks:
            where = {
                "map_index": {"_eq": -1},
                "flow_run_id": {"_eq": flow_run_id},
                "id": {"_nin": list(known)},
            }
            kept += [item for item in TaskRunView.where(where) if item.state.is_finished()]
        return cls(
            flow_run_id=run.id,
            name=run.name or "",
            flow_id=run.flow_id,
            labels=set(run.labels or ()),
            parameters=run.parameters or {},
            context=run.context or {},
            state=State.deserialize(run.serialized_state)
            if run.serialized_state
            else Pending(message="A state for this flow run is not yet available."),
            states=states,
            updated_at=as_datetime(run.updated),
            run_config=_run_config(run.run_config),
            task_runs=kept,
        )

    def restart(self, tasks: Sequence[str] = ()) -> "FlowRunView":
        """Let this run, which has ended, go on; return it as it is then.  See `Client.restart_flow_run`."""
        Client().restart_flow_run(self.flow_run_id, tasks)
        return type(self).from_flow_run_id(self.flow_run_id)

    def get_task_run(
        self, task_slug: str | None = None, task_run_id: str | None = None, map_index: int | None = None
    ) -> TaskRunView:
        """Return a task run by its id, or by the slug of its task and the index of the child (the parent by default).

        Raises `ValueError` if there is none, if neither is given, or if slug and id contradict each other.
        """
        if task_run_id is not None:
            found = self._finished.get(task_run_id) or TaskRunView.from_task_run_id(task_run_id)
            if task_slug is not None and found.task_slug != task_slug:
                raise ValueError(
                    f"The task run {task_run_id!r} is of the task {found.task_slug!r}, not of {task_slug!r}; give one "
                    "of `task_run_id` and `task_slug`."
                )
        elif task_slug is not None:
            index = -1 if map_index is None else map_index
            known = (run for run in self._finished.values() if (run.task_slug, run.map_index) == (task_slug, index))
            found = next(known, None) or TaskRunView.from_task_slug(task_slug, self.flow_run_id, index)
        else:
            raise ValueError("One of `task_run_id`, `task`, or `task_slug` must be provided!")
        if found.state.is_finished():
            self._finished[found.task_run_id] = found
        return found

    def get_task_run_ids(self) -> list[str]:
        """Return the ids of all task runs."""
        return [item.id for item in Client().execute(ops.task_run_ids(flow_run_id=self.flow_run_id))]

    def get_all_task_runs(self) -> list[TaskRunView]:
        """Return all task runs; raises `ValueError` if there are more than 1000."""
        ids = self.get_task_run_ids()
        if len(ids) > _MOST_TASK_RUNS:
            raise ValueError(
                "Refusing to `get_all_task_runs` for a flow with more than 1000 tasks. Ask for single ones with "
                "`get_task_run`, or query the API with `prefect.Client().graphql`."
            )
        where = {"flow_run_id": {"_eq": self.flow_run_id}, "id": {"_nin": list(self._finished)}}
        found = TaskRunView.where(where)
        everything = [*self._finished.values(), *found]
        self._finished.update({run.task_run_id: run for run in found if run.state.is_finished()})
        return everything

    def get_logs(self, start_time: datetime | None = None, end_time: datetime | None = None) -> list[FlowRunLog]:
        """Return log lines after `start_time` and up to `end_time` (when the run was last updated), by time."""
        client = Client()
        lines: list[FlowRunLog] = []
        while True:
            answer = client.execute(
                ops.flow_run_logs(
                    flow_run_id=self.flow_run_id,
                    after=UNSET if start_time is None else start_time,
                    until=self.updated_at if end_time is None else end_time,
                    limit=_LOG_PAGE,
                    offset=len(lines),
                )
            )
            found = answer.logs if answer is not None else ()
            lines += [
                FlowRunLog(as_datetime(line.timestamp), level_number(line.level), line.message or "") for line in found
            ]
            if len(found) < _LOG_PAGE:
                return lines

    def get_flow_metadata(self, no_cache: bool = False) -> FlowView:
        """Return the flow of this run; asked for once unless `no_cache`."""
        if self._flow is None or no_cache:
            self._flow = FlowView.from_flow_id(self.flow_id)
        return self._flow


def _run_config(data: Mapping[str, Any] | None) -> Any:
    from prefect.serialization.run_config import run_config_from_dict  # noqa: PLC0415 - loads the run configs

    return run_config_from_dict(data) if data else None
