"""Flow runs, task runs, their states, logs and artifacts: what happens, as data for the compiler."""

from __future__ import annotations

from flowstead_server.compiler.catalog.model import (
    Column,
    Marks,
    Scalar,
    identified,
    logs_of,
    table,
    to_many,
    to_one,
)
from flowstead_server.domain.states import FAILED_NAMES


def _current_state(noun: str) -> list[Column]:
    return [
        Column("start_time", Scalar.TIMESTAMPTZ, f"When the {noun} began to run; null: it has not."),
        Column("end_time", Scalar.TIMESTAMPTZ, f"When the {noun} finished; null: it has not."),
        Column("state", Scalar.STRING, "Name of the current state, such as Running or Success."),
        Column("state_timestamp", Scalar.TIMESTAMPTZ, "When the current state was made."),
        Column("state_message", Scalar.STRING, "The message of the current state."),
        Column("state_result", Scalar.JSONB, "Reserved; practically always null."),
        Column("state_start_time", Scalar.TIMESTAMPTZ, "When a scheduled state wants the run to start."),
        Column("serialized_state", Scalar.JSONB, "The current state, whole."),
    ]


def _history(noun: str, owner: str) -> list[Column]:
    return identified(
        "state",
        Column(f"{owner}_id", Scalar.UUID, f"The {noun} that the state belongs to.", nullable=False),
        Column("timestamp", Scalar.TIMESTAMPTZ, "When the state was made.", nullable=False),
        Column("state", Scalar.STRING, "Name of the state, such as Running or Success.", nullable=False),
        Column("message", Scalar.STRING, "The state's message."),
        Column("result", Scalar.JSONB, "Reserved; practically always null."),
        Column("start_time", Scalar.TIMESTAMPTZ, "When a scheduled state wants the run to start."),
        Column("serialized_state", Scalar.JSONB, "The state, whole.", nullable=False),
        Column("version", Scalar.INT, f"The version that the {noun} had with this state."),
    )


FLOW_RUN = table(
    "flow_run",
    "One run of a flow.",
    identified(
        "flow run",
        Column("flow_id", Scalar.UUID, "The flow that is run.", nullable=False),
        Column("name", Scalar.STRING, "The run's name."),
        Column("parameters", Scalar.JSONB, "The parameter values of the run."),
        Column("context", Scalar.JSONB, "Values added to the context of the run."),
        Column("labels", Scalar.JSONB, "Labels that an agent must have to start the run.", nullable=False),
        Column("run_config", Scalar.JSONB, "How and where the run is started."),
        Column(
            "scheduled_start_time",
            Scalar.TIMESTAMPTZ,
            "When the run was meant to start; never changed afterwards.",
            nullable=False,
        ),
        Column("auto_scheduled", Scalar.BOOLEAN, "Whether a schedule made the run.", nullable=False),
        Column("idempotency_key", Scalar.STRING, "Creating a run again with this key returns the same run."),
        Column("agent_id", Scalar.UUID, "The agent that started the run."),
        Column("parent_flow_run_id", Scalar.UUID, "The run whose flow created this one; null: none did."),
        Column(
            "heartbeat",
            Scalar.TIMESTAMPTZ,
            "When the run's process was last heard of.",
            expression="(SELECT beat.heartbeat FROM flow_run_heartbeat AS beat WHERE beat.flow_run_id = {row}.id)",
            depends_on=("id",),
        ),
        Column("version", Scalar.INT, "Counts the states of the run; 0 before the first.", nullable=False),
        Column("priority", Scalar.INT, "Among waiting runs the higher one goes first; -100 to 100.", nullable=False),
        Column("times_resurrected", Scalar.INT, "How often a lost run was put back into the queue."),
        *_current_state("flow run"),
    ),
    [
        to_one("flow", "flow", "flow_id", "The flow that is run.", nullable=False),
        to_one("tenant", "tenant", "tenant_id", "The tenant that the flow run belongs to."),
        to_one("agent", "agent", "agent_id", "The agent that started the run."),
        to_one("parent_flow_run", "flow_run", "parent_flow_run_id", "The run whose flow created this one."),
        to_many("child_flow_runs", "flow_run", "parent_flow_run_id", "Runs that this run's flow created."),
        to_many("task_runs", "task_run", "flow_run_id", "Runs of the flow's tasks."),
        to_many("states", "flow_run_state", "flow_run_id", "States that the run has had."),
        logs_of("flow run", "flow_run_id"),
    ],
)

FLOW_RUN_STATE = table(
    "flow_run_state",
    "A state that a flow run has had.",
    _history("flow run", "flow_run"),
    [to_one("flow_run", "flow_run", "flow_run_id", "The flow run that had the state.", nullable=False)],
)

TASK_RUN = table(
    "task_run",
    "One run of a task, within a flow run.",
    identified(
        "task run",
        Column("flow_run_id", Scalar.UUID, "The flow run that the task run belongs to.", nullable=False),
        Column("task_id", Scalar.UUID, "The task that is run.", nullable=False),
        Column(
            "map_index",
            Scalar.INT,
            "Which element of a mapped task this is; -1: not mapped, or the parent of the elements.",
            nullable=False,
        ),
        Column("name", Scalar.STRING, "The task run's name; null: it has none of its own."),
        Column("cache_key", Scalar.STRING, "Task runs with the same key share cached results.", is_hashed=True),
        Column("version", Scalar.INT, "Counts the states of the task run.", nullable=False),
        Column("heartbeat", Scalar.TIMESTAMPTZ, "When the task run was last heard of."),
        *_current_state("task run"),
    ),
    [
        to_one("flow_run", "flow_run", "flow_run_id", "The flow run that the task run belongs to.", nullable=False),
        to_one("task", "task", "task_id", "The task that is run.", nullable=False),
        to_one("tenant", "tenant", "tenant_id", "The tenant that the task run belongs to."),
        to_many("states", "task_run_state", "task_run_id", "States that the task run has had."),
        logs_of("task run", "task_run_id"),
    ],
    marks=Marks(
        "state",
        FAILED_NAMES | {"Cached"},
        {"state": "marked_state", "state_timestamp": "marked_time"},
    ),
)

TASK_RUN_STATE = table(
    "task_run_state",
    "A state that a task run has had.",
    _history("task run", "task_run"),
    [to_one("task_run", "task_run", "task_run_id", "The task run that had the state.", nullable=False)],
)

LOG = table(
    "log",
    "A log line of a flow run or of one of its task runs.",
    identified(
        "log line",
        Column("flow_run_id", Scalar.UUID, "The flow run that wrote the line."),
        Column("task_run_id", Scalar.UUID, "The task run that wrote the line; null: the flow run itself did."),
        Column("timestamp", Scalar.TIMESTAMPTZ, "When the line was written, by the writer's clock.", nullable=False),
        Column("name", Scalar.STRING, "The logger's name."),
        Column("level", Scalar.STRING, "The line's level, such as INFO."),
        Column("message", Scalar.STRING, "The line's text."),
        Column("info", Scalar.JSONB, "Everything else that the logger knew about the line."),
        Column("is_loaded_from_archive", Scalar.BOOLEAN, "Reserved; not used."),
    ),
)

TASK_RUN_ARTIFACT = table(
    "task_run_artifact",
    "A link, text or other thing that a task run published.",
    identified(
        "artifact",
        Column("task_run_id", Scalar.UUID, "The task run that published the artifact.", nullable=False),
        Column("kind", Scalar.STRING, "What the artifact is: link, markdown, ….", nullable=False),
        Column("data", Scalar.JSONB, "The artifact's content.", nullable=False),
    ),
    [to_one("task_run", "task_run", "task_run_id", "The task run that published the artifact.", nullable=False)],
)

TABLES = (FLOW_RUN, FLOW_RUN_STATE, TASK_RUN, TASK_RUN_STATE, LOG, TASK_RUN_ARTIFACT)
