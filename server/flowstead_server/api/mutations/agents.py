"""Mutations on agents and the queue."""

import strawberry

from flowstead_server.api.context import Info, Input
from flowstead_server.api.fields import mutation
from flowstead_server.api.inputs.tenants import (
    ClaimFlowRunsInput,
    ExtendFlowRunClaimsInput,
    GetRunsInQueueInput,
    RegisterAgentInput,
)
from flowstead_server.api.payloads import (
    AgentIdPayload,
    ClaimFlowRunsPayload,
    ExtendFlowRunClaimsPayload,
    RunsInQueuePayload,
)
from flowstead_server.orchestration import agents


@strawberry.type
class AgentMutations:
    """The fields of `Mutation` for agents and the queue."""

    @mutation(description="Introduce an agent. An agent with the same name, type, version and labels keeps its id.")
    async def register_agent(self, info: Info, input_: Input[RegisterAgentInput]) -> AgentIdPayload | None:
        """Find or create an agent."""
        request = agents.RegisterAgent(
            type=input_.type,
            name=input_.name,
            labels=input_.labels,
            agent_config_id=input_.agent_config_id,
            tenant_id=input_.tenant_id,
        )
        return AgentIdPayload(id=await agents.register_agent(info.context.database, info.context.caller, request))

    @mutation(
        description="Ask, as a 1.x agent does, which flow runs may be started. Newer agents use `claim_flow_runs`."
    )
    async def get_runs_in_queue(self, info: Info, input_: Input[GetRunsInQueueInput]) -> RunsInQueuePayload | None:
        raise NotImplementedError

    @mutation(
        description="Take flow runs out of the queue and make them Submitted, so that no other agent can have them."
    )
    async def claim_flow_runs(self, info: Info, input_: Input[ClaimFlowRunsInput]) -> ClaimFlowRunsPayload | None:
        raise NotImplementedError

    @mutation(description="Keep claims while processes are being started.")
    async def extend_flow_run_claims(
        self, info: Info, input_: Input[ExtendFlowRunClaimsInput]
    ) -> ExtendFlowRunClaimsPayload | None:
        raise NotImplementedError
