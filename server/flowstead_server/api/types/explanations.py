"""Why a flow run is where it is, in the types of the schema."""

from datetime import datetime
from enum import Enum
from uuid import UUID

import strawberry

from flowstead_server.domain.explanations import AgentFacts
from flowstead_server.orchestration.explanations import Explained


@strawberry.enum(name="flow_run_reason", description="What a flow run waits for, or what it is doing.")
class FlowRunReason(Enum):
    """Reasons of an explanation."""

    STARTS_LATER = strawberry.enum_value(
        "STARTS_LATER", description="Its start time is in the future; `until` says when."
    )
    PAUSED = strawberry.enum_value(
        "PAUSED", description="It is paused, until somebody resumes it or the time in `until`."
    )
    QUEUED = strawberry.enum_value("QUEUED", description="It is in state `Queued`; the message of that state says why.")
    NOT_SCHEDULED = strawberry.enum_value("NOT_SCHEDULED", description="It is in a state in which no agent takes it.")
    NO_AGENT = strawberry.enum_value(
        "NO_AGENT", description="It is due, and no live agent may take it; `agents` has those that come closest."
    )
    CONCURRENCY_LIMIT = strawberry.enum_value(
        "CONCURRENCY_LIMIT",
        description="A concurrency limit has no free slot for it, or for all that is left of it; the message names the "
        "limit and who holds its slots.",
    )
    AGENT_EXPECTED = strawberry.enum_value(
        "AGENT_EXPECTED", description="It is due, and one of `agents` should take it within seconds."
    )
    CLAIMED = strawberry.enum_value("CLAIMED", description="An agent has claimed it and has yet to start its process.")
    RUNNING = strawberry.enum_value("RUNNING", description="Its process runs.")
    TASKS_WAIT = strawberry.enum_value(
        "TASKS_WAIT", description="It is running, but all that is left of it waits for a retry or another start time."
    )
    SILENT = strawberry.enum_value(
        "SILENT", description="It is running, but its process has given no sign of life for 40 seconds or more."
    )
    CANCELLING = strawberry.enum_value("CANCELLING", description="It is being cancelled; its process has yet to end.")
    FINISHED = strawberry.enum_value("FINISHED", description="It is finished.")


@strawberry.type(name="explained_agent", description="An agent, compared with the labels of a flow run.")
class ExplainedAgent:
    """An agent in an explanation."""

    id: UUID = strawberry.field(description="Id of the agent.")
    name: str | None = strawberry.field(description="Name of the agent.")
    type: str | None = strawberry.field(description="Class of the agent, such as `LocalAgent`.")
    labels: list[str] = strawberry.field(description="Its labels, sorted.")
    last_queried: datetime = strawberry.field(description="When it last asked for runs.")
    is_live: bool = strawberry.field(description="Whether that was within the last minute.")
    may_take: bool = strawberry.field(description="Whether it may take the run, by its labels.")
    missing_labels: list[str] = strawberry.field(description="Labels of the run that the agent lacks, sorted.")


@strawberry.type(
    name="flow_run_explanation", description="Why a flow run is where it is: the one thing that it waits for."
)
class FlowRunExplanation:
    """Payload of `flow_run_explanation`."""

    flow_run_id: UUID = strawberry.field(description="Id of the flow run.")
    state: str | None = strawberry.field(description="Name of its state, such as `Scheduled`.")
    reason: FlowRunReason = strawberry.field(description="What it waits for, or what it is doing.")
    message: str = strawberry.field(description="The same for people: what it waits for, and what to do.")
    since: datetime | None = strawberry.field(description="Since when it has been so.")
    until: datetime | None = strawberry.field(description="When it ends by itself; null if nobody knows.")
    labels: list[str] = strawberry.field(description="Labels of the run, sorted.")
    agent_id: UUID | None = strawberry.field(description="Agent that claimed the run last; null if none did.")
    agents: list[ExplainedAgent] = strawberry.field(
        description="While the run waits for an agent: the five that fit best, best first. Otherwise empty."
    )


def explanation_of(explained: Explained) -> FlowRunExplanation:
    """Return an explanation in the types of the schema."""
    run, explanation = explained.run, explained.explanation
    return FlowRunExplanation(
        flow_run_id=run.id,
        state=run.state,
        reason=FlowRunReason[explanation.reason.name],
        message=explanation.message,
        since=explanation.since,
        until=explanation.until,
        labels=list(run.labels),
        agent_id=run.agent_id,
        agents=[_agent(agent) for agent in explanation.agents],
    )


def _agent(agent: AgentFacts) -> ExplainedAgent:
    return ExplainedAgent(
        id=agent.id,
        name=agent.name,
        type=agent.type,
        labels=list(agent.labels),
        last_queried=agent.last_queried,
        is_live=agent.is_live,
        may_take=agent.fits,
        missing_labels=list(agent.missing),
    )
