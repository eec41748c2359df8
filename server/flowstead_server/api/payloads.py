"""What mutations answer with. Members are nullable, as in 1.x: a payload is never the reason for a second error."""

from datetime import datetime
from enum import Enum
from uuid import UUID

import strawberry
from strawberry.scalars import JSON


@strawberry.type(name="success_payload", description="Says whether something was changed.")
class SuccessPayload:
    """Payload of mutations that answer yes or no."""

    success: bool | None = strawberry.field(description="True if at least one row was changed or accepted.")
    error: str | None = strawberry.field(default=None, description="Why not, where the mutation reports that here.")


@strawberry.type(name="tenant_id_payload", description="The id of a tenant.")
class TenantIdPayload:
    """Payload of mutations on a tenant."""

    id: UUID | None = strawberry.field(description="Id of the tenant.")


@strawberry.type(name="project_id_payload", description="The id of a project.")
class ProjectIdPayload:
    """Payload of mutations on a project."""

    id: UUID | None = strawberry.field(description="Id of the project.")


@strawberry.type(name="flow_id_payload", description="The id of a registered flow version.")
class FlowIdPayload:
    """Payload of mutations on a flow."""

    id: UUID | None = strawberry.field(description="Id of the flow version.")


@strawberry.type(name="flow_run_id_payload", description="The id of a flow run.")
class FlowRunIdPayload:
    """Payload of mutations on a flow run."""

    id: UUID | None = strawberry.field(description="Id of the flow run.")


@strawberry.type(name="task_run_id_payload", description="The id of a task run.")
class TaskRunIdPayload:
    """Payload of mutations on a task run."""

    id: UUID | None = strawberry.field(description="Id of the task run.")


@strawberry.type(name="agent_id_payload", description="The id of an agent.")
class AgentIdPayload:
    """Payload of mutations on an agent."""

    id: UUID | None = strawberry.field(description="Id of the agent.")


@strawberry.type(name="agent_config_id_payload", description="The id of a configuration of agents.")
class AgentConfigIdPayload:
    """Payload of `create_agent_config`."""

    id: UUID | None = strawberry.field(description="Id of the configuration.")


@strawberry.type(name="task_run_artifact_id_payload", description="The id of an artifact.")
class TaskRunArtifactIdPayload:
    """Payload of `create_task_run_artifact`."""

    id: UUID | None = strawberry.field(description="Id of the artifact.")


@strawberry.type(name="get_or_create_task_run_info_payload", description="A task run and its stored state.")
class GetOrCreateTaskRunInfoPayload:
    """Payload of `get_or_create_task_run_info`."""

    id: UUID | None = strawberry.field(description="Id of the task run.")
    version: int | None = strawberry.field(description="Stored version of its state.")
    state: str | None = strawberry.field(description="Name of its state, such as `Pending`.")
    serialized_state: JSON | None = strawberry.field(description="Its state as it was sent.")


@strawberry.type(name="mapped_task_run_info", description="A mapped child and its stored state.")
class MappedTaskRunInfo:
    """One member of `get_or_create_mapped_task_runs`."""

    id: UUID = strawberry.field(description="Id of the task run.")
    version: int = strawberry.field(description="Stored version of its state.")
    serialized_state: JSON | None = strawberry.field(description="Its state as it was sent.")


@strawberry.type(name="get_or_create_mapped_task_runs_payload", description="Mapped children, by their positions.")
class GetOrCreateMappedTaskRunsPayload:
    """Payload of `get_or_create_mapped_task_runs`."""

    task_runs: list[MappedTaskRunInfo] = strawberry.field(description="As many as were asked for.")


@strawberry.type(name="set_flow_run_state_payload", description="What became of one requested flow run state.")
class SetFlowRunStatePayload:
    """One member of `set_flow_run_states`."""

    id: UUID | None = strawberry.field(description="Id of the flow run.")
    status: str | None = strawberry.field(description="`SUCCESS`, or `QUEUED` if the run has to wait for a free slot.")
    message: str | None = strawberry.field(description="Why the run waits, if it does.")


@strawberry.type(name="set_flow_run_states_payload", description="Results in the order of the request.")
class SetFlowRunStatesPayload:
    """Payload of `set_flow_run_states`."""

    states: list[SetFlowRunStatePayload] | None = strawberry.field(description="One result for each requested state.")


@strawberry.type(name="set_task_run_state_payload", description="What became of one requested task run state.")
class SetTaskRunStatePayload:
    """One member of `set_task_run_states`."""

    id: UUID | None = strawberry.field(description="Id of the task run.")
    status: str | None = strawberry.field(
        description="`SUCCESS`, `QUEUED` if the run has to wait for a free slot, or `REFUSED` (with `report_refusals`)."
    )
    message: str | None = strawberry.field(description="Why the run waits, or why the state was refused.")
    code: str | None = strawberry.field(description="Code of the error, if the state was refused.", default=None)


@strawberry.type(name="set_task_run_states_payload", description="Results in the order of the request.")
class SetTaskRunStatesPayload:
    """Payload of `set_task_run_states`."""

    states: list[SetTaskRunStatePayload] | None = strawberry.field(description="One result for each requested state.")


@strawberry.type(name="cancel_flow_run_payload", description="The state of a flow run after it was asked to stop.")
class CancelFlowRunPayload:
    """Payload of `cancel_flow_run`."""

    state: str | None = strawberry.field(
        description="`Cancelled`, `Cancelling` while its process still stops, or the state it had already ended in."
    )
    children: list[UUID] | None = strawberry.field(description="Child runs that were told to stop too.")


@strawberry.enum(name="restart_reason", description="Why a task run runs again after a restart.")
class RestartReason(Enum):
    """Member of `task_run_again`."""

    FAILED = strawberry.enum_value("FAILED", description="It had failed.")
    UNFINISHED = strawberry.enum_value("UNFINISHED", description="It had not ended, or not with success.")
    DOWNSTREAM = strawberry.enum_value("DOWNSTREAM", description="It depends on a task that runs again.")
    MAPPED_ANEW = strawberry.enum_value("MAPPED_ANEW", description="The list that it is mapped over is made anew.")
    RESULT_MISSING = strawberry.enum_value("RESULT_MISSING", description="Its result is needed and was not stored.")
    NEVER_KEPT = strawberry.enum_value("NEVER_KEPT", description="What it gives is never kept, such as a secret.")
    ASKED = strawberry.enum_value("ASKED", description="The request named its task.")


@strawberry.type(name="task_run_again", description="A task run that runs again after a restart.")
class TaskRunAgainPayload:
    """One member of `restart_flow_run`."""

    id: UUID = strawberry.field(description="Id of the task run.")
    task_slug: str | None = strawberry.field(description="Slug of its task.")
    task_name: str | None = strawberry.field(description="Name of its task.")
    map_index: int = strawberry.field(description="Position among mapped children; -1 if it is not one.")
    reason: RestartReason = strawberry.field(description="Why it runs again.")


@strawberry.type(name="restart_flow_run_payload", description="What becomes of a flow run that is restarted.")
class RestartFlowRunPayload:
    """Payload of `restart_flow_run`."""

    id: UUID | None = strawberry.field(description="Id of the flow run, which stays the same.")
    again: list[TaskRunAgainPayload] | None = strawberry.field(description="Task runs that run again.")
    kept: int | None = strawberry.field(description="How many task runs keep their state and their result.")
    cursor: str | None = strawberry.field(
        description="Position in `flow_run_events` just before the restart; null for a dry run."
    )


@strawberry.type(name="runs_in_queue_payload", description="Flow runs that an agent may start now.")
class RunsInQueuePayload:
    """Payload of `get_runs_in_queue`."""

    flow_run_ids: list[str] | None = strawberry.field(description="Ids of at most 25 flow runs, earliest first.")


@strawberry.type(name="claimed_flow_run", description="A flow run that now belongs to the agent that claimed it.")
class ClaimedFlowRun:
    """One member of `claim_flow_runs`."""

    id: UUID = strawberry.field(description="Id of the flow run.")
    name: str | None = strawberry.field(description="Name of the flow run.")
    version: int = strawberry.field(description="Version of its state after the claim.")
    claim_token: UUID = strawberry.field(
        description="Proof of the claim: sent as header `X-PREFECT-CLAIM-TOKEN` with every later write for this run."
    )
    lease_expires: datetime = strawberry.field(
        description="Unless the run is Running or the claim is extended by then, the run goes back to the queue."
    )
    start_time: datetime = strawberry.field(description="When its process is to start; may be in the near future.")
    restart: bool = strawberry.field(description="True if the run was Running and a task retry has become due.")
    parameters: JSON | None = strawberry.field(description="Values of its parameters.")
    run_config: JSON | None = strawberry.field(description="How its process is to be started.")
    flow_id: UUID = strawberry.field(description="Id of the flow version.")
    flow_name: str | None = strawberry.field(description="Name of the flow.")
    storage: JSON | None = strawberry.field(description="Where the flow's code is kept.")
    core_version: str | None = strawberry.field(description="Version of the library that registered the flow.")


@strawberry.type(name="claim_flow_runs_payload", description="What an agent got, and when to ask again.")
class ClaimFlowRunsPayload:
    """Payload of `claim_flow_runs`."""

    flow_runs: list[ClaimedFlowRun] | None = strawberry.field(description="The claimed flow runs, earliest first.")
    next_start_time: datetime | None = strawberry.field(
        description="Earliest start of a matching run that starts too late to be claimed now; null if none is known."
    )
    now: datetime = strawberry.field(
        description="Time of the database, by which start times and leases are meant, when it answered."
    )


@strawberry.type(name="extend_flow_run_claims_payload", description="Which claims are still held, and until when.")
class ExtendFlowRunClaimsPayload:
    """Payload of `extend_flow_run_claims`."""

    lease_expires: datetime | None = strawberry.field(description="New end of the claims that are still held.")
    lost: list[UUID] | None = strawberry.field(
        description="Flow runs whose claim is no longer held: taken over, finished or cancelled."
    )
    cancelling: list[UUID] | None = strawberry.field(
        description="Flow runs whose claim is still held and that are to be stopped."
    )


@strawberry.type(name="key_value_id_payload", description="The id of a key-value pair.")
class KeyValueIdPayload:
    """Payload of `set_key_value`."""

    id: UUID | None = strawberry.field(description="Id of the key-value pair.")


@strawberry.type(name="task_tag_limit_id_payload", description="The id of a limit of task runs.")
class TaskTagLimitIdPayload:
    """Payload of `update_task_tag_limit`."""

    id: UUID | None = strawberry.field(description="Id of the limit of task runs.")


@strawberry.type(name="flow_concurrency_limit_id_payload", description="The id of a limit of flow runs.")
class FlowConcurrencyLimitIdPayload:
    """Payload of `update_flow_concurrency_limit`."""

    id: UUID | None = strawberry.field(description="Id of the limit of flow runs.")


@strawberry.type(name="create_api_key_payload", description="A new API key.")
class CreateApiKeyPayload:
    """Payload of `create_api_key`."""

    id: UUID | None = strawberry.field(description="Id of the key.")
    key: str | None = strawberry.field(description="The key itself, shown this once.")


@strawberry.type(name="cloud_hook_id_payload", description="The id of a cloud hook.")
class CloudHookIdPayload:
    """Payload of `create_cloud_hook`."""

    id: UUID | None = strawberry.field(description="Id of the cloud hook.")
