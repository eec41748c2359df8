"""Mutations on tenants, projects and agents."""

import strawberry

from flowstead_server.api.context import Info, Input
from flowstead_server.api.fields import mutation
from flowstead_server.api.inputs.tenants import CreateProjectInput, CreateTenantInput
from flowstead_server.api.payloads import ProjectIdPayload, TenantIdPayload


@strawberry.type
class TenantMutations:
    """The fields of `Mutation` for tenants, projects and agents."""

    @mutation(description="Create a tenant. A slug that is taken is the error `Uniqueness violation.`")
    async def create_tenant(self, info: Info, input_: Input[CreateTenantInput]) -> TenantIdPayload | None:
        raise NotImplementedError

    @mutation(description="Create a project. A name that is taken is the error `Uniqueness violation.`")
    async def create_project(self, info: Info, input_: Input[CreateProjectInput]) -> ProjectIdPayload | None:
        raise NotImplementedError
