"""Agents, their configurations, cloud hooks and messages, as data for the compiler."""

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

TABLES = (AGENT, AGENT_CONFIG, CLOUD_HOOK, MESSAGE)
