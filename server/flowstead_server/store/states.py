"""State changes: reading what a decision needs, and compare-and-set with history, many runs a statement."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import orjson

from flowstead_server.db import json_text, load_statements
from flowstead_server.domain.restarts import is_repeated

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from flowstead_server.db.database import Executor

_SQL: Final = load_statements(__package__, "states.sql")

# A run of a tenant; what the functions here are asked for and answer by.
RunKey = tuple["UUID", "UUID"]
_REOPENED: Final = "The process that ran this task has lost its claim on the flow run; the task runs again."
_NO_STATES: Final[Mapping[RunKey, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class FlowRunNow:
    """What a flow run is before a change.

    `same_state` is the run's state as JSON text if it has the name that was asked for, otherwise null. `is_limited`: it
    needs a slot of a concurrency limit to be live.
    """

    id: UUID
    version: int
    state: str | None
    state_message: str | None
    claim_token: UUID | None
    label_set_id: int
    version_locking: bool
    same_state: str | None
    is_limited: bool = False


@dataclass(frozen=True, slots=True)
class FlowRunChange:
    """A state to be written if the run is still at `seen_version` and `seen_claim`.

    `is_live`: counts as a sign of life. `fences`: ends the run's claim. `reopens`: the task runs that its process left
    Running are to run again, which `reopen_task_runs` sees to. `payload` is JSON text. `takes_slot`: becomes Queued
    instead unless every limit of the run has a free slot.
    """

    id: UUID
    tenant_id: UUID
    seen_version: int
    seen_claim: UUID | None
    state: str
    message: str | None
    start_time: datetime | None
    payload: str
    queue_time: datetime | None
    is_ending: bool
    is_live: bool
    fences: bool
    agent_id: UUID | None
    reopens: bool = False
    takes_slot: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """A flow run after its change. `waits`: it is in the queue. `queued`: it is Queued instead, for this reason."""

    id: UUID
    tenant_id: UUID
    version: int
    label_set_id: int
    waits: bool
    queued: str | None = None


@dataclass(frozen=True, slots=True)
class TaskRunNow:
    """What a task run and its flow run are before a change. `cached_inputs` is JSON text, null if there are none.

    `same_state` as in FlowRunNow. `is_limited`: it is Running or to be so, and its task has a tag with a limit.
    `is_repeated`: it has ended and is to be Running, which engines ask for where a value is never kept.
    """

    id: UUID
    version: int
    state: str | None
    flow_run_id: UUID
    flow_run_state: str | None
    claim_token: UUID | None
    cached_inputs: str | None
    version_locking: bool
    same_state: str | None
    is_limited: bool = False
    is_repeated: bool = False


@dataclass(frozen=True, slots=True)
class TaskRunChange:
    """As FlowRunChange. A non-null `claim_token` must be the flow run's; if `is_live`, the flow run must be Running."""

    id: UUID
    tenant_id: UUID
    flow_run_id: UUID
    seen_version: int
    state: str
    message: str | None
    start_time: datetime | None
    payload: str
    is_ending: bool
    is_live: bool
    claim_token: UUID | None
    takes_slot: bool = False


@dataclass(frozen=True, slots=True)
class TaskWritten:
    """A task run after its change. `queued`: it is Queued instead, for this reason."""

    id: UUID
    version: int
    queued: str | None = None


def _keys(keys: Iterable[RunKey], states: Mapping[RunKey, str]) -> str:
    return json_text([{"tenant_id": key[0], "id": key[1], "state": states.get(key)} for key in keys])


def _rows(changes: Iterable[FlowRunChange | TaskRunChange]) -> str:
    return json_text([_row(change) for change in changes])


def _row(change: FlowRunChange | TaskRunChange) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(change, name) for name in change.__slots__}
    row["payload"] = orjson.Fragment(change.payload)
    return row


async def read_flow_runs(
    executor: Executor, keys: Iterable[RunKey], states: Mapping[RunKey, str] = _NO_STATES
) -> dict[RunKey, FlowRunNow]:
    """Return the runs that exist, by (tenant id, run id). `states`: names of states for `same_state`."""
    rows = await executor.fetch(_SQL["read_flow_runs"], _keys(keys, states))
    return {
        (row["tenant_id"], row["id"]): FlowRunNow(
            row["id"],
            row["version"],
            row["state"],
            row["state_message"],
            row["claim_token"],
            row["label_set_id"],
            row["version_locking"],
            row["same_state"],
            row["is_limited"],
        )
        for row in rows
    }


async def write_flow_runs(executor: Executor, changes: Sequence[FlowRunChange]) -> dict[UUID, Written]:
    """Write changes of different runs with their history; returns those whose run was as seen."""
    rows = await executor.fetch(_SQL["write_flow_runs"], _rows(changes))
    return {
        row["id"]: Written(
            row["id"], row["tenant_id"], row["version"], row["label_set_id"], row["waits"], row["queued"]
        )
        for row in rows
    }


async def cancel_task_runs(executor: Executor, changes: Sequence[FlowRunChange]) -> None:
    """Give every unfinished task run of these flow runs their (Cancelled) state."""
    rows = [
        {
            "id": change.id,
            "tenant_id": change.tenant_id,
            "message": change.message,
            "payload": orjson.Fragment(change.payload),
        }
        for change in changes
    ]
    await executor.execute(_SQL["cancel_task_runs"], json_text(rows))


async def reopen_task_runs(executor: Executor, flow_run_ids: Sequence[UUID]) -> int:
    """Make task runs of these flow runs Pending that a process left Running; returns how many."""
    return await executor.execute(_SQL["reopen_task_runs"], list(flow_run_ids), _REOPENED)


async def read_task_runs(
    executor: Executor, keys: Iterable[RunKey], states: Mapping[RunKey, str] = _NO_STATES
) -> dict[RunKey, TaskRunNow]:
    """Return the task runs that exist, by (tenant id, task run id). `states`: names of states for `same_state`."""
    rows = await executor.fetch(_SQL["read_task_runs"], _keys(keys, states))
    return {
        (row["tenant_id"], row["id"]): TaskRunNow(
            row["id"],
            row["version"],
            row["state"],
            row["flow_run_id"],
            row["flow_run_state"],
            row["claim_token"],
            row["cached_inputs"],
            row["version_locking"],
            row["same_state"],
            row["is_limited"],
            row["ended"] is not None and _is_repeated(orjson.loads(row["ended"])),
        )
        for row in rows
    }


def _is_repeated(ended: Mapping[str, Any]) -> bool:
    return is_repeated(ended["type"], ended["result"])


async def write_task_runs(executor: Executor, changes: Sequence[TaskRunChange]) -> dict[UUID, TaskWritten]:
    """Write changes of different task runs with their history; returns those whose run was as seen."""
    rows = await executor.fetch(_SQL["write_task_runs"], _rows(changes))
    return {row["id"]: TaskWritten(row["id"], row["version"], row["queued"]) for row in rows}
