"""Mutations on flows."""

import strawberry

from flowstead_server.api.context import Info, Input
from flowstead_server.api.fields import mutation
from flowstead_server.api.inputs.flows import (
    ArchiveFlowInput,
    CreateFlowFromCompressedStringInput,
    CreateFlowInput,
    RegisterEdgesInput,
    RegisterTasksInput,
    SetScheduleActiveInput,
    SetScheduleInactiveInput,
)
from flowstead_server.api.payloads import FlowIdPayload, SuccessPayload


@strawberry.type
class FlowMutations:
    """The fields of `Mutation` for flows."""

    @mutation(description="Register a flow version; older versions of its group are archived.")
    async def create_flow(self, info: Info, input_: Input[CreateFlowInput]) -> FlowIdPayload | None:
        raise NotImplementedError

    @mutation(
        description="Register a flow version that is sent compressed; older versions of its group are archived."
    )
    async def create_flow_from_compressed_string(
        self, info: Info, input_: Input[CreateFlowFromCompressedStringInput]
    ) -> FlowIdPayload | None:
        raise NotImplementedError

    @mutation(description="Add tasks to a flow version. Repeating it changes nothing.")
    async def register_tasks(self, info: Info, input_: Input[RegisterTasksInput]) -> SuccessPayload | None:
        raise NotImplementedError

    @mutation(description="Add edges between tasks of a flow version. Repeating it changes nothing.")
    async def register_edges(self, info: Info, input_: Input[RegisterEdgesInput]) -> SuccessPayload | None:
        raise NotImplementedError

    @mutation(
        description="Archive a flow version: scheduled runs are removed or cancelled, new ones cannot be created."
    )
    async def archive_flow(self, info: Info, input_: Input[ArchiveFlowInput]) -> SuccessPayload | None:
        raise NotImplementedError

    @mutation(description="Start the schedule of a flow version. Answers false if it has none.")
    async def set_schedule_active(self, info: Info, input_: Input[SetScheduleActiveInput]) -> SuccessPayload | None:
        raise NotImplementedError

    @mutation(description="Stop the schedule of a flow version and remove the runs it has made in advance.")
    async def set_schedule_inactive(self, info: Info, input_: Input[SetScheduleInactiveInput]) -> SuccessPayload | None:
        raise NotImplementedError
