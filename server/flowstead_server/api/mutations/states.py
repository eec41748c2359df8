"""Mutations on states of runs."""

import strawberry

from flowstead_server.api.context import Info, Input
from flowstead_server.api.fields import mutation
from flowstead_server.api.inputs.runs import SetFlowRunStatesInput, SetTaskRunStatesInput
from flowstead_server.api.payloads import SetFlowRunStatesPayload, SetTaskRunStatesPayload


@strawberry.type
class StateMutations:
    """The fields of `Mutation` for states of runs."""

    @mutation(
        description="Move flow runs to new states. If one is refused the field is an error, but the others are stored."
    )
    async def set_flow_run_states(
        self, info: Info, input_: Input[SetFlowRunStatesInput]
    ) -> SetFlowRunStatesPayload | None:
        raise NotImplementedError

    @mutation(
        description="Move task runs to new states. If one is refused the field is an error, but the others are stored."
    )
    async def set_task_run_states(
        self, info: Info, input_: Input[SetTaskRunStatesInput]
    ) -> SetTaskRunStatesPayload | None:
        raise NotImplementedError
