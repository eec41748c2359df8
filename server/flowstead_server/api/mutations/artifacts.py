"""Mutations on artifacts of task runs, and on messages."""

import strawberry

from flowstead_server.api.context import Info, Input
from flowstead_server.api.fields import mutation
from flowstead_server.api.inputs.fleet import (
    CreateTaskRunArtifactInput,
    DeleteMessageInput,
    DeleteTaskRunArtifactInput,
    MarkMessageAsReadInput,
    MarkMessageAsUnreadInput,
    UpdateTaskRunArtifactInput,
)
from flowstead_server.api.payloads import SuccessPayload, TaskRunArtifactIdPayload
from flowstead_server.orchestration import artifacts, messages


@strawberry.type
class ArtifactMutations:
    """The fields of `Mutation` for artifacts and messages."""

    @mutation(description="Store a link, a text or something else that a task run publishes.")
    async def create_task_run_artifact(
        self, info: Info, input_: Input[CreateTaskRunArtifactInput]
    ) -> TaskRunArtifactIdPayload | None:
        """Create an artifact."""
        context = info.context
        wanted = artifacts.CreateArtifact(
            task_run_id=input_.task_run_id,
            kind=input_.kind,
            data=input_.data,
            tenant_id=input_.tenant_id,
            id=input_.id,
        )
        artifact_id = await artifacts.create_task_run_artifact(context.database, context.caller, wanted)
        return TaskRunArtifactIdPayload(id=artifact_id)

    @mutation(description="Replace the content of an artifact.")
    async def update_task_run_artifact(
        self, info: Info, input_: Input[UpdateTaskRunArtifactInput]
    ) -> SuccessPayload | None:
        """Change an artifact."""
        context = info.context
        success = await artifacts.update_task_run_artifact(
            context.database, context.caller, input_.task_run_artifact_id, input_.data
        )
        return SuccessPayload(success=success)

    @mutation(description="Delete an artifact.")
    async def delete_task_run_artifact(
        self, info: Info, input_: Input[DeleteTaskRunArtifactInput]
    ) -> SuccessPayload | None:
        """Delete an artifact."""
        context = info.context
        success = await artifacts.delete_task_run_artifact(
            context.database, context.caller, input_.task_run_artifact_id
        )
        return SuccessPayload(success=success)

    @mutation(description="Mark a message as read.")
    async def mark_message_as_read(self, info: Info, input_: Input[MarkMessageAsReadInput]) -> SuccessPayload | None:
        """Mark a message."""
        context = info.context
        success = await messages.mark_message(context.database, context.caller, input_.message_id, read=True)
        return SuccessPayload(success=success)

    @mutation(description="Mark a message as unread.")
    async def mark_message_as_unread(
        self, info: Info, input_: Input[MarkMessageAsUnreadInput]
    ) -> SuccessPayload | None:
        """Mark a message."""
        context = info.context
        success = await messages.mark_message(context.database, context.caller, input_.message_id, read=False)
        return SuccessPayload(success=success)

    @mutation(description="Delete a message.")
    async def delete_message(self, info: Info, input_: Input[DeleteMessageInput]) -> SuccessPayload | None:
        """Delete a message."""
        context = info.context
        success = await messages.delete_message(context.database, context.caller, input_.message_id)
        return SuccessPayload(success=success)
