"""Flows: registering versions, their tasks and edges, archiving, and switching schedules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import orjson

from flowstead_server.domain.errors import BadInputError, NotFoundError
from flowstead_server.domain.flows import ParsedFlow, check_length, decompress, edge_columns, parse_flow, task_columns
from flowstead_server.domain.parameters import check_schedulable, clock_parameter_defaults
from flowstead_server.domain.serialized_states import encode
from flowstead_server.orchestration.scheduling import RunScheduler
from flowstead_server.orchestration.states import cancel_waiting_runs
from flowstead_server.store import flows, schedules

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from flowstead_server.db import Database, Transaction
    from flowstead_server.domain.caller import Caller

_UNKNOWN_TASKS: Final = "Edges could not be registered - some edges reference tasks that do not exist within this flow."


@dataclass(frozen=True, slots=True)
class CreateFlow:
    """A registration. Null `version_group_id`: that of the project's newest flow of this name, or a new one."""

    serialized_flow: object
    project_id: UUID
    version_group_id: str | None = None
    set_schedule_active: bool = True
    description: str | None = None
    idempotency_key: str | None = None


def decompress_flow(text: str) -> dict[str, Any]:
    """Unpack a flow that was sent compressed. Raises BadInputError; never unpacks more than 50 MB."""
    return decompress(text)


async def create_flow(database: Database, caller: Caller, request: CreateFlow) -> UUID:
    """Register a version of a flow with its tasks and edges, archive the others of its group, and return its id.

    With the idempotency key of the group's last registration, the id of that flow and no change. A schedule that cannot
    be activated does not fail the registration. Raises NotFoundError (project), BadInputError (the flow).
    """
    parsed = parse_flow(request.serialized_flow)
    check_length(request.version_group_id or "", "The version group of a flow")
    tasks = encode(task_columns(parsed.tasks))
    edges = encode(edge_columns(parsed.edges))

    async def work(transaction: Transaction) -> tuple[UUID, list[flows.WaitingRun]]:
        return await _register(transaction, caller, request, parsed, tasks, edges)

    flow_id, waiting = await database.transact(work)
    await cancel_waiting_runs(database, caller, waiting)
    if request.set_schedule_active:
        await database.part(RunScheduler).schedule_flows([flow_id])
    return flow_id


async def _register(
    transaction: Transaction, caller: Caller, request: CreateFlow, parsed: ParsedFlow, tasks: str, edges: str
) -> tuple[UUID, list[flows.WaitingRun]]:
    tenant_id = caller.tenant_id
    if not await flows.project_exists(transaction, tenant_id, request.project_id):
        raise NotFoundError("Invalid project.")
    version_group_id = request.version_group_id or (
        await flows.latest_version_group(transaction, tenant_id, request.project_id, parsed.name) or str(uuid4())
    )
    settings = {
        "heartbeat_enabled": True,
        "lazarus_enabled": True,
        "version_locking_enabled": False,
        "idempotency_key": None,
    }
    group = await flows.lock_group(transaction, tenant_id, version_group_id, encode(settings))
    if request.idempotency_key and group.idempotency_key == request.idempotency_key:
        existing = await flows.newest_unarchived(transaction, tenant_id, group.id)
        if existing is not None:
            return existing, []
    await flows.remember_idempotency_key(transaction, tenant_id, group.id, request.idempotency_key)
    flow_id = await flows.create(
        transaction,
        tenant_id,
        flows.NewFlow(
            project_id=request.project_id,
            flow_group_id=group.id,
            name=parsed.name,
            version_group_id=version_group_id,
            description=request.description,
            core_version=parsed.core_version,
            environment=parsed.environment,
            run_config=parsed.run_config,
            storage=parsed.storage,
            parameters=parsed.parameters,
            serialized_flow=parsed.whole,
            schedule=parsed.schedule,
        ),
    )
    await flows.create_tasks(transaction, tenant_id, flow_id, tasks)
    if not await flows.create_edges(transaction, tenant_id, flow_id, edges):
        raise BadInputError(_UNKNOWN_TASKS)
    if request.set_schedule_active and (parsed.schedule is not None or group.has_schedule):
        await _try_activating(transaction, caller, flow_id)
    archived = await flows.archive_others(transaction, tenant_id, version_group_id, flow_id)
    return flow_id, await _clear_queue(transaction, caller, archived)


async def _try_activating(transaction: Transaction, caller: Caller, flow_id: UUID) -> None:
    try:
        await _activate(transaction, caller, flow_id)
    except BadInputError:
        # a flow that needs parameters can be registered; it can only not be scheduled
        return


async def _activate(transaction: Transaction, caller: Caller, flow_id: UUID) -> bool:
    facts = await flows.schedule_facts(transaction, caller.tenant_id, flow_id)
    if facts is None:
        return False
    schedule = facts.group_schedule or facts.schedule
    if schedule is None:
        return False
    if facts.schedule is not None or facts.group_schedule is not None:
        check_schedulable(
            orjson.loads(facts.parameters or "[]"),
            orjson.loads(facts.group_default_parameters),
            clock_parameter_defaults(orjson.loads(schedule)),
        )
    await flows.set_schedule_flag(transaction, caller.tenant_id, flow_id, active=True)
    await schedules.begin(transaction, caller.tenant_id, flow_id)
    return True


async def _clear_queue(transaction: Transaction, caller: Caller, flow_ids: Sequence[UUID]) -> list[flows.WaitingRun]:
    if not flow_ids:
        return []
    await schedules.end(transaction, flow_ids)
    await flows.delete_auto_scheduled_runs(transaction, caller.tenant_id, flow_ids)
    return await flows.waiting_runs(transaction, caller.tenant_id, flow_ids)


async def register_tasks(database: Database, caller: Caller, flow_id: UUID, serialized_tasks: object) -> bool:
    """Add tasks to a flow; those whose slug it has are left as they are. Raises NotFoundError, BadInputError."""
    columns = encode(task_columns(serialized_tasks))
    tasks = encode(serialized_tasks)

    async def work(transaction: Transaction) -> bool:
        if not await flows.lock(transaction, caller.tenant_id, flow_id):
            raise NotFoundError(f"Flow {flow_id} not found")
        await flows.create_tasks(transaction, caller.tenant_id, flow_id, columns)
        await flows.append_tasks(transaction, caller.tenant_id, flow_id, tasks)
        return True

    return await database.transact(work)


async def register_edges(database: Database, caller: Caller, flow_id: UUID, serialized_edges: object) -> bool:
    """Add edges to a flow; those that it has are left as they are. Raises NotFoundError, BadInputError.

    One edge that names an unknown task fails them all.
    """
    columns = encode(edge_columns(serialized_edges))
    edges = encode(serialized_edges)

    async def work(transaction: Transaction) -> bool:
        if not await flows.lock(transaction, caller.tenant_id, flow_id):
            raise NotFoundError(f"Flow {flow_id} not found")
        if not await flows.create_edges(transaction, caller.tenant_id, flow_id, columns):
            raise BadInputError(_UNKNOWN_TASKS)
        await flows.append_edges(transaction, caller.tenant_id, flow_id, edges)
        return True

    return await database.transact(work)


async def archive_flow(database: Database, caller: Caller, flow_id: UUID) -> bool:
    """Archive a flow: its scheduled runs go, other waiting runs are cancelled. False if there is no such flow."""

    async def work(transaction: Transaction) -> list[flows.WaitingRun] | None:
        if not await flows.archive(transaction, caller.tenant_id, flow_id):
            return None
        return await _clear_queue(transaction, caller, [flow_id])

    waiting = await database.transact(work)
    if waiting is None:
        return False
    await cancel_waiting_runs(database, caller, waiting)
    return True


async def set_schedule_active(database: Database, caller: Caller, flow_id: UUID) -> bool:
    """Switch a flow's schedule on and make its first runs; false if neither it nor its group has a schedule.

    False, too, if there is no such flow. Raises BadInputError if required parameters have no value in every clock.
    """

    async def work(transaction: Transaction) -> bool:
        return await _activate(transaction, caller, flow_id)

    activated = await database.transact(work)
    if activated:
        await database.part(RunScheduler).schedule_flows([flow_id])
    return activated


async def set_schedule_inactive(database: Database, caller: Caller, flow_id: UUID) -> bool:
    """Switch a flow's schedule off and delete the waiting runs that it made; false if there is no such flow."""

    async def work(transaction: Transaction) -> bool:
        if not await flows.set_schedule_flag(transaction, caller.tenant_id, flow_id, active=False):
            return False
        await schedules.end(transaction, [flow_id])
        await flows.delete_auto_scheduled_runs(transaction, caller.tenant_id, [flow_id])
        return True

    return await database.transact(work)


async def update_flow_project(database: Database, caller: Caller, flow_id: UUID, project_id: UUID) -> UUID:
    """Move a flow to another project; returns its id. Raises NotFoundError if flow or project are unknown."""
    if not await flows.set_project(database, caller.tenant_id, flow_id, project_id):
        raise NotFoundError("Invalid flow or project ID.")
    return flow_id
