"""Agents, their configurations, cloud hooks with their deliveries, and messages, as data for the compiler."""

from __future__ import annotations

from flowstead_server.compiler.catalog.model import Column, Scalar, identified, table, to_many, to_one

AGENT = table(
    "agent",
    "A process that starts flow runs.",
    identified(
        "agent",
        Column("agent_config_id", Scalar.UUID, "The configuration that the agent was started with."),
        Column("name", Scalar.STRING, "The agent's name."),
        Column("type", Scalar.STRING, "What kind of agent it is, such as LocalAgent."),
        Column("core_version", Scalar.STRING, "Version of the library that the agent runs."),
        Column(
            "labels", Scalar.JSONB, "Labels of the agent; it starts runs whose labels are among them.", nullable=False
        ),
        Column("last_queried", Scalar.TIMESTAMPTZ, "When the agent last asked for work."),
    ),
    [
        to_one("agent_config", "agent_config", "agent_config_id", "The configuration of the agent."),
        to_many("flow_runs", "flow_run", "agent_id", "Flow runs that the agent started."),
    ],
)

AGENT_CONFIG = table(
    "agent_config",
    "A stored configuration that agents can be started with.",
    identified(
        "agent configuration",
        Column("name", Scalar.STRING, "The configuration's name."),
        Column("settings", Scalar.JSONB, "The configuration itself.", nullable=False),
    ),
    [to_many("agents", "agent", "agent_config_id", "Agents with this configuration.")],
)

CLOUD_HOOK = table(
    "cloud_hook",
    "A call to another system when flow runs enter certain states.",
    identified(
        "cloud hook",
        Column("name", Scalar.STRING, "The hook's name."),
        Column("type", Scalar.STRING, "What is called, such as WEBHOOK.", nullable=False),
        Column("states", Scalar.JSONB, "Names of the states that the hook listens to."),
        Column("config", Scalar.JSONB, "How the other system is called.", nullable=False),
        Column("active", Scalar.BOOLEAN, "Whether the hook is on.", nullable=False),
        Column("version_group_id", Scalar.STRING, "The flow that the hook listens to; null: every flow."),
    ),
    [to_many("deliveries", "cloud_hook_delivery", "cloud_hook_id", "What the hook has to tell, or has told lately.")],
)

CLOUD_HOOK_DELIVERY = table(
    "cloud_hook_delivery",
    "One change of state that a cloud hook tells, or has told lately.",
    identified(
        "delivery",
        Column("cloud_hook_id", Scalar.UUID, "The cloud hook.", nullable=False),
        Column("flow_run_id", Scalar.UUID, "The flow run whose state has changed.", nullable=False),
        Column("event_id", Scalar.UUID, "The event's id; also that of the state.", nullable=False),
        Column("state", Scalar.STRING, "Waiting, Delivered, or Dead: not tried any more.", nullable=False),
        Column("attempts", Scalar.INT, "How often it has been tried.", nullable=False),
        Column("next_attempt", Scalar.TIMESTAMPTZ, "When it is tried next; null: never."),
        Column("last_attempt", Scalar.TIMESTAMPTZ, "When it was last tried."),
        Column("last_error", Scalar.STRING, "Why it did not arrive; null: it did, or has not been tried."),
    ),
    [
        to_one("cloud_hook", "cloud_hook", "cloud_hook_id", "The cloud hook."),
        to_one("flow_run", "flow_run", "flow_run_id", "The flow run; null: it is gone."),
        to_one("flow_run_state", "flow_run_state", "event_id", "The state that is told; null: its run is gone."),
    ],
)

MESSAGE = table(
    "message",
    "A notice to the people of a tenant.",
    identified(
        "message",
        Column("read", Scalar.BOOLEAN, "Whether somebody has read the message.", nullable=False),
        Column("type", Scalar.STRING, "What kind of message it is."),
        Column("text", Scalar.STRING, "The message's text."),
        Column("content", Scalar.JSONB, "The message's data.", nullable=False),
    ),
)

TABLES = (AGENT, AGENT_CONFIG, CLOUD_HOOK, CLOUD_HOOK_DELIVERY, MESSAGE)
