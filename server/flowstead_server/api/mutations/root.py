"""The root type `Mutation`, put together from the nouns."""

import strawberry

from flowstead_server.api.mutations.agents import AgentMutations
from flowstead_server.api.mutations.artifacts import ArtifactMutations
from flowstead_server.api.mutations.cloud import CloudMutations
from flowstead_server.api.mutations.flow_groups import FlowGroupMutations
from flowstead_server.api.mutations.flow_runs import FlowRunMutations
from flowstead_server.api.mutations.flows import FlowMutations
from flowstead_server.api.mutations.hooks import HookMutations
from flowstead_server.api.mutations.logs import LogMutations
from flowstead_server.api.mutations.states import StateMutations
from flowstead_server.api.mutations.task_runs import TaskRunMutations
from flowstead_server.api.mutations.tenants import TenantMutations


@strawberry.type(description="Everything that changes something. Each field takes one argument, `input`.")
class Mutation(
    TenantMutations,
    FlowMutations,
    FlowGroupMutations,
    FlowRunMutations,
    TaskRunMutations,
    StateMutations,
    LogMutations,
    ArtifactMutations,
    AgentMutations,
    HookMutations,
    CloudMutations,
):
    """Root of all mutations."""
