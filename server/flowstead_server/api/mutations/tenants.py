"""Mutations on tenants and projects."""

import strawberry

from flowstead_server.api.context import Info, Input
from flowstead_server.api.fields import mutation
from flowstead_server.api.inputs.tenants import (
    CreateProjectInput,
    CreateTenantInput,
    DeleteProjectInput,
    DeleteTenantInput,
    SetProjectDescriptionInput,
    SetProjectNameInput,
    SetProjectRetentionInput,
    UpdateTenantNameInput,
    UpdateTenantSettingsInput,
    UpdateTenantSlugInput,
)
from flowstead_server.api.payloads import ProjectIdPayload, SuccessPayload, TenantIdPayload
from flowstead_server.domain.retention import Rule
from flowstead_server.orchestration import deletions, projects, tenants


@strawberry.type
class TenantMutations:
    """The fields of `Mutation` for tenants and projects."""

    @mutation(description="Create a tenant. A slug that is taken is the error `Uniqueness violation.`")
    async def create_tenant(self, info: Info, input_: Input[CreateTenantInput]) -> TenantIdPayload | None:
        """Create a tenant."""
        request = tenants.CreateTenant(name=input_.name, slug=input_.slug)
        return TenantIdPayload(id=await tenants.create_tenant(info.context.database, request))

    @mutation(description="Create a project. A name that is taken is the error `Uniqueness violation.`")
    async def create_project(self, info: Info, input_: Input[CreateProjectInput]) -> ProjectIdPayload | None:
        """Create a project."""
        request = projects.CreateProject(name=input_.name, description=input_.description, tenant_id=input_.tenant_id)
        return ProjectIdPayload(id=await projects.create_project(info.context.database, info.context.caller, request))

    @mutation(description="Delete a project with its flows and their runs.")
    async def delete_project(self, info: Info, input_: Input[DeleteProjectInput]) -> SuccessPayload | None:
        """Delete a project."""
        success = await deletions.delete_project(info.context.database, info.context.caller, input_.project_id)
        return SuccessPayload(success=success)

    @mutation(description="Rename a project. A name that is taken is the error `Uniqueness violation.`")
    async def set_project_name(self, info: Info, input_: Input[SetProjectNameInput]) -> ProjectIdPayload | None:
        """Rename a project."""
        context = info.context
        project_id = await projects.set_project_name(context.database, context.caller, input_.project_id, input_.name)
        return ProjectIdPayload(id=project_id)

    @mutation(description="Describe a project anew.")
    async def set_project_description(
        self, info: Info, input_: Input[SetProjectDescriptionInput]
    ) -> ProjectIdPayload | None:
        """Describe a project."""
        context = info.context
        project_id = await projects.set_project_description(
            context.database, context.caller, input_.project_id, input_.description
        )
        return ProjectIdPayload(id=project_id)

    @mutation(description="Say for how long a project's finished runs and their logs are kept.")
    async def set_project_retention(
        self, info: Info, input_: Input[SetProjectRetentionInput]
    ) -> ProjectIdPayload | None:
        """Replace a project's rules."""
        context = info.context
        rules = [Rule(rule.state, rule.logs_days, rule.runs_days) for rule in input_.rules]
        project_id = await projects.set_project_retention(context.database, context.caller, input_.project_id, rules)
        return ProjectIdPayload(id=project_id)

    @mutation(description="Delete a tenant with everything in it. The default tenant cannot be deleted.")
    async def delete_tenant(self, info: Info, input_: Input[DeleteTenantInput]) -> SuccessPayload | None:
        """Delete a tenant."""
        context = info.context
        success = await deletions.delete_tenant(
            context.database, context.caller, input_.tenant_id, confirm=input_.confirm
        )
        return SuccessPayload(success=success)

    @mutation(description="Rename a tenant.")
    async def update_tenant_name(self, info: Info, input_: Input[UpdateTenantNameInput]) -> TenantIdPayload | None:
        """Rename a tenant."""
        context = info.context
        tenant_id = await tenants.update_tenant_name(context.database, context.caller, input_.tenant_id, input_.name)
        return TenantIdPayload(id=tenant_id)

    @mutation(description="Give a tenant another slug. One that is taken is the error `Uniqueness violation.`")
    async def update_tenant_slug(self, info: Info, input_: Input[UpdateTenantSlugInput]) -> TenantIdPayload | None:
        """Change a tenant's slug."""
        context = info.context
        tenant_id = await tenants.update_tenant_slug(context.database, context.caller, input_.tenant_id, input_.slug)
        return TenantIdPayload(id=tenant_id)

    @mutation(description="Change some of a tenant's settings.")
    async def update_tenant_settings(
        self, info: Info, input_: Input[UpdateTenantSettingsInput]
    ) -> TenantIdPayload | None:
        """Change a tenant's settings."""
        context = info.context
        tenant_id = await tenants.update_tenant_settings(
            context.database, context.caller, input_.tenant_id, input_.settings
        )
        return TenantIdPayload(id=tenant_id)
