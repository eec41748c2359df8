"""Tenants, projects, flow groups, flows, tasks and edges: what is registered, as data for the compiler."""

from __future__ import annotations

from flowstead_server.compiler.catalog.model import Column, Scalar, identified, table, to_many, to_one

TENANT = table(
    "tenant",
    "An owner of projects, flows and runs; nothing is ever visible across tenants.",
    [
        Column("id", Scalar.UUID, "Identifies the tenant.", nullable=False),
        Column("created", Scalar.TIMESTAMPTZ, "When the tenant was stored.", nullable=False),
        Column("updated", Scalar.TIMESTAMPTZ, "When the tenant was last changed.", nullable=False),
        Column("name", Scalar.STRING, "The tenant's name for people.", nullable=False),
        Column("slug", Scalar.STRING, "The tenant's name in addresses; no two tenants share one.", nullable=False),
        Column("info", Scalar.JSONB, "Free information about the tenant."),
        Column("settings", Scalar.JSONB, "The tenant's settings.", nullable=False),
    ],
    [
        to_many("flow_groups", "flow_group", "tenant_id", "Flow groups of the tenant."),
        to_many("flows", "flow", "tenant_id", "Flows of the tenant, all versions."),
        to_many("projects", "project", "tenant_id", "Projects of the tenant."),
    ],
    tenant_column="id",
)

PROJECT = table(
    "project",
    "A named collection of flows.",
    identified(
        "project",
        Column("name", Scalar.STRING, "The project's name; no two projects of a tenant share one.", nullable=False),
        Column("description", Scalar.STRING, "What the project is for."),
        Column(
            "retention",
            Scalar.JSONB,
            "The project's own rules of how long logs and runs are kept; those of the server hold for the rest.",
            nullable=False,
        ),
    ),
    [
        to_one("tenant", "tenant", "tenant_id", "The tenant that the project belongs to."),
        to_many("flows", "flow", "project_id", "Flows of the project, all versions."),
    ],
)

FLOW_GROUP = table(
    "flow_group",
    "What the versions of one flow share: overrides of labels, schedule, parameters and run configuration.",
    identified(
        "flow group",
        Column("name", Scalar.STRING, "The version group id that the group's flows share."),
        Column("description", Scalar.STRING, "A description shown instead of the flow's own."),
        Column("labels", Scalar.JSONB, "Labels that replace those of the flow's run configuration; null: not set."),
        Column("schedule", Scalar.JSONB, "A schedule that replaces the flow's own; null: not set."),
        Column("settings", Scalar.JSONB, "Settings such as heartbeat and version locking.", nullable=False),
        Column(
            "default_parameters",
            Scalar.JSONB,
            "Parameter values that a run gets when it is not given others.",
            nullable=False,
        ),
        Column("run_config", Scalar.JSONB, "A run configuration that replaces the flow's own; null: not set."),
        Column("concurrency_limit", Scalar.INT, "How many runs may run at the same time; null: any number."),
    ),
    [
        to_one("tenant", "tenant", "tenant_id", "The tenant that the flow group belongs to."),
        to_many("flows", "flow", "flow_group_id", "Versions of the flow."),
    ],
)

FLOW = table(
    "flow",
    "One registered version of a flow.",
    identified(
        "flow",
        Column("project_id", Scalar.UUID, "The project that the flow is registered in.", nullable=False),
        Column("flow_group_id", Scalar.UUID, "What this version shares with its others.", nullable=False),
        Column("name", Scalar.STRING, "The flow's name.", nullable=False),
        Column("version", Scalar.INT, "Counts the versions of the flow from 1."),
        Column("version_group_id", Scalar.STRING, "Identifies the versions that belong together."),
        Column("archived", Scalar.BOOLEAN, "Whether a newer version has replaced this one.", nullable=False),
        Column("description", Scalar.STRING, "What the flow does."),
        Column("core_version", Scalar.STRING, "Version of the library that the flow was written with."),
        Column("environment", Scalar.JSONB, "Where flows registered before 1.0 run; otherwise null."),
        Column("run_config", Scalar.JSONB, "How and where runs of the flow are started."),
        Column("storage", Scalar.JSONB, "Where the flow's code is kept."),
        Column("parameters", Scalar.JSONB, "The flow's parameters: a list of objects."),
        Column("settings", Scalar.JSONB, "Settings of this version.", nullable=False),
        Column("serialized_flow", Scalar.JSONB, "The flow as it was registered."),
        Column("schedule", Scalar.JSONB, "The flow's own schedule; null: it has none."),
        Column("is_schedule_active", Scalar.BOOLEAN, "Whether the schedule makes new runs.", nullable=False),
    ),
    [
        to_one("project", "project", "project_id", "The project that the flow is registered in.", nullable=False),
        to_one("flow_group", "flow_group", "flow_group_id", "What the flow's versions share.", nullable=False),
        to_one("tenant", "tenant", "tenant_id", "The tenant that the flow belongs to."),
        to_many("tasks", "task", "flow_id", "Tasks of the flow."),
        to_many("edges", "edge", "flow_id", "Dependencies between the flow's tasks."),
        to_many("flow_runs", "flow_run", "flow_id", "Runs of this version."),
    ],
)

TASK = table(
    "task",
    "One task of a flow.",
    identified(
        "task",
        Column("flow_id", Scalar.UUID, "The flow that the task belongs to.", nullable=False),
        Column("name", Scalar.STRING, "The task's name."),
        Column("slug", Scalar.STRING, "Identifies the task within its flow."),
        Column("description", Scalar.STRING, "What the task does."),
        Column("type", Scalar.STRING, "The task's class."),
        Column("max_retries", Scalar.INT, "How often the task is tried again after a failure."),
        Column("retry_delay", Scalar.INTERVAL, "How long to wait before the task is tried again."),
        Column("trigger", Scalar.STRING, "The rule by which the states of upstream tasks let this one run."),
        Column("mapped", Scalar.BOOLEAN, "Whether the task runs once for every element of its input.", nullable=False),
        Column(
            "auto_generated",
            Scalar.BOOLEAN,
            "Whether the library made the task, for a constant for instance.",
            nullable=False,
        ),
        Column("cache_key", Scalar.STRING, "Tasks with the same key share cached results."),
        Column("is_root_task", Scalar.BOOLEAN, "Whether nothing is upstream of the task.", nullable=False),
        Column("is_terminal_task", Scalar.BOOLEAN, "Whether nothing is downstream of the task.", nullable=False),
        Column("is_reference_task", Scalar.BOOLEAN, "Whether the task decides the flow run's state.", nullable=False),
        Column("tags", Scalar.JSONB, "The task's tags: a list of strings.", nullable=False),
    ),
    [
        to_one("flow", "flow", "flow_id", "The flow that the task belongs to.", nullable=False),
        to_many("task_runs", "task_run", "task_id", "Runs of the task."),
        to_many("upstream_edges", "edge", "downstream_task_id", "Edges that lead to the task."),
        to_many("downstream_edges", "edge", "upstream_task_id", "Edges that start at the task."),
    ],
)

EDGE = table(
    "edge",
    "A dependency between two tasks of a flow.",
    identified(
        "edge",
        Column("flow_id", Scalar.UUID, "The flow that the edge belongs to.", nullable=False),
        Column("upstream_task_id", Scalar.UUID, "The task that runs first.", nullable=False),
        Column("downstream_task_id", Scalar.UUID, "The task that runs afterwards.", nullable=False),
        Column("key", Scalar.STRING, "The argument that receives the upstream task's result; null: none does."),
        Column("mapped", Scalar.BOOLEAN, "Whether the downstream task is mapped over the result.", nullable=False),
    ),
    [
        to_one("flow", "flow", "flow_id", "The flow that the edge belongs to.", nullable=False),
        to_one("upstream_task", "task", "upstream_task_id", "The task that runs first.", nullable=False),
        to_one("downstream_task", "task", "downstream_task_id", "The task that runs afterwards.", nullable=False),
    ],
)

TABLES = (TENANT, PROJECT, FLOW_GROUP, FLOW, TASK, EDGE)
