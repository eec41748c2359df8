"""Restarting a flow run that has ended: the same run goes on with what did not succeed.

One transaction, under the run's lock: the run is Scheduled, its old claim is ended, and the task runs that run again
are Pending, each with its history. Of two restarts at once one acts; the other is refused, or answered like the first
if it brought the same key.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from flowstead_server.db import json_text
from flowstead_server.domain.errors import BadInputError, ConflictError, NotFoundError, StateUpdateFailedError
from flowstead_server.domain.labels import normalized
from flowstead_server.domain.restarts import SUCCEEDED_NAMES, Plan, Reason, plan_restart
from flowstead_server.domain.serialized_states import simple_state
from flowstead_server.domain.states import classify
from flowstead_server.store import flow_runs as flow_run_store
from flowstead_server.store import logs
from flowstead_server.store import restarts as store
from flowstead_server.store import states as state_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from flowstead_server.db import Database, Transaction
    from flowstead_server.domain.caller import Caller

_LOGGER_NAME: Final = "flowstead.restart"
_MOST_NAMES: Final = 20
_MOST_CHARACTERS: Final = 80


@dataclass(frozen=True, slots=True)
class Restart:
    """What is asked for. `tasks`: names or slugs of tasks that are to run again although they succeeded.

    `key`: makes the request safe to repeat. `dry_run`: only say what would happen. `labels`: new ones of the run.
    """

    flow_run_id: UUID
    tasks: Sequence[str] = ()
    key: str | None = None
    dry_run: bool = False
    labels: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class TaskRunAgain:
    """A task run that runs again."""

    id: UUID
    slug: str | None
    name: str | None
    map_index: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Restarted:
    """What came of it. `after`: position in the run's events just before the restart; null for a dry run."""

    flow_run_id: UUID
    again: list[TaskRunAgain]
    kept: int
    after: int | None


async def restart_flow_run(database: Database, caller: Caller, request: Restart) -> Restarted:
    """Put a run that has ended back into the queue; returns which of its task runs run again, and why.

    Raises NotFoundError, BadInputError (no such task, unusable label), and StateUpdateFailedError (the run has not
    ended, or all of it succeeded).
    """
    restarted, label_set_id = await database.transact(partial(_restart, caller, request))
    if label_set_id is not None:
        database.hints.runs_changed([restarted.flow_run_id])
        database.hints.queue_changed(caller.tenant_id, {label_set_id})
    return restarted


async def _restart(caller: Caller, request: Restart, transaction: Transaction) -> tuple[Restarted, int | None]:
    if not request.dry_run:
        await store.lock(transaction, request.flow_run_id)
    run = await store.read_run(transaction, caller.tenant_id, request.flow_run_id)
    if run is None:
        raise NotFoundError(f"Flow run {request.flow_run_id} not found")
    if request.key is not None:
        earlier = await store.read_restart(transaction, run, request.key)
        if earlier is not None:
            return await _as_before(transaction, run, *earlier), None
    if not classify(run.state).is_finished:
        raise StateUpdateFailedError(
            f"Flow run {run.id} is {run.state}: only a run that has ended can be restarted. Cancel it first, or let it "
            "end."
        )
    graph = await store.read_graph(transaction, run)
    plan = plan_restart(graph.runs, graph.dependencies, _asked(request.tasks, graph.tasks.values()))
    if run.state in SUCCEEDED_NAMES and not _anything_failed(plan) and not request.tasks:
        raise StateUpdateFailedError(
            f"Flow run {run.id} has succeeded, so nothing of it has to run again. Create a new run of the flow "
            "instead, or name the tasks that are to run again."
        )
    again = [
        TaskRunAgain(node.id, task.slug, task.name, node.map_index, plan.again[node.id])
        for node in graph.runs
        if node.id in plan.again and (task := graph.tasks[node.task_id])
    ]
    if request.dry_run:
        return Restarted(run.id, again, plan.kept, None), None
    label_set_id = run.label_set_id
    if request.labels is not None:
        lane = await flow_run_store.set_labels(transaction, run.tenant_id, run.id, normalized(request.labels), None)
        label_set_id = label_set_id if lane is None else lane.label_set_id
    after = await _write(transaction, run, graph, plan, request.key or uuid4().hex)
    return Restarted(run.id, again, plan.kept, after), label_set_id


def _anything_failed(plan: Plan) -> bool:
    return any(
        reason is not Reason.NEVER_KEPT and reason is not Reason.RESULT_MISSING for reason in plan.again.values()
    )


def _asked(names: Sequence[str], tasks: Iterable[store.TaskName]) -> set[UUID]:
    known = list(tasks)
    wanted = set(names)
    missing = sorted(wanted - {task.slug for task in known} - {task.name for task in known})
    if missing:
        raise BadInputError(
            f"The flow has no task {_listed([repr(name[:_MOST_CHARACTERS]) for name in missing])}; its tasks are "
            f"{_listed(sorted(task.slug or '' for task in known))}."
        )
    return {task.id for task in known if task.slug in wanted or task.name in wanted}


def _listed(names: Sequence[str]) -> str:
    more = f", and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"{', '.join(names[:_MOST_NAMES])}{more}"


async def _as_before(
    transaction: Transaction, run: store.EndedRun, position: int, kept: int, rows: Sequence[store.RestartedTaskRun]
) -> Restarted:
    tasks = await store.read_tasks(transaction, run.flow_id)
    again = [
        TaskRunAgain(row.id, task.slug, task.name, row.map_index, Reason[row.reason])
        for row in rows
        if (task := tasks[row.task_id])
    ]
    return Restarted(run.id, again, kept, position - 1)


async def _write(transaction: Transaction, run: store.EndedRun, graph: store.RunGraph, plan: Plan, key: str) -> int:
    """Write everything; returns the position just before the run's new state."""
    counts = f"{len(plan.again)} task run(s) run again, {plan.kept} are kept."
    state = simple_state(
        "Scheduled",
        f"Flow run restarted after it was {run.state}: {counts}",
        run.now,
        context={"restart": {"key": key, "kept": plan.kept}},
    )
    change = state_store.FlowRunChange(
        id=run.id,
        tenant_id=run.tenant_id,
        seen_version=run.version,
        seen_claim=run.claim_token,
        state=state.name,
        message=state.message,
        start_time=state.start_time,
        payload=state.payload,
        queue_time=state.start_time,
        is_ending=False,
        is_live=False,
        fences=True,
        agent_id=None,
    )
    written = await state_store.write_flow_runs(transaction, [change])
    changes = [_task_change(run, graph, node_id, reason, key) for node_id, reason in plan.again.items()]
    done = await state_store.write_task_runs(transaction, changes) if changes else {}
    if run.id not in written or len(done) != len(changes):
        # Something that does not take the lock has changed a row: decided again on what it is now.
        raise ConflictError("The flow run is being changed by others; please try again.")
    await store.forget_resurrections(transaction, run.id)
    earlier = await store.read_restart(transaction, run, key)
    assert earlier is not None
    await logs.append(transaction, run.tenant_id, json_text([_line(run, counts, plan)]), None, None)
    return earlier[0] - 1


def _task_change(
    run: store.EndedRun, graph: store.RunGraph, task_run_id: UUID, reason: Reason, key: str
) -> state_store.TaskRunChange:
    state = simple_state(
        "Pending",
        f"Flow run restarted; this task runs again because {reason.value}.",
        run.now,
        context={"restart": {"key": key, "reason": reason.name}},
    )
    return state_store.TaskRunChange(
        id=task_run_id,
        tenant_id=run.tenant_id,
        flow_run_id=run.id,
        seen_version=graph.versions[task_run_id],
        state=state.name,
        message=state.message,
        start_time=None,
        payload=state.payload,
        is_ending=False,
        is_live=False,
        claim_token=None,
    )


def _line(run: store.EndedRun, counts: str, plan: Plan) -> dict[str, Any]:
    tasks = sum(reason is Reason.RESULT_MISSING for reason in plan.again.values())
    missing = f" The results of {tasks} of them were not stored and are needed." if tasks else ""
    return {
        "flow_run_id": run.id,
        "task_run_id": None,
        "timestamp": None,
        "name": _LOGGER_NAME,
        "level": "INFO",
        "message": f"The flow run was restarted: {counts}{missing}",
        "info": None,
    }
