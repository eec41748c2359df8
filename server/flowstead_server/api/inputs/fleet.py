"""Inputs of the mutations on agents and their configurations, messages and artifacts."""

from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from flowstead_server.api.inputs.base import wire_input

_MESSAGE_ID = "Id of the message."


@wire_input(name="delete_agent_input", description="The agent to forget.")
class DeleteAgentInput:
    """Input of `delete_agent`."""

    agent_id: UUID = strawberry.field(description="Id of the agent.")


@wire_input(name="create_agent_config_input", description="A configuration that agents can be started with.")
class CreateAgentConfigInput:
    """Input of `create_agent_config`."""

    tenant_id: UUID | None = strawberry.field(description="Tenant of the agents; null means the caller's own.")
    name: str | None = strawberry.field(description="Name of the configuration.")
    settings: JSON | None = strawberry.field(description="The configuration: a JSON object; null means an empty one.")


@wire_input(name="update_agent_config_input", description="Changes of a configuration.")
class UpdateAgentConfigInput:
    """Input of `update_agent_config`."""

    agent_config_id: UUID = strawberry.field(description="Id of the configuration.")
    name: str | None = strawberry.field(description="Its new name; null leaves it.")
    settings: JSON | None = strawberry.field(description="Its new settings: a JSON object; null leaves them.")


@wire_input(name="delete_agent_config_input", description="The configuration to delete.")
class DeleteAgentConfigInput:
    """Input of `delete_agent_config`."""

    agent_config_id: UUID = strawberry.field(description="Id of the configuration.")


@wire_input(name="mark_message_as_read_input", description="The message that somebody has read.")
class MarkMessageAsReadInput:
    """Input of `mark_message_as_read`."""

    message_id: UUID = strawberry.field(description=_MESSAGE_ID)


@wire_input(name="mark_message_as_unread_input", description="The message that counts as unread again.")
class MarkMessageAsUnreadInput:
    """Input of `mark_message_as_unread`."""

    message_id: UUID = strawberry.field(description=_MESSAGE_ID)


@wire_input(name="delete_message_input", description="The message to delete.")
class DeleteMessageInput:
    """Input of `delete_message`."""

    message_id: UUID = strawberry.field(description=_MESSAGE_ID)


@wire_input(name="create_task_run_artifact_input", description="Something that a task run publishes.")
class CreateTaskRunArtifactInput:
    """Input of `create_task_run_artifact`."""

    task_run_id: UUID = strawberry.field(description="Id of the task run.")
    kind: str = strawberry.field(description="What it is: `link`, `markdown` or a kind of your own.")
    data: JSON = strawberry.field(description="Its content, at most 1,000,000 bytes of JSON.")
    tenant_id: UUID | None = strawberry.field(description="Tenant of the task run; null means the caller's own.")
    id: UUID | None = strawberry.field(
        description="An id of your own for the artifact: a request that repeats it stores nothing again."
    )


@wire_input(name="update_task_run_artifact_input", description="New content of an artifact.")
class UpdateTaskRunArtifactInput:
    """Input of `update_task_run_artifact`."""

    task_run_artifact_id: UUID = strawberry.field(description="Id of the artifact.")
    data: JSON = strawberry.field(description="Its new content, at most 1,000,000 bytes of JSON.")


@wire_input(name="delete_task_run_artifact_input", description="The artifact to delete.")
class DeleteTaskRunArtifactInput:
    """Input of `delete_task_run_artifact`."""

    task_run_artifact_id: UUID = strawberry.field(description="Id of the artifact.")
