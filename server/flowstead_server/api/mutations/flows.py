"""Mutations on flows."""

import strawberry

from flowstead_server.api.context import Info, Input
from flowstead_server.api.fields import mutation
from flowstead_server.api.inputs.flows import (
    ArchiveFlowInput,
    CreateFlowFromCompressedStringInput,
    CreateFlowInput,
    DeleteFlowInput,
    RegisterEdgesInput,
    RegisterTasksInput,
    SetScheduleActiveInput,
    SetScheduleInactiveInput,
    UpdateFlowProjectInput,
)
from flowstead_server.api.payloads import FlowIdPayload, SuccessPayload
from flowstead_server.orchestration import deletions, flows


@strawberry.type
class FlowMutations:
    """The fields of `Mutation` for flows."""

    @mutation(description="Register a flow version; older versions of its group are archived.")
    async def create_flow(self, info: Info, input_: Input[CreateFlowInput]) -> FlowIdPayload | None:
        """Register a flow that was sent as JSON."""
        return await _create_flow(info, input_, input_.serialized_flow)

    @mutation(description="Register a flow version that is sent compressed; older versions of its group are archived.")
    async def create_flow_from_compressed_string(
        self, info: Info, input_: Input[CreateFlowFromCompressedStringInput]
    ) -> FlowIdPayload | None:
        """Register a flow that was sent compressed."""
        return await _create_flow(info, input_, flows.decompress_flow(input_.serialized_flow))

    @mutation(description="Add tasks to a flow version. Repeating it changes nothing.")
    async def register_tasks(self, info: Info, input_: Input[RegisterTasksInput]) -> SuccessPayload | None:
        """Add tasks to a flow."""
        context = info.context
        success = await flows.register_tasks(context.database, context.caller, input_.flow_id, input_.serialized_tasks)
        return SuccessPayload(success=success)

    @mutation(description="Add edges between tasks of a flow version. Repeating it changes nothing.")
    async def register_edges(self, info: Info, input_: Input[RegisterEdgesInput]) -> SuccessPayload | None:
        """Add edges to a flow."""
        context = info.context
        success = await flows.register_edges(context.database, context.caller, input_.flow_id, input_.serialized_edges)
        return SuccessPayload(success=success)

    @mutation(
        description="Archive a flow version: scheduled runs are removed or cancelled, new ones cannot be created."
    )
    async def archive_flow(self, info: Info, input_: Input[ArchiveFlowInput]) -> SuccessPayload | None:
        """Archive a flow."""
        success = await flows.archive_flow(info.context.database, info.context.caller, input_.flow_id)
        return SuccessPayload(success=success)

    @mutation(description="Start the schedule of a flow version. Answers false if it has none.")
    async def set_schedule_active(self, info: Info, input_: Input[SetScheduleActiveInput]) -> SuccessPayload | None:
        """Switch a schedule on."""
        success = await flows.set_schedule_active(info.context.database, info.context.caller, input_.flow_id)
        return SuccessPayload(success=success)

    @mutation(description="Stop the schedule of a flow version and remove the runs it has made in advance.")
    async def set_schedule_inactive(self, info: Info, input_: Input[SetScheduleInactiveInput]) -> SuccessPayload | None:
        """Switch a schedule off."""
        success = await flows.set_schedule_inactive(info.context.database, info.context.caller, input_.flow_id)
        return SuccessPayload(success=success)

    @mutation(description="Delete a flow version with its runs.")
    async def delete_flow(self, info: Info, input_: Input[DeleteFlowInput]) -> SuccessPayload | None:
        """Delete a flow."""
        success = await deletions.delete_flow(info.context.database, info.context.caller, input_.flow_id)
        return SuccessPayload(success=success)

    @mutation(description="Move a flow version to another project.")
    async def update_flow_project(self, info: Info, input_: Input[UpdateFlowProjectInput]) -> FlowIdPayload | None:
        """Move a flow."""
        context = info.context
        flow_id = await flows.update_flow_project(context.database, context.caller, input_.flow_id, input_.project_id)
        return FlowIdPayload(id=flow_id)


async def _create_flow(
    info: Info, given: CreateFlowInput | CreateFlowFromCompressedStringInput, serialized_flow: object
) -> FlowIdPayload:
    request = flows.CreateFlow(
        serialized_flow=serialized_flow,
        project_id=given.project_id,
        version_group_id=given.version_group_id,
        set_schedule_active=given.set_schedule_active is not False,
        description=given.description,
        idempotency_key=given.idempotency_key,
    )
    return FlowIdPayload(id=await flows.create_flow(info.context.database, info.context.caller, request))
