"""Inputs of the mutations on tenants, projects and agents."""

from datetime import datetime
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from flowstead_server.api.inputs.base import wire_input


@wire_input(name="create_tenant_input", description="A new tenant.")
class CreateTenantInput:
    """Input of `create_tenant`."""

    name: str = strawberry.field(description="Name to show.")
    slug: str = strawberry.field(description="Unique name for addresses: lower case, without spaces.")


@wire_input(name="create_project_input", description="A new project.")
class CreateProjectInput:
    """Input of `create_project`."""

    tenant_id: UUID | None = strawberry.field(description="Tenant of the project; null means the caller's own.")
    name: str = strawberry.field(description="Name of the project, unique in its tenant.")
    description: str | None = strawberry.field(description="What the project is for.")


@wire_input(name="retention_rule_input", description="How long runs in one state, and their logs, are kept.")
class RetentionRuleInput:
    """One member of `set_project_retention_input`."""

    state: str = strawberry.field(
        description="A finished state, such as `Failed`; holds for all kinds of it, `Finished` for all there are."
    )
    logs_days: int | None = strawberry.field(
        description="For how many days after the end of a run its log is kept, 1 to 36500; null: as the server says."
    )
    runs_days: int | None = strawberry.field(
        description="For how many days after its end a run is kept, 1 to 36500; null: as the server says."
    )


@wire_input(name="set_project_retention_input", description="How long the runs of a project are kept.")
class SetProjectRetentionInput:
    """Input of `set_project_retention`."""

    project_id: UUID = strawberry.field(description="Id of the project.")
    rules: list[RetentionRuleInput] = strawberry.field(
        description="The rules, in place of those that the project had; without any, those of the server hold."
    )


@wire_input(name="register_agent_input", description="An agent that introduces itself.")
class RegisterAgentInput:
    """Input of `register_agent`."""

    tenant_id: UUID | None = strawberry.field(description="Tenant of the agent; null means the caller's own.")
    labels: list[str] | None = strawberry.field(
        description="The agent runs flow runs whose labels are all among these."
    )
    agent_config_id: UUID | None = strawberry.field(description="Stored settings that the agent follows.")
    type: str = strawberry.field(description="Kind of the agent, such as `LocalAgent`.")
    name: str | None = strawberry.field(description="Name of the agent.")


@wire_input(name="get_runs_in_queue_input", description="What an agent that polls asks for.")
class GetRunsInQueueInput:
    """Input of `get_runs_in_queue`."""

    tenant_id: UUID = strawberry.field(description="Tenant whose flow runs are meant.")
    before: datetime | None = strawberry.field(description="Flow runs that start up to then; null means now.")
    labels: list[str] | None = strawberry.field(description="Labels of the agent; null means none.")


@wire_input(name="claim_flow_runs_input", description="What an agent wants to take on.")
class ClaimFlowRunsInput:
    """Input of `claim_flow_runs`."""

    agent_id: UUID = strawberry.field(description="Id of the agent, from `register_agent`.")
    labels: list[str] | None = strawberry.field(description="Labels of the agent; null means none.")
    limit: int | None = strawberry.field(description="How many flow runs at most, 1 to 100; null means 1.")
    before: datetime | None = strawberry.field(
        description="Flow runs that start up to then, at most 60 seconds ahead; null means now."
    )
    lease_seconds: int | None = strawberry.field(
        description=(
            "How long the claim holds, 5 to 3600 seconds; null means 30. Unless the run reaches Running or the claim "
            "is extended by then, the run goes back to the queue."
        )
    )


@wire_input(name="flow_run_claim_input", description="A claim that an agent holds.")
class FlowRunClaimInput:
    """One member of `extend_flow_run_claims_input`."""

    flow_run_id: UUID = strawberry.field(description="Id of the claimed flow run.")
    claim_token: UUID = strawberry.field(description="Token that `claim_flow_runs` gave with it.")


@wire_input(name="extend_flow_run_claims_input", description="Claims that an agent wants to keep.")
class ExtendFlowRunClaimsInput:
    """Input of `extend_flow_run_claims`."""

    agent_id: UUID = strawberry.field(description="Id of the agent.")
    claims: list[FlowRunClaimInput] = strawberry.field(description="The claims to extend.")
    lease_seconds: int | None = strawberry.field(
        description="How long from now the claims hold, 5 to 3600 seconds; null means 30."
    )


@wire_input(name="delete_project_input", description="The project to delete.")
class DeleteProjectInput:
    """Input of `delete_project`."""

    project_id: UUID = strawberry.field(description="Id of the project.")


@wire_input(name="set_project_name_input", description="A new name for a project.")
class SetProjectNameInput:
    """Input of `set_project_name`."""

    project_id: UUID = strawberry.field(description="Id of the project.")
    name: str = strawberry.field(description="Its new name, unique in the tenant.")


@wire_input(name="set_project_description_input", description="A new description for a project.")
class SetProjectDescriptionInput:
    """Input of `set_project_description`."""

    project_id: UUID = strawberry.field(description="Id of the project.")
    description: str | None = strawberry.field(description="Its new description; null removes it.")


@wire_input(name="delete_tenant_input", description="The tenant to delete.")
class DeleteTenantInput:
    """Input of `delete_tenant`."""

    confirm: bool = strawberry.field(description="Must be true: everything in the tenant is lost.")
    tenant_id: UUID = strawberry.field(description="Id of the tenant.")


@wire_input(name="update_tenant_name_input", description="A new name for a tenant.")
class UpdateTenantNameInput:
    """Input of `update_tenant_name`."""

    tenant_id: UUID = strawberry.field(description="Id of the tenant.")
    name: str = strawberry.field(description="Its new name.")


@wire_input(name="update_tenant_slug_input", description="A new slug for a tenant.")
class UpdateTenantSlugInput:
    """Input of `update_tenant_slug`."""

    tenant_id: UUID = strawberry.field(description="Id of the tenant.")
    slug: str = strawberry.field(description="Its new slug: unique, lower case, without spaces.")


@wire_input(name="update_tenant_settings_input", description="Settings of a tenant to change.")
class UpdateTenantSettingsInput:
    """Input of `update_tenant_settings`."""

    tenant_id: UUID = strawberry.field(description="Id of the tenant.")
    settings: JSON | None = strawberry.field(description="Members to set; the others stay as they are.")
