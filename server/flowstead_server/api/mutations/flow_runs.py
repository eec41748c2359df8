"""Mutations on flow runs."""

import strawberry

from flowstead_server.api.context import Info, Input
from flowstead_server.api.fields import mutation
from flowstead_server.api.inputs.runs import (
    CancelChildren,
    CancelFlowRunInput,
    CreateFlowRunInput,
    DeleteFlowRunInput,
    RestartFlowRunInput,
    SetFlowRunLabelsInput,
    SetFlowRunNameInput,
    SetFlowRunPriorityInput,
    UpdateFlowRunHeartbeatInput,
)
from flowstead_server.api.payloads import (
    CancelFlowRunPayload,
    FlowRunIdPayload,
    RestartFlowRunPayload,
    RestartReason,
    SuccessPayload,
    TaskRunAgainPayload,
)
from flowstead_server.api.scalars import plain
from flowstead_server.orchestration import cancellation, deletions, flow_runs, restarts


@strawberry.type
class FlowRunMutations:
    """The fields of `Mutation` for flow runs."""

    @mutation(
        description="Create a run of a flow. Repeating it with the same idempotency key returns the existing run."
    )
    async def create_flow_run(self, info: Info, input_: Input[CreateFlowRunInput]) -> FlowRunIdPayload | None:
        """Create a flow run."""
        context = info.context
        request = flow_runs.CreateFlowRun(
            flow_id=input_.flow_id,
            flow_group_id=input_.flow_group_id,
            version_group_id=input_.version_group_id,
            parameters=plain(input_.parameters),
            context=plain(input_.context),
            labels=input_.labels,
            run_config=plain(input_.run_config),
            scheduled_start_time=input_.scheduled_start_time,
            idempotency_key=input_.idempotency_key,
            flow_run_name=input_.flow_run_name,
            parent_flow_run_id=input_.parent_flow_run_id,
            priority=input_.priority,
        )
        return FlowRunIdPayload(id=await flow_runs.create_flow_run(context.database, context.caller, request))

    @mutation(description="Rename a flow run.")
    async def set_flow_run_name(self, info: Info, input_: Input[SetFlowRunNameInput]) -> SuccessPayload | None:
        """Rename a flow run."""
        context = info.context
        success = await flow_runs.set_flow_run_name(context.database, context.caller, input_.flow_run_id, input_.name)
        return SuccessPayload(success=success)

    @mutation(
        description="Stop a flow run: at once if no process runs it yet, otherwise its process stops and reports."
    )
    async def cancel_flow_run(self, info: Info, input_: Input[CancelFlowRunInput]) -> CancelFlowRunPayload | None:
        """Cancel a flow run."""
        cascade = input_.children is CancelChildren.CASCADE
        cancelled = await cancellation.cancel_flow_run(
            info.context.database, info.context.caller, input_.flow_run_id, cascade=cascade
        )
        return CancelFlowRunPayload(state=cancelled.state, children=cancelled.children)

    @mutation(
        description="Let a flow run that has ended go on: what did not succeed runs again, and so does what succeeded "
        "if its result is needed and was not stored."
    )
    async def restart_flow_run(self, info: Info, input_: Input[RestartFlowRunInput]) -> RestartFlowRunPayload | None:
        """Restart a flow run."""
        request = restarts.Restart(
            input_.flow_run_id,
            input_.tasks or (),
            input_.idempotency_key,
            dry_run=bool(input_.dry_run),
            labels=input_.labels,
        )
        restarted = await restarts.restart_flow_run(info.context.database, info.context.caller, request)
        return RestartFlowRunPayload(
            id=restarted.flow_run_id,
            again=[
                TaskRunAgainPayload(
                    id=run.id,
                    task_slug=run.slug,
                    task_name=run.name,
                    map_index=run.map_index,
                    reason=RestartReason[run.reason.name],
                )
                for run in restarted.again
            ],
            kept=restarted.kept,
            cursor=None if restarted.after is None else str(restarted.after),
        )

    @mutation(description="Say that the process of a flow run is alive.")
    async def update_flow_run_heartbeat(
        self, info: Info, input_: Input[UpdateFlowRunHeartbeatInput]
    ) -> SuccessPayload | None:
        """Note a sign of life; an unknown run is no error."""
        context = info.context
        await flow_runs.update_flow_run_heartbeat(context.database, context.caller, input_.flow_run_id)
        return SuccessPayload(success=True)

    @mutation(description="Replace the labels of a flow run; a waiting one goes to the agents of the new labels.")
    async def set_flow_run_labels(self, info: Info, input_: Input[SetFlowRunLabelsInput]) -> SuccessPayload | None:
        """Replace the labels of a flow run."""
        context = info.context
        success = await flow_runs.set_flow_run_labels(
            context.database, context.caller, input_.flow_run_id, input_.labels
        )
        return SuccessPayload(success=success)

    @mutation(description="Let a flow run go before or after others while it waits. One that has ended is an error.")
    async def set_flow_run_priority(self, info: Info, input_: Input[SetFlowRunPriorityInput]) -> SuccessPayload | None:
        """Replace the priority of a flow run."""
        success = await flow_runs.set_flow_run_priority(
            info.context.database, info.context.caller, input_.flow_run_id, input_.priority
        )
        return SuccessPayload(success=success)

    @mutation(description="Delete a flow run with its task runs, states and logs.")
    async def delete_flow_run(self, info: Info, input_: Input[DeleteFlowRunInput]) -> SuccessPayload | None:
        """Delete a flow run."""
        success = await deletions.delete_flow_run(info.context.database, info.context.caller, input_.flow_run_id)
        return SuccessPayload(success=success)
