"""Mutations on task runs."""

import strawberry

from flowstead_server.api.context import Info, Input
from flowstead_server.api.fields import mutation
from flowstead_server.api.inputs.runs import (
    GetOrCreateMappedTaskRunsInput,
    GetOrCreateTaskRunInfoInput,
    GetOrCreateTaskRunInput,
    SetTaskRunNameInput,
    UpdateTaskRunHeartbeatInput,
)
from flowstead_server.api.payloads import (
    GetOrCreateMappedTaskRunsPayload,
    GetOrCreateTaskRunInfoPayload,
    MappedTaskRunInfo,
    SuccessPayload,
    TaskRunIdPayload,
)
from flowstead_server.api.scalars import stored_json
from flowstead_server.orchestration import flow_runs, task_runs


@strawberry.type
class TaskRunMutations:
    """The fields of `Mutation` for task runs."""

    @mutation(description="Return the task run of a task in a flow run, created if needed.")
    async def get_or_create_task_run(
        self, info: Info, input_: Input[GetOrCreateTaskRunInput]
    ) -> TaskRunIdPayload | None:
        """Find or create a task run."""
        context = info.context
        task_run_id = await task_runs.get_or_create_task_run(
            context.database, context.caller, input_.flow_run_id, input_.task_id, input_.map_index
        )
        return TaskRunIdPayload(id=task_run_id)

    @mutation(description="Return the task run of a task in a flow run with its state, created if needed.")
    async def get_or_create_task_run_info(
        self, info: Info, input_: Input[GetOrCreateTaskRunInfoInput]
    ) -> GetOrCreateTaskRunInfoPayload | None:
        """Find or create a task run and say what state it is in."""
        context = info.context
        found = await task_runs.get_or_create_task_run_info(
            context.database, context.caller, input_.flow_run_id, input_.task_id, input_.map_index
        )
        return GetOrCreateTaskRunInfoPayload(
            id=found.id,
            version=found.version,
            state=found.state,
            serialized_state=stored_json(found.serialized_state),
        )

    @mutation(description="Return mapped children of a task in a flow run with their states, created if needed.")
    async def get_or_create_mapped_task_runs(
        self, info: Info, input_: Input[GetOrCreateMappedTaskRunsInput]
    ) -> GetOrCreateMappedTaskRunsPayload | None:
        """Find or create task runs of mapped children."""
        context = info.context
        found = await task_runs.get_or_create_mapped_task_runs(
            context.database, context.caller, input_.flow_run_id, input_.task_id, input_.first, input_.count
        )
        return GetOrCreateMappedTaskRunsPayload(
            task_runs=[
                MappedTaskRunInfo(id=one.id, version=one.version, serialized_state=stored_json(one.serialized_state))
                for one in found
            ]
        )

    @mutation(description="Rename a task run.")
    async def set_task_run_name(self, info: Info, input_: Input[SetTaskRunNameInput]) -> SuccessPayload | None:
        """Rename a task run."""
        context = info.context
        success = await flow_runs.set_task_run_name(context.database, context.caller, input_.task_run_id, input_.name)
        return SuccessPayload(success=success)

    @mutation(description="Say that the process of a task run is alive.")
    async def update_task_run_heartbeat(
        self, info: Info, input_: Input[UpdateTaskRunHeartbeatInput]
    ) -> SuccessPayload | None:
        """Note a sign of life."""
        context = info.context
        success = await flow_runs.update_task_run_heartbeat(context.database, context.caller, input_.task_run_id)
        return SuccessPayload(success=success)
