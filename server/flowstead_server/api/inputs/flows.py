"""Inputs of the mutations on flows."""

from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from flowstead_server.api.inputs.base import wire_input

_PROJECT = "Project that the flow belongs to."
_GROUP = "Versions with the same group replace each other; null means the group of the project's flow of the same name."
_SCHEDULE = "Whether its schedule starts at once; null means true."
_DESCRIPTION = "What the flow does."
_IDEMPOTENCY = "Repeating a registration with the key of the latest one returns the existing flow."


@wire_input(name="create_flow_input", description="A flow version to register.")
class CreateFlowInput:
    """Input of `create_flow`."""

    serialized_flow: JSON = strawberry.field(description="The flow as `flow.serialize()` gives it.")
    project_id: UUID = strawberry.field(description=_PROJECT)
    version_group_id: str | None = strawberry.field(description=_GROUP)
    set_schedule_active: bool | None = strawberry.field(description=_SCHEDULE)
    description: str | None = strawberry.field(description=_DESCRIPTION)
    idempotency_key: str | None = strawberry.field(description=_IDEMPOTENCY)


@wire_input(name="create_flow_from_compressed_string_input", description="A flow version to register, sent compressed.")
class CreateFlowFromCompressedStringInput:
    """Input of `create_flow_from_compressed_string`."""

    serialized_flow: str = strawberry.field(description="The flow's JSON, compressed with gzip and written in base64.")
    project_id: UUID = strawberry.field(description=_PROJECT)
    version_group_id: str | None = strawberry.field(description=_GROUP)
    set_schedule_active: bool | None = strawberry.field(description=_SCHEDULE)
    description: str | None = strawberry.field(description=_DESCRIPTION)
    idempotency_key: str | None = strawberry.field(description=_IDEMPOTENCY)


@wire_input(name="register_tasks_input", description="Tasks to add to a flow.")
class RegisterTasksInput:
    """Input of `register_tasks`."""

    serialized_tasks: JSON = strawberry.field(
        description="List of tasks; those that the flow has already are left alone."
    )
    flow_id: UUID = strawberry.field(description="Id of the flow version.")


@wire_input(name="register_edges_input", description="Edges to add between the tasks of a flow.")
class RegisterEdgesInput:
    """Input of `register_edges`."""

    serialized_edges: JSON = strawberry.field(
        description="List of edges; those that the flow has already are left alone."
    )
    flow_id: UUID = strawberry.field(description="Id of the flow version.")


@wire_input(name="archive_flow_input", description="The flow version to archive.")
class ArchiveFlowInput:
    """Input of `archive_flow`."""

    flow_id: UUID = strawberry.field(description="Id of the flow version.")


@wire_input(name="set_schedule_active_input", description="The flow version whose schedule is to start.")
class SetScheduleActiveInput:
    """Input of `set_schedule_active`."""

    flow_id: UUID = strawberry.field(description="Id of the flow version.")


@wire_input(name="set_schedule_inactive_input", description="The flow version whose schedule is to stop.")
class SetScheduleInactiveInput:
    """Input of `set_schedule_inactive`."""

    flow_id: UUID = strawberry.field(description="Id of the flow version.")


@wire_input(name="delete_flow_input", description="The flow version to delete.")
class DeleteFlowInput:
    """Input of `delete_flow`."""

    flow_id: UUID = strawberry.field(description="Id of the flow version.")


@wire_input(name="update_flow_project_input", description="A flow version and the project that it is to belong to.")
class UpdateFlowProjectInput:
    """Input of `update_flow_project`."""

    flow_id: UUID = strawberry.field(description="Id of the flow version.")
    project_id: UUID = strawberry.field(description="Id of the project.")


@wire_input(name="enable_flow_heartbeat_input", description="The flow whose processes are to send heartbeats.")
class EnableFlowHeartbeatInput:
    """Input of `enable_flow_heartbeat`."""

    flow_id: UUID = strawberry.field(description="Id of any version of the flow.")


@wire_input(name="disable_flow_heartbeat_input", description="The flow whose processes are to send no heartbeats.")
class DisableFlowHeartbeatInput:
    """Input of `disable_flow_heartbeat`."""

    flow_id: UUID = strawberry.field(description="Id of any version of the flow.")


@wire_input(name="enable_flow_lazarus_process_input", description="The flow whose lost runs are to be started again.")
class EnableFlowLazarusProcessInput:
    """Input of `enable_flow_lazarus_process`."""

    flow_id: UUID = strawberry.field(description="Id of any version of the flow.")


@wire_input(name="disable_flow_lazarus_process_input", description="The flow whose lost runs are to stay as they are.")
class DisableFlowLazarusProcessInput:
    """Input of `disable_flow_lazarus_process`."""

    flow_id: UUID = strawberry.field(description="Id of any version of the flow.")
