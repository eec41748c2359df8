"""Deleting what flow runs belong to: first the runs, some at a time, then their owner.

The steps are transactions of their own, so that no lock is held for long: if one fails, the same call goes on where it
stopped. No new runs come up meanwhile, because the flows are archived first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowstead_server.domain.errors import BadInputError
from flowstead_server.orchestration.claims import check_claim
from flowstead_server.orchestration.tenants import default_tenant_id
from flowstead_server.store import deletions as store
from flowstead_server.store.deletions import FlowsOf
from flowstead_server.store.label_sets import LabelSets

if TYPE_CHECKING:
    from uuid import UUID

    from flowstead_server.db import Database
    from flowstead_server.domain.caller import Caller

_RUNS_AT_ONCE: Final = 200


async def delete_flow_run(database: Database, caller: Caller, flow_run_id: UUID) -> bool:
    """Delete a run and all that hangs on it; false if there is none. Raises StaleWriteError (ended claim)."""
    if not await store.delete_flow_run(database, caller.tenant_id, flow_run_id, caller.claim_token):
        await check_claim(database, caller, flow_run_id)
        return False
    database.hints.runs_changed([flow_run_id])
    database.hints.slots_freed(caller.tenant_id)
    return True


async def delete_flow(database: Database, caller: Caller, flow_id: UUID) -> bool:
    """Delete a flow version with its runs, tasks and edges; its group stays. False if there is no such flow."""
    return await _delete(database, "flow", FlowsOf(caller.tenant_id, flow_id=flow_id), flow_id)


async def delete_flow_group(database: Database, caller: Caller, flow_group_id: UUID) -> bool:
    """Delete a flow group with its flows and their runs; false if there is no such group."""
    return await _delete(database, "flow_group", FlowsOf(caller.tenant_id, flow_group_id=flow_group_id), flow_group_id)


async def delete_project(database: Database, caller: Caller, project_id: UUID) -> bool:
    """Delete a project with its flows and their runs; flow groups stay. False if there is no such project."""
    return await _delete(database, "project", FlowsOf(caller.tenant_id, project_id=project_id), project_id)


async def delete_tenant(database: Database, caller: Caller, tenant_id: UUID, *, confirm: bool) -> bool:
    """Delete the caller's tenant with everything in it; false for any other.

    Raises BadInputError without `confirm`, and for the tenant of callers who name none.
    """
    if not confirm:
        raise BadInputError("Must pass `confirm=True` to proceed.")
    if tenant_id != caller.tenant_id:
        return False
    if tenant_id == await default_tenant_id(database):
        raise BadInputError("The default tenant cannot be deleted: it is the one of callers who name none.")
    await _delete_runs(database, FlowsOf(tenant_id))
    deleted = await store.delete_tenant(database, tenant_id)
    database.part(LabelSets).forget()
    return deleted


async def _delete(database: Database, owner: store.Owner, flows: FlowsOf, owner_id: UUID) -> bool:
    if not await store.exists(database, owner, flows.tenant_id, owner_id):
        return False
    await _delete_runs(database, flows)
    deleted = await store.delete(database, owner, flows.tenant_id, owner_id)
    if owner == "flow_group":
        database.part(LabelSets).forget()
    return deleted


async def _delete_runs(database: Database, flows: FlowsOf) -> None:
    await store.archive(database, flows)
    while deleted := await store.delete_some_runs(database, flows, _RUNS_AT_ONCE):
        database.hints.runs_changed(deleted)
        database.hints.slots_freed(flows.tenant_id)
