"""Mutations on agents and the queue."""

import strawberry

from flowstead_server.api.context import Info, Input
from flowstead_server.api.fields import mutation
from flowstead_server.api.inputs.fleet import (
    CreateAgentConfigInput,
    DeleteAgentConfigInput,
    DeleteAgentInput,
    UpdateAgentConfigInput,
)
from flowstead_server.api.inputs.tenants import (
    ClaimFlowRunsInput,
    ExtendFlowRunClaimsInput,
    GetRunsInQueueInput,
    RegisterAgentInput,
)
from flowstead_server.api.payloads import (
    AgentConfigIdPayload,
    AgentIdPayload,
    ClaimedFlowRun,
    ClaimFlowRunsPayload,
    ExtendFlowRunClaimsPayload,
    RunsInQueuePayload,
    SuccessPayload,
)
from flowstead_server.api.scalars import stored_json
from flowstead_server.orchestration import agents, queue


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
        """Hand out flow runs to an agent that polls."""
        request = queue.GetRunsInQueue(before=input_.before, labels=input_.labels, tenant_id=input_.tenant_id)
        run_ids = await queue.get_runs_in_queue(info.context.database, info.context.caller, request)
        return RunsInQueuePayload(flow_run_ids=[str(run_id) for run_id in run_ids])

    @mutation(
        description="Take flow runs out of the queue and make them Submitted, so that no other agent can have them."
    )
    async def claim_flow_runs(self, info: Info, input_: Input[ClaimFlowRunsInput]) -> ClaimFlowRunsPayload | None:
        """Claim flow runs."""
        request = queue.ClaimFlowRuns(
            agent_id=input_.agent_id,
            labels=input_.labels,
            limit=input_.limit,
            before=input_.before,
            lease_seconds=input_.lease_seconds,
        )
        claims = await queue.claim_flow_runs(info.context.database, info.context.caller, request)
        return ClaimFlowRunsPayload(
            flow_runs=[_claimed(run) for run in claims.flow_runs],
            next_start_time=claims.next_start_time,
            now=claims.now,
        )

    @mutation(description="Keep claims while processes are being started.")
    async def extend_flow_run_claims(
        self, info: Info, input_: Input[ExtendFlowRunClaimsInput]
    ) -> ExtendFlowRunClaimsPayload | None:
        """Extend claims."""
        request = queue.ExtendFlowRunClaims(
            agent_id=input_.agent_id,
            claims=[(claim.flow_run_id, claim.claim_token) for claim in input_.claims],
            lease_seconds=input_.lease_seconds,
        )
        extended = await queue.extend_flow_run_claims(info.context.database, info.context.caller, request)
        return ExtendFlowRunClaimsPayload(
            lease_expires=extended.lease_expires, lost=extended.lost, cancelling=extended.cancelling
        )

    @mutation(description="Forget an agent; its flow runs stay.")
    async def delete_agent(self, info: Info, input_: Input[DeleteAgentInput]) -> SuccessPayload | None:
        """Delete an agent."""
        success = await agents.delete_agent(info.context.database, info.context.caller, input_.agent_id)
        return SuccessPayload(success=success)

    @mutation(description="Store a configuration that agents can be started with.")
    async def create_agent_config(
        self, info: Info, input_: Input[CreateAgentConfigInput]
    ) -> AgentConfigIdPayload | None:
        """Create a configuration."""
        context = info.context
        config_id = await agents.create_agent_config(
            context.database, context.caller, input_.tenant_id, input_.name, input_.settings
        )
        return AgentConfigIdPayload(id=config_id)

    @mutation(description="Change a configuration of agents.")
    async def update_agent_config(self, info: Info, input_: Input[UpdateAgentConfigInput]) -> SuccessPayload | None:
        """Change a configuration."""
        context = info.context
        success = await agents.update_agent_config(
            context.database, context.caller, input_.agent_config_id, input_.name, input_.settings
        )
        return SuccessPayload(success=success)

    @mutation(description="Delete a configuration of agents; its agents stay.")
    async def delete_agent_config(self, info: Info, input_: Input[DeleteAgentConfigInput]) -> SuccessPayload | None:
        """Delete a configuration."""
        success = await agents.delete_agent_config(info.context.database, info.context.caller, input_.agent_config_id)
        return SuccessPayload(success=success)


def _claimed(run: queue.ClaimedFlowRun) -> ClaimedFlowRun:
    return ClaimedFlowRun(
        id=run.id,
        name=run.name,
        version=run.version,
        claim_token=run.claim_token,
        lease_expires=run.lease_expires,
        start_time=run.start_time,
        restart=run.restart,
        parameters=stored_json(run.parameters),
        run_config=stored_json(run.run_config),
        flow_id=run.flow_id,
        flow_name=run.flow_name,
        storage=stored_json(run.storage),
        core_version=run.core_version,
    )
