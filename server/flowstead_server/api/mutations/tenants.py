"""Mutations on tenants and projects."""

import strawberry

from flowstead_server.api.context import Info, Input
from flowstead_server.api.fields import mutation
from flowstead_server.api.inputs.tenants import CreateProjectInput, CreateTenantInput
from flowstead_server.api.payloads import ProjectIdPayload, TenantIdPayload
from flowstead_server.orchestration import projects, tenants


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
