"""Task runs: look-up, creation of mapped ones, names. State changes are in `states`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flowstead_server.db import load_statements

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from flowstead_server.db.database import Executor

_SQL: Final = load_statements(__package__, "task_runs.sql")


@dataclass(frozen=True, slots=True)
class TaskRunInfo:
    """A task run's current state; `serialized_state` is JSON text."""

    id: UUID
    version: int
    state: str | None
    serialized_state: str | None


@dataclass(frozen=True, slots=True)
class MappedChildren:
    """The children of a mapped task run: first start, last end, and how many there are by state name."""

    min_start_time: datetime | None
    max_end_time: datetime | None
    state_counts: dict[str, int]


async def get_or_create(
    executor: Executor,
    tenant_id: UUID,
    flow_run_id: UUID,
    task_id: UUID,
    map_index: int,
    claim_token: UUID | None,
) -> tuple[TaskRunInfo | None, bool]:
    """Return the task run, and whether it was made now.

    Null if flow run or task are unknown, if the claim is not the flow run's, or if somebody else is making it now.
    """
    row = await executor.fetch_row(_SQL["get_or_create"], tenant_id, flow_run_id, task_id, map_index, claim_token)
    if row is None:
        return None, False
    return TaskRunInfo(row["id"], row["version"], row["state"], row["serialized_state"]), row["is_new"]


async def get_or_create_children(
    executor: Executor,
    tenant_id: UUID,
    flow_run_id: UUID,
    task_id: UUID,
    indexes: range,
    claim_token: UUID | None,
) -> tuple[list[TaskRunInfo], bool]:
    """As get_or_create for the children at these (consecutive) indexes, in their order; fewer if some are missing."""
    rows = await executor.fetch(
        _SQL["get_or_create_children"], tenant_id, flow_run_id, task_id, indexes[0], indexes[-1], claim_token
    )
    infos = [TaskRunInfo(row["id"], row["version"], row["state"], row["serialized_state"]) for row in rows]
    return infos, any(row["is_new"] for row in rows)


async def task_exists(executor: Executor, tenant_id: UUID, task_id: UUID) -> bool:
    """Say whether the tenant has this task."""
    return bool(await executor.fetch_value(_SQL["task_exists"], tenant_id, task_id))


async def get(executor: Executor, tenant_id: UUID, task_run_id: UUID) -> TaskRunInfo | None:
    """Return a task run; null if the tenant has none of this id."""
    row = await executor.fetch_row(_SQL["get"], tenant_id, task_run_id)
    return None if row is None else TaskRunInfo(row["id"], row["version"], row["state"], row["serialized_state"])


async def flow_run_of(executor: Executor, tenant_id: UUID, task_run_id: UUID) -> UUID | None:
    """Return the id of a task run's flow run."""
    flow_run_id: UUID | None = await executor.fetch_value(_SQL["flow_run_of"], tenant_id, task_run_id)
    return flow_run_id


async def set_name(executor: Executor, tenant_id: UUID, task_run_id: UUID, name: str, claim_token: UUID | None) -> bool:
    """Rename a task run; false if there is none, or its flow run is not of this claim."""
    return await executor.execute(_SQL["set_name"], tenant_id, task_run_id, name, claim_token) > 0


async def heartbeat(executor: Executor, tenant_id: UUID, task_run_id: UUID, claim_token: UUID | None) -> bool:
    """Note a sign of life; false if there is no such task run, or its flow run is not of this claim."""
    return await executor.execute(_SQL["heartbeat"], tenant_id, task_run_id, claim_token) > 0


async def mapped_children(executor: Executor, tenant_id: UUID, task_run_id: UUID) -> MappedChildren:
    """Return figures about the children of a mapped task run; empty ones if it has none or does not exist."""
    rows = await executor.fetch(_SQL["mapped_children"], tenant_id, task_run_id)
    starts = [row["min_start_time"] for row in rows if row["min_start_time"] is not None]
    ends = [row["max_end_time"] for row in rows if row["max_end_time"] is not None]
    counts = {row["state"]: row["runs"] for row in rows if row["state"] is not None}
    return MappedChildren(min(starts, default=None), max(ends, default=None), counts)
