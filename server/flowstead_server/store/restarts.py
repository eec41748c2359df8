"""What a restart of a flow run is decided on, and the traces that it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from flowstead_server.db import load_statements
from flowstead_server.domain.restarts import Dependency, RunNode, is_repeated, is_stored

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from flowstead_server.db import Transaction
    from flowstead_server.db.database import Executor

_SQL: Final = load_statements(__package__, "restarts.sql")


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A flow run that may be restarted; `now` is the database's time."""

    id: UUID
    tenant_id: UUID
    flow_id: UUID
    name: str | None
    state: str | None
    version: int
    claim_token: UUID | None
    label_set_id: int
    now: datetime


@dataclass(frozen=True, slots=True)
class TaskName:
    """A task of a flow as people know it."""

    id: UUID
    slug: str | None
    name: str | None
    type: str | None


@dataclass(frozen=True, slots=True)
class RunGraph:
    """The task runs of a flow run, how their tasks depend on each other, and at which version each task run is."""

    tasks: dict[UUID, TaskName]
    dependencies: list[Dependency]
    runs: list[RunNode]
    versions: dict[UUID, int]


@dataclass(frozen=True, slots=True)
class RestartedTaskRun:
    """A task run that an earlier restart put back; `reason` is the name of a Reason."""

    id: UUID
    task_id: UUID
    map_index: int
    reason: str


async def lock(transaction: Transaction, flow_run_id: UUID) -> None:
    """Wait until nobody else changes the run, and keep others from it until the end of the transaction."""
    await transaction.execute(_SQL["lock"], flow_run_id)


async def read_run(executor: Executor, tenant_id: UUID, flow_run_id: UUID) -> EndedRun | None:
    """Return the run, whatever its state."""
    row = await executor.fetch_row(_SQL["read_run"], tenant_id, flow_run_id)
    return None if row is None else EndedRun(**{name: row[name] for name in EndedRun.__slots__})


async def read_tasks(executor: Executor, flow_id: UUID) -> dict[UUID, TaskName]:
    """Return the tasks of a flow by their ids."""
    rows = await executor.fetch(_SQL["read_tasks"], flow_id)
    return {row["id"]: TaskName(row["id"], row["slug"], row["name"], row["type"]) for row in rows}


async def read_graph(executor: Executor, run: EndedRun) -> RunGraph:
    """Return all that a restart is decided on."""
    tasks = await read_tasks(executor, run.flow_id)
    edges = await executor.fetch(_SQL["read_edges"], run.flow_id)
    rows = await executor.fetch(_SQL["read_task_runs"], run.id)
    return RunGraph(
        tasks,
        [
            Dependency(row["upstream_task_id"], row["downstream_task_id"], row["carries_value"], row["mapped"])
            for row in edges
        ],
        [_node(row, tasks) for row in rows],
        {row["id"]: row["version"] for row in rows},
    )


def _node(row: Any, tasks: dict[UUID, TaskName]) -> RunNode:
    result = {"type": row["result_type"], "location": row["location"]}
    task = tasks.get(row["task_id"])
    return RunNode(
        row["id"],
        row["task_id"],
        row["map_index"],
        row["state"],
        stored=is_stored(result),
        repeated=is_repeated(task.type if task is not None else None, result),
        width=row["width"],
    )


async def read_restart(executor: Executor, run: EndedRun, key: str) -> tuple[int, int, list[RestartedTaskRun]] | None:
    """Return position, number of kept task runs, and task runs of the restart that was asked for with this key."""
    row = await executor.fetch_row(_SQL["read_restart"], run.tenant_id, run.id, key)
    if row is None:
        return None
    rows = await executor.fetch(_SQL["read_restarted_task_runs"], run.tenant_id, run.id, key)
    again = [RestartedTaskRun(item["id"], item["task_id"], item["map_index"], item["reason"]) for item in rows]
    return row["seq"], int(row["kept"]), again


async def forget_resurrections(executor: Executor, flow_run_id: UUID) -> None:
    """Let Lazarus count from nothing again."""
    await executor.execute(_SQL["forget_resurrections"], flow_run_id)
