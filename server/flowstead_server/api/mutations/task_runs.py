"""Mutations on task runs."""

import strawberry

from flowstead_server.api.context import Info, Input
from flowstead_server.api.fields import mutation
from flowstead_server.api.inputs.runs import GetOrCreateTaskRunInfoInput, GetOrCreateTaskRunInput, SetTaskRunNameInput
from flowstead_server.api.payloads import GetOrCreateTaskRunInfoPayload, SuccessPayload, TaskRunIdPayload


@strawberry.type
class TaskRunMutations:
    """The fields of `Mutation` for task runs."""

    @mutation(description="Return the task run of a task in a flow run, created if needed.")
    async def get_or_create_task_run(
        self, info: Info, input_: Input[GetOrCreateTaskRunInput]
    ) -> TaskRunIdPayload | None:
        raise NotImplementedError

    @mutation(description="Return the task run of a task in a flow run with its state, created if needed.")
    async def get_or_create_task_run_info(
        self, info: Info, input_: Input[GetOrCreateTaskRunInfoInput]
    ) -> GetOrCreateTaskRunInfoPayload | None:
        raise NotImplementedError

    @mutation(description="Rename a task run.")
    async def set_task_run_name(self, info: Info, input_: Input[SetTaskRunNameInput]) -> SuccessPayload | None:
        raise NotImplementedError
