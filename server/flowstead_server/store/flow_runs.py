"""Flow runs: creating many at once, names and heartbeats. State changes are in `states`, the queue in `queue`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from flowstead_server.db import json_text, load_statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from flowstead_server.db.database import Executor

_SQL: Final = load_statements(__package__, "flow_runs.sql")


@dataclass(frozen=True, slots=True)
class FlowKey:
    """Names the flow of a new run by exactly one of three ids."""

    tenant_id: UUID
    flow_id: UUID | None = None
    flow_group_id: UUID | None = None
    version_group_id: str | None = None


@dataclass(frozen=True, slots=True)
class FlowFacts:
    """What decides about a new run of a flow, decoded."""

    id: UUID
    archived: bool
    parameters: Any
    run_config: Mapping[str, Any] | None
    environment: Mapping[str, Any] | None
    group_labels: Sequence[str] | None
    group_run_config: Mapping[str, Any] | None
    group_parameters: Mapping[str, Any]
    limited_group: UUID | None = None
    """The flow's group if that has a concurrency limit."""


@dataclass(frozen=True, slots=True)
class NewFlowRun:
    """A run to be created in state Scheduled. JSON members are text; null `start`: now, by the database's clock."""

    id: UUID
    tenant_id: UUID
    flow_id: UUID
    name: str
    parameters: str
    context: str
    labels: Sequence[str]
    run_config: str | None
    start: datetime | None
    idempotency_key: str | None
    label_set_id: int
    parent_flow_run_id: UUID | None = None
    schedule_lease: UUID | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Lane:
    """Where a run is in the queue. `waits`: an agent is needed for it, now or later."""

    label_set_id: int
    waits: bool


@dataclass(frozen=True, slots=True)
class RunBy:
    """Who executes a run. `agent_lives`: the agent (null: none is known) was heard of lately."""

    agent_name: str | None
    agent_seen: datetime | None
    agent_lives: bool | None
    process_seen: datetime | None


async def read_flows(executor: Executor, keys: Sequence[FlowKey]) -> dict[FlowKey, FlowFacts]:
    """Return the flows that these keys name; unknown ones are left out."""
    asked = [
        {
            "n": n,
            "tenant_id": key.tenant_id,
            "flow_id": key.flow_id,
            "flow_group_id": key.flow_group_id,
            "version_group_id": key.version_group_id,
        }
        for n, key in enumerate(keys)
    ]
    rows = await executor.fetch(_SQL["read_flows"], json_text(asked))
    return {
        keys[row["n"]]: FlowFacts(
            row["id"],
            row["archived"],
            _decoded(row["parameters"]),
            _decoded(row["run_config"]),
            _decoded(row["environment"]),
            _decoded(row["group_labels"]),
            _decoded(row["group_run_config"]),
            _decoded(row["group_parameters"]) or {},
            row["limited_group"],
        )
        for row in rows
    }


def _decoded(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)


async def create(executor: Executor, runs: Iterable[NewFlowRun]) -> set[UUID]:
    """Insert runs with their task runs and first states; returns the ids of those whose idempotency key was free.

    Raises ForeignKeyViolationError if a flow or an agent is gone.
    """
    rows = [
        {
            "id": run.id,
            "tenant_id": run.tenant_id,
            "flow_id": run.flow_id,
            "name": run.name,
            "parameters": orjson.Fragment(run.parameters),
            "context": orjson.Fragment(run.context),
            "labels": run.labels,
            "run_config": None if run.run_config is None else orjson.Fragment(run.run_config),
            "start": run.start,
            "idempotency_key": run.idempotency_key,
            "label_set_id": run.label_set_id,
            "parent_flow_run_id": run.parent_flow_run_id,
            "schedule_lease": run.schedule_lease,
            "priority": run.priority,
        }
        for run in runs
    ]
    return {row["id"] for row in await executor.fetch(_SQL["create"], json_text(rows))}


async def by_idempotency_key(executor: Executor, keys: Iterable[tuple[UUID, str]]) -> dict[tuple[UUID, str], UUID]:
    """Return the runs that hold these (flow id, key) pairs."""
    asked = [{"flow_id": flow_id, "idempotency_key": key} for flow_id, key in keys]
    rows = await executor.fetch(_SQL["by_idempotency_key"], json_text(asked))
    return {(row["flow_id"], row["idempotency_key"]): row["id"] for row in rows}


async def known(executor: Executor, runs: Iterable[tuple[UUID, UUID]]) -> set[UUID]:
    """Return the ids of those of these (tenant id, run id) pairs that are there."""
    asked = [{"id": run_id, "tenant_id": tenant_id} for tenant_id, run_id in runs]
    return {row["id"] for row in await executor.fetch(_SQL["known"], json_text(asked))}


async def unfinished_descendants(executor: Executor, tenant_id: UUID, flow_run_id: UUID) -> list[UUID]:
    """Return the runs that a run has created, and those that these have created, as far as they have not ended."""
    return [row["id"] for row in await executor.fetch(_SQL["unfinished_descendants"], tenant_id, flow_run_id)]


async def who_runs(executor: Executor, tenant_id: UUID, flow_run_id: UUID, alive_for: timedelta) -> RunBy | None:
    """Return who executes a run; null if there is none. An agent lives if it was heard of within `alive_for`."""
    row = await executor.fetch_row(_SQL["who_runs"], tenant_id, flow_run_id, alive_for)
    return None if row is None else RunBy(row["name"], row["last_queried"], row["agent_lives"], row["heartbeat"])


async def set_name(executor: Executor, tenant_id: UUID, flow_run_id: UUID, name: str, claim_token: UUID | None) -> bool:
    """Rename a run; false if there is none, or it is not of this claim."""
    return await executor.execute(_SQL["set_name"], tenant_id, flow_run_id, name, claim_token) > 0


async def heartbeat(executor: Executor, tenant_id: UUID, flow_run_id: UUID, claim_token: UUID | None) -> bool:
    """Note a sign of life; false if there is no such run, or it is not of this claim."""
    return await executor.execute(_SQL["heartbeat"], tenant_id, flow_run_id, claim_token) > 0


async def claim_of(executor: Executor, tenant_id: UUID, flow_run_id: UUID) -> tuple[bool, UUID | None]:
    """Return whether the run exists, and its claim token."""
    row = await executor.fetch_row(_SQL["claim"], tenant_id, flow_run_id)
    return (False, None) if row is None else (True, row["claim_token"])


async def set_labels(
    executor: Executor, tenant_id: UUID, flow_run_id: UUID, labels: Sequence[str], claim_token: UUID | None
) -> Lane | None:
    """Replace a run's labels; returns its lane now. Null if there is no such run, or it is not of this claim."""
    texts = list(labels)
    row = await executor.fetch_row(_SQL["set_labels"], tenant_id, flow_run_id, json_text(texts), texts, claim_token)
    return None if row is None else Lane(row["label_set_id"], row["waits"])


async def set_priority(executor: Executor, tenant_id: UUID, flow_run_id: UUID, priority: int) -> Lane | None:
    """Replace the priority of a run that has not ended; returns its lane now. Null if there is no such run."""
    row = await executor.fetch_row(_SQL["set_priority"], tenant_id, flow_run_id, priority)
    return None if row is None else Lane(row["label_set_id"], row["waits"])


async def state_of(executor: Executor, tenant_id: UUID, flow_run_id: UUID) -> str | None:
    """Return the name of a run's state; null if there is no such run, or it has none."""
    state: str | None = await executor.fetch_value(_SQL["state"], tenant_id, flow_run_id)
    return state
