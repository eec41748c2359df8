"""Mutations on flow runs."""

import strawberry

from flowstead_server.api.context import Info, Input
from flowstead_server.api.fields import mutation
from flowstead_server.api.inputs.runs import (
    CancelFlowRunInput,
    CreateFlowRunInput,
    SetFlowRunNameInput,
    UpdateFlowRunHeartbeatInput,
)
from flowstead_server.api.payloads import CancelFlowRunPayload, FlowRunIdPayload, SuccessPayload


@strawberry.type
class FlowRunMutations:
    """The fields of `Mutation` for flow runs."""

    @mutation(
        description="Create a run of a flow. Repeating it with the same idempotency key returns the existing run."
    )
    async def create_flow_run(self, info: Info, input_: Input[CreateFlowRunInput]) -> FlowRunIdPayload | None:
        raise NotImplementedError

    @mutation(description="Rename a flow run.")
    async def set_flow_run_name(self, info: Info, input_: Input[SetFlowRunNameInput]) -> SuccessPayload | None:
        raise NotImplementedError

    @mutation(
        description="Stop a flow run: at once if no process runs it yet, otherwise its process stops and reports."
    )
    async def cancel_flow_run(self, info: Info, input_: Input[CancelFlowRunInput]) -> CancelFlowRunPayload | None:
        raise NotImplementedError

    @mutation(description="Say that the process of a flow run is alive. Always succeeds.")
    async def update_flow_run_heartbeat(
        self, info: Info, input_: Input[UpdateFlowRunHeartbeatInput]
    ) -> SuccessPayload | None:
        raise NotImplementedError
