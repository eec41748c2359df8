"""Inputs of the mutations on flow runs, task runs, their states and their logs."""

from datetime import datetime
from enum import Enum
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from flowstead_server.api.inputs.base import wire_input

_PRIORITY = (
    "Among waiting runs the higher one goes first, -100 to 100; a point counts as much as ten minutes of waiting. Null "
    "means 0."
)


@wire_input(name="create_flow_run_input", description="A flow run to create.")
class CreateFlowRunInput:
    """Input of `create_flow_run`."""

    flow_id: UUID | None = strawberry.field(
        description="Flow version to run. The first of the three ids that is given wins."
    )
    flow_group_id: UUID | None = strawberry.field(description="Run the newest version of this flow group.")
    version_group_id: str | None = strawberry.field(description="Run the newest version of this version group.")
    parameters: JSON | None = strawberry.field(description="Values of the flow's parameters, by name.")
    context: JSON | None = strawberry.field(description="Values for `prefect.context` in the run.")
    labels: list[str] | None = strawberry.field(
        description="An agent needs all of these; null means those of the run config, the flow group or the flow."
    )
    run_config: JSON | None = strawberry.field(description="How to start its process; null means as the flow says.")
    scheduled_start_time: datetime | None = strawberry.field(description="When to start; null means now.")
    idempotency_key: str | None = strawberry.field(
        description="Repeating a request of the same flow with the same key returns the existing run."
    )
    flow_run_name: str | None = strawberry.field(description="Name of the run; null means a generated one.")
    parent_flow_run_id: UUID | None = strawberry.field(
        description="The run whose flow creates this one; both can be cancelled together."
    )
    priority: int | None = strawberry.field(description=_PRIORITY)


@wire_input(name="set_flow_run_name_input", description="A new name for a flow run.")
class SetFlowRunNameInput:
    """Input of `set_flow_run_name`."""

    flow_run_id: UUID = strawberry.field(description="Id of the flow run.")
    name: str = strawberry.field(description="Its new name.")


@wire_input(name="set_task_run_name_input", description="A new name for a task run.")
class SetTaskRunNameInput:
    """Input of `set_task_run_name`."""

    task_run_id: UUID = strawberry.field(description="Id of the task run.")
    name: str = strawberry.field(description="Its new name.")


@wire_input(name="set_flow_run_state_input", description="A state that a flow run is to take.")
class SetFlowRunStateInput:
    """One member of `set_flow_run_states_input`."""

    flow_run_id: UUID = strawberry.field(description="Id of the flow run.")
    version: int | None = strawberry.field(
        description="Version of the state that the sender knows; checked where version locking is on."
    )
    state: JSON = strawberry.field(description="The new state as `state.serialize()` gives it.")


@wire_input(name="set_flow_run_states_input", description="States that flow runs are to take.")
class SetFlowRunStatesInput:
    """Input of `set_flow_run_states`."""

    states: list[SetFlowRunStateInput] = strawberry.field(description="One member for each flow run.")


@wire_input(name="set_task_run_state_input", description="A state that a task run is to take.")
class SetTaskRunStateInput:
    """One member of `set_task_run_states_input`."""

    task_run_id: UUID = strawberry.field(description="Id of the task run.")
    version: int | None = strawberry.field(
        description="Version of the state that the sender knows; checked where version locking is on."
    )
    state: JSON = strawberry.field(description="The new state as `state.serialize()` gives it.")
    flow_run_version: int | None = strawberry.field(description="Accepted for 1.x programs; has no effect.")


@wire_input(name="set_task_run_states_input", description="States that task runs are to take.")
class SetTaskRunStatesInput:
    """Input of `set_task_run_states`."""

    states: list[SetTaskRunStateInput] = strawberry.field(
        description="The changes; those of one task run are made in this order."
    )
    report_refusals: bool | None = strawberry.field(
        description="Whether a refused member is answered with the status `REFUSED` instead of an error of the field."
    )


@strawberry.enum(name="cancel_children", description="What becomes of the runs that a cancelled run has created.")
class CancelChildren(Enum):
    """Member of `cancel_flow_run_input`."""

    DETACH = strawberry.enum_value("DETACH", description="They go on.")
    CASCADE = strawberry.enum_value("CASCADE", description="They are cancelled too, and so are their own.")


@wire_input(name="cancel_flow_run_input", description="The flow run to stop.")
class CancelFlowRunInput:
    """Input of `cancel_flow_run`."""

    flow_run_id: UUID = strawberry.field(description="Id of the flow run.")
    children: CancelChildren | None = strawberry.field(
        description="What becomes of the runs that it has created; null means `DETACH`."
    )


@wire_input(name="restart_flow_run_input", description="The flow run to restart.")
class RestartFlowRunInput:
    """Input of `restart_flow_run`."""

    flow_run_id: UUID = strawberry.field(description="Id of the flow run, which has ended.")
    tasks: list[str] | None = strawberry.field(
        description="Names or slugs of tasks that are to run again although they succeeded, such as those whose stored "
        "result is gone."
    )
    idempotency_key: str | None = strawberry.field(
        description="Repeating a request with the same key restarts the run once and gives the same answer."
    )
    labels: list[str] | None = strawberry.field(description="New labels of the run; null means those that it has.")
    dry_run: bool | None = strawberry.field(description="Only say what would run again; null means false.")


@wire_input(name="get_or_create_task_run_input", description="The task run that is wanted.")
class GetOrCreateTaskRunInput:
    """Input of `get_or_create_task_run`."""

    flow_run_id: UUID = strawberry.field(description="Id of the flow run.")
    task_id: UUID = strawberry.field(description="Id of the task.")
    map_index: int | None = strawberry.field(description="Position among mapped children; null means -1, not a child.")


@wire_input(name="get_or_create_task_run_info_input", description="The task run that is wanted.")
class GetOrCreateTaskRunInfoInput:
    """Input of `get_or_create_task_run_info`."""

    flow_run_id: UUID = strawberry.field(description="Id of the flow run.")
    task_id: UUID = strawberry.field(description="Id of the task.")
    map_index: int | None = strawberry.field(description="Position among mapped children; null means -1, not a child.")


@wire_input(name="get_or_create_mapped_task_runs_input", description="The mapped children that are wanted.")
class GetOrCreateMappedTaskRunsInput:
    """Input of `get_or_create_mapped_task_runs`."""

    flow_run_id: UUID = strawberry.field(description="Id of the flow run.")
    task_id: UUID = strawberry.field(description="Id of the mapped task.")
    first: int = strawberry.field(description="Position of the first child.")
    count: int = strawberry.field(description="How many children from there on; at most 5000.")


@wire_input(name="update_flow_run_heartbeat_input", description="The flow run that is alive.")
class UpdateFlowRunHeartbeatInput:
    """Input of `update_flow_run_heartbeat`."""

    flow_run_id: UUID = strawberry.field(description="Id of the flow run.")


# Lines come by the hundred and go on as JSON: an object for each would only cost time.
@wire_input(name="write_run_log_input", description="A log line of a run.", as_mapping=True)
class WriteRunLogInput:
    """One member of `write_run_logs_input`."""

    flow_run_id: UUID = strawberry.field(description="Flow run that the line belongs to.")
    task_run_id: UUID | None = strawberry.field(description="Task run that the line belongs to, if it does.")
    timestamp: datetime | None = strawberry.field(description="When it was written; null means now.")
    message: str | None = strawberry.field(
        description="The line; what exceeds 1,000,000 characters is cut off and marked."
    )
    name: str | None = strawberry.field(description="Name of the logger.")
    level: str | None = strawberry.field(
        description="`DEBUG`, `INFO`, `WARNING`, `ERROR`, `CRITICAL` or a name of your own; null means `INFO`."
    )
    info: JSON | None = strawberry.field(description="Further facts about the line.")


@wire_input(name="write_run_logs_input", description="Log lines to store.")
class WriteRunLogsInput:
    """Input of `write_run_logs`."""

    logs: list[WriteRunLogInput] = strawberry.field(description="The lines, in their order.")
    batch_id: UUID | None = strawberry.field(
        description="An id of your own for these lines: a request that repeats it within an hour stores nothing again."
    )


@wire_input(name="set_flow_run_labels_input", description="New labels for a flow run.")
class SetFlowRunLabelsInput:
    """Input of `set_flow_run_labels`."""

    flow_run_id: UUID = strawberry.field(description="Id of the flow run.")
    labels: list[str] = strawberry.field(description="Its new labels; an agent needs all of them.")


@wire_input(name="set_flow_run_priority_input", description="A new priority for a flow run.")
class SetFlowRunPriorityInput:
    """Input of `set_flow_run_priority`."""

    flow_run_id: UUID = strawberry.field(description="Id of the flow run.")
    priority: int = strawberry.field(description=_PRIORITY.removesuffix(" Null means 0."))


@wire_input(name="delete_flow_run_input", description="The flow run to delete.")
class DeleteFlowRunInput:
    """Input of `delete_flow_run`."""

    flow_run_id: UUID = strawberry.field(description="Id of the flow run.")


@wire_input(name="update_task_run_heartbeat_input", description="The task run that is alive.")
class UpdateTaskRunHeartbeatInput:
    """Input of `update_task_run_heartbeat`."""

    task_run_id: UUID = strawberry.field(description="Id of the task run.")
