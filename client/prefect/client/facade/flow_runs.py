"""Flow runs: created, read, moved from state to state, and their log."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import prefect
from prefect._generated import operations as ops
from prefect.client.encoding import check_finite
from prefect.client.endpoint import HEARTBEAT_HEADER, resolve
from prefect.client.facade.connection import Connection
from prefect.client.facade.states import queued_state, state_of
from prefect.client.request import UNSET
from prefect.client.results import FlowRunInfoResult, ProjectInfo, TaskRunInfoResult
from prefect.exceptions import ObjectNotFoundError

if TYPE_CHECKING:
    from prefect._generated.flow_runs import RestartFlowRun
    from prefect.engine.state import State
    from prefect.run_configs import RunConfig

__all__ = ["FlowRunMethods"]


class FlowRunMethods(Connection):
    """Methods about flow runs."""

    def create_flow_run(
        self,
        flow_id: str | None = None,
        context: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
        run_config: "RunConfig | None" = None,
        labels: Sequence[str] | None = None,
        scheduled_start_time: datetime | None = None,
        idempotency_key: str | None = None,
        run_name: str | None = None,
        version_group_id: str | None = None,
        flow_group_id: str | None = None,
        parent_flow_run_id: str | None = None,
        priority: int | None = None,
    ) -> str:
        """Create a flow run and return its id.

        The flow is that of `flow_id`, else the newest of `flow_group_id`, else the newest of `version_group_id`;
        raises `ValueError` if none is given.  The same `idempotency_key` (random by default) gives the same run.
        A run that is created while this process executes another is its child, or that of `parent_flow_run_id`; see
        `prefect cancel --children`.  Among waiting runs a higher `priority` (-100 to 100, default 0) goes first; a
        point counts as much as ten minutes of waiting.
        """
        if not (flow_id or flow_group_id or version_group_id):
            raise ValueError("One of flow_id or version_group_id must be provided")
        check_finite(parameters, "The parameters")
        check_finite(context, "The context")
        flow: Any = {"flow_id": flow_id} if flow_id else {"flow_group_id": flow_group_id} if flow_group_id else {}
        request = ops.create_flow_run(
            **flow,
            version_group_id=UNSET if flow or not version_group_id else version_group_id,
            idempotency_key=idempotency_key or uuid.uuid4().hex,
            parameters=UNSET if parameters is None else parameters,
            context=UNSET if context is None else context,
            run_config=UNSET if run_config is None else run_config.serialize(),
            labels=UNSET if labels is None else list(labels),
            scheduled_start_time=UNSET if scheduled_start_time is None else scheduled_start_time.isoformat(),
            flow_run_name=UNSET if run_name is None else run_name,
            parent_flow_run_id=parent_flow_run_id or self._executed_run() or UNSET,
            priority=UNSET if priority is None else priority,
        )
        return self.execute(request).id

    def _executed_run(self) -> str | None:
        """Return the id of the run that this process executes, if it is a run of this client's API."""
        context = prefect.context
        if not context.get("running_with_backend") or self.api_server != resolve().url:
            return None
        flow_run_id: str | None = context.get("flow_run_id")
        return flow_run_id

    def get_flow_run_info(self, flow_run_id: str) -> FlowRunInfoResult:
        """Return what a runner starts from; raises `ClientError` if there is no such run."""
        from prefect.utilities.datetimes import as_datetime  # noqa: PLC0415 - loads pendulum

        run = self.execute(ops.flow_run_info(id=flow_run_id))
        if run is None:
            raise ObjectNotFoundError(f'Flow run ID not found: "{flow_run_id}"')
        project = run.flow.project
        return FlowRunInfoResult(
            id=run.id,
            name=run.name or "",
            flow_id=run.flow_id,
            project=ProjectInfo(id=project.id, name=project.name),
            parameters=run.parameters,
            context=run.context,
            version=run.version,
            scheduled_start_time=as_datetime(run.scheduled_start_time),
            state=state_of(run.serialized_state),
            task_runs=[
                TaskRunInfoResult(
                    item.id, item.task.id, item.task.slug or "", item.version, state_of(item.serialized_state)
                )
                for item in run.task_runs
            ],
            flow_settings=run.flow.settings or {},
        )

    def get_flow_run_state(self, flow_run_id: str) -> "State":
        """Return the state of a flow run; raises `ObjectNotFoundError`."""
        run = self.execute(ops.flow_run_state(id=flow_run_id))
        if run is None:
            raise ObjectNotFoundError(f"There is no flow run with the id {flow_run_id!r}.")
        return state_of(run.serialized_state)

    def set_flow_run_state(self, flow_run_id: str, state: "State", version: int | None = None) -> "State":
        """Move a flow run to a state and return the state to go on with: this one, or `Queued` if it has to wait.

        Raises `VersionLockMismatchSignal` if the run is no longer at `version`.
        """
        change = {"flow_run_id": flow_run_id, "version": version, "state": state.serialize()}
        [answer] = self.execute(ops.set_flow_run_states(states=[change])).states
        return queued_state(answer.message) if answer.status == "QUEUED" else state

    def set_flow_run_name(self, flow_run_id: str, name: str) -> bool:
        """Rename a flow run; returns whether it exists."""
        return bool(self.execute(ops.set_flow_run_name(flow_run_id=flow_run_id, name=name)).success)

    def cancel_flow_run(self, flow_run_id: str) -> str:
        """Cancel a flow run; returns the name of its new state."""
        return self.execute(ops.cancel_flow_run(flow_run_id=flow_run_id)).state

    def restart_flow_run(
        self,
        flow_run_id: str,
        tasks: Sequence[str] = (),
        dry_run: bool = False,
        idempotency_key: str | None = None,
        labels: Sequence[str] | None = None,
    ) -> "RestartFlowRun":
        """Let a flow run that has ended go on: what did not succeed runs again, and what is needed and was not stored.

        `tasks` names tasks that are to run again although they succeeded; `labels` replaces those of the run.  The
        answer has `again`, with a `reason` for each task run, and `kept`, the number of the others; with `dry_run`
        nothing else happens.  Safe to repeat.
        Raises `ClientError` for a run that has not ended, or of which nothing has to run again.
        """
        return self.execute(
            ops.restart_flow_run(
                flow_run_id=flow_run_id,
                tasks=list(tasks),
                labels=UNSET if labels is None else list(labels),
                dry_run=dry_run,
                idempotency_key=idempotency_key or uuid.uuid4().hex,
            )
        )

    def update_flow_run_heartbeat(self, flow_run_id: str) -> None:
        """Say that the process of a flow run is alive."""
        self.execute(
            ops.update_flow_run_heartbeat(flow_run_id=flow_run_id), headers={HEARTBEAT_HEADER: str(flow_run_id)}
        )

    def write_run_logs(self, logs: Sequence[Mapping[str, Any]], batch_id: str | None = None) -> None:
        """Append log lines: `flow_run_id`, `task_run_id`, `timestamp`, `name`, `level`, `message` of each.

        Lines that are sent again with the same `batch_id`, a UUID (random by default), are stored once.  Raises
        `ValueError` if the API did not take them.
        """
        if not self.execute(ops.write_run_logs(logs=logs, batch_id=batch_id or str(uuid.uuid4()))).success:
            raise ValueError("Writing logs failed.")
