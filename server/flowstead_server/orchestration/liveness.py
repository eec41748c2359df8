"""Ending what is dead and reviving what is lost.

A run is looked at again under its lock, in the transaction that ends its claim and writes its states and log lines: of
many servers one acts, and a heartbeat that came meanwhile keeps the run alive.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import orjson

from flowstead_server.db import json_text
from flowstead_server.domain.errors import ConflictError
from flowstead_server.domain.liveness import (
    LivenessRules,
    RunSigns,
    Verdict,
    reap,
    resurrect,
    what_was_seen,
)
from flowstead_server.domain.serialized_states import simple_state, with_cached_inputs
from flowstead_server.domain.states import ENDING_NAMES, SCHEDULED_NAMES
from flowstead_server.store import liveness, logs
from flowstead_server.store import states as state_store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from flowstead_server.db import Database, Transaction
    from flowstead_server.domain.liveness import TaskVerdict

_Decide = Callable[[RunSigns, LivenessRules], Verdict | None]

_logger = logging.getLogger(__name__)
_CHUNK: Final = 50
_MOST_DEAD: Final = 5000
_MOST_LOST: Final = 500
_TASK_LOGGER: Final = "prefect-server.ZombieKiller.TaskRun"
_FLOW_LOGGER: Final = "prefect-server.ZombieKiller.FlowRun"
_LAZARUS_LOGGER: Final = "prefect-server.Lazarus.FlowRun"


@dataclass(frozen=True, slots=True)
class Reaped:
    """How many flow runs were dead, and what became of them and of their task runs."""

    flow_runs: int
    cancelled: int
    task_runs_retried: int
    task_runs_failed: int


@dataclass(frozen=True, slots=True)
class Resurrected:
    """How many lost flow runs were put back into the queue, and how many were given up."""

    rescheduled: int
    failed: int


async def receive_heartbeats(database: Database, rules: LivenessRules) -> None:
    """Note that this server receives heartbeats. Raises ApiUnavailableError without a database."""
    await liveness.receive(database, rules.reception_gap)


async def reap_dead_runs(database: Database, rules: LivenessRules) -> Reaped:
    """Fence runs whose process is silent for longer than the limit; end or retry what it did. At most 5,000 at once."""
    ids = await liveness.find_dead(database, rules.limit, _MOST_DEAD)
    verdicts = await _judge(database, ids, rules, reap)
    tasks = [task.state for verdict in verdicts for task in verdict.tasks]
    return Reaped(
        len(verdicts),
        sum(verdict.state == "Cancelled" for verdict in verdicts),
        tasks.count("Retrying"),
        tasks.count("Failed"),
    )


async def resurrect_lost_runs(database: Database, rules: LivenessRules) -> Resurrected:
    """Put runs that nothing makes go on back into the queue; fail those put back too often. At most 500 at once."""
    ids = await liveness.find_lost(database, rules.limit, _MOST_LOST)
    verdicts = await _judge(database, ids, rules, resurrect)
    rescheduled = sum(verdict.resurrects for verdict in verdicts)
    return Resurrected(rescheduled, len(verdicts) - rescheduled)


async def _judge(database: Database, ids: Sequence[UUID], rules: LivenessRules, decide: _Decide) -> list[Verdict]:
    verdicts: list[Verdict] = []
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        try:
            applied = await database.transact(partial(_apply, chunk, rules, decide))
        except ConflictError:
            _logger.warning("%d silent flow runs are being changed by others; they are looked at again.", len(chunk))
            continue
        database.hints.runs_changed([run.id for run, _ in applied])
        for run, _ in applied:
            database.hints.queue_changed(run.tenant_id, {run.label_set_id})
        for tenant_id in {run.tenant_id for run, _ in applied}:
            database.hints.slots_freed(tenant_id)
        verdicts += [verdict for _, verdict in applied]
    return verdicts


async def _apply(
    ids: Sequence[UUID], rules: LivenessRules, decide: _Decide, transaction: Transaction
) -> list[tuple[RunSigns, Verdict]]:
    ours = await liveness.lock(transaction, ids)
    found = [(run, decide(run, rules)) for run in await liveness.signs(transaction, ours)]
    judged = [(run, verdict) for run, verdict in found if verdict is not None]
    if not judged:
        return []
    await liveness.fence(transaction, [run.id for run, _ in judged])
    changes = [_task_change(run, task) for run, verdict in judged for task in verdict.tasks]
    written = await state_store.write_task_runs(transaction, changes) if changes else {}
    changed = await _write_flow_runs(transaction, judged)
    # Everything was read under the run's lock; a row that moved all the same was changed without a state, and is left.
    applied = [
        (run, replace(verdict, tasks=[task for task in verdict.tasks if task.task.id in written]))
        for run, verdict in judged
        if verdict.state is None or run.id in changed
    ]
    for run, verdict in applied:
        await logs.append(transaction, run.tenant_id, json_text(_lines(run, verdict, rules)), None, None)
    return applied


async def _write_flow_runs(transaction: Transaction, judged: Sequence[tuple[RunSigns, Verdict]]) -> set[UUID]:
    changes = [
        _flow_change(run, verdict.state, verdict.message) for run, verdict in judged if verdict.state is not None
    ]
    if not changes:
        return set()
    written = await state_store.write_flow_runs(transaction, changes)
    cancelled = [change for change in changes if change.state == "Cancelled" and change.id in written]
    if cancelled:
        await state_store.cancel_task_runs(transaction, cancelled)
    revived = [run.id for run, verdict in judged if verdict.resurrects and run.id in written]
    if revived:
        await liveness.count_resurrection(transaction, revived)
    return set(written)


def _flow_change(run: RunSigns, name: str, message: str | None) -> state_store.FlowRunChange:
    state = simple_state(name, message or "", run.now)
    return state_store.FlowRunChange(
        id=run.id,
        tenant_id=run.tenant_id,
        seen_version=run.version,
        seen_claim=None,  # the claim has been ended
        state=name,
        message=state.message,
        start_time=state.start_time,
        payload=state.payload,
        queue_time=state.start_time if name in SCHEDULED_NAMES else None,
        is_ending=name in ENDING_NAMES,
        is_live=False,
        fences=True,
        agent_id=None,
    )


def _task_change(run: RunSigns, verdict: TaskVerdict) -> state_store.TaskRunChange:
    members: dict[str, Any] = {}
    if verdict.start_time is not None:
        members = {"start_time": verdict.start_time.isoformat(), "run_count": verdict.run_count}
    state = simple_state(verdict.state, verdict.message, run.now, **members)
    if verdict.task.cached_inputs is not None:
        state = with_cached_inputs(state, orjson.loads(verdict.task.cached_inputs))
    return state_store.TaskRunChange(
        id=verdict.task.id,
        tenant_id=run.tenant_id,
        flow_run_id=run.id,
        seen_version=verdict.task.version,
        state=verdict.state,
        message=state.message,
        start_time=state.start_time,
        payload=state.payload,
        is_ending=verdict.state in ENDING_NAMES,
        is_live=False,
        claim_token=None,
    )


def _lines(run: RunSigns, verdict: Verdict, rules: LivenessRules) -> list[dict[str, Any]]:
    seen = what_was_seen(run, rules)
    lines = [_line(run, _TASK_LOGGER, "ERROR", f"{task.message} {seen}", task.task.id) for task in verdict.tasks]
    if verdict.resurrects:
        text = f"{verdict.message} This is attempt {run.times_resurrected + 1}. {seen}"
        lines.append(_line(run, _LAZARUS_LOGGER, "INFO", text))
    elif verdict.state is not None:
        name = _FLOW_LOGGER if verdict.state == "Cancelled" else _LAZARUS_LOGGER
        lines.append(_line(run, name, "ERROR", f"{verdict.message} {seen}"))
    return lines


def _line(run: RunSigns, name: str, level: str, message: str, task_run_id: UUID | None = None) -> dict[str, Any]:
    return {
        "flow_run_id": run.id,
        "task_run_id": task_run_id,
        "timestamp": None,
        "name": name,
        "level": level,
        "message": message,
        "info": None,
    }
