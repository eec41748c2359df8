"""Deleting flow runs and what they belong to. What hangs on a row goes with it by the database's own rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from flowstead_server.db import load_statements

if TYPE_CHECKING:
    from uuid import UUID

    from flowstead_server.db.database import Executor

_SQL: Final = load_statements(__package__, "deletions.sql")

Owner = Literal["flow", "flow_group", "project"]


@dataclass(frozen=True, slots=True)
class FlowsOf:
    """Some flows of a tenant: one, those of a group or of a project, or, without any id, all."""

    tenant_id: UUID
    flow_id: UUID | None = None
    flow_group_id: UUID | None = None
    project_id: UUID | None = None


async def exists(executor: Executor, owner: Owner, tenant_id: UUID, owner_id: UUID) -> bool:
    """Say whether the tenant has this owner of flow runs."""
    return bool(await executor.fetch_value(_SQL[f"{owner}_exists"], tenant_id, owner_id))


async def archive(executor: Executor, flows: FlowsOf) -> None:
    """Archive flows, so that nobody creates runs of them."""
    await executor.execute(_SQL["archive"], flows.tenant_id, flows.flow_id, flows.flow_group_id, flows.project_id)


async def delete_some_runs(executor: Executor, flows: FlowsOf, limit: int) -> list[UUID]:
    """Delete at most `limit` runs of flows with all that hangs on them; returns their ids."""
    rows = await executor.fetch(
        _SQL["delete_some_runs"], flows.tenant_id, flows.flow_id, flows.flow_group_id, flows.project_id, limit
    )
    return [row["id"] for row in rows]


async def delete(executor: Executor, owner: Owner, tenant_id: UUID, owner_id: UUID) -> bool:
    """Delete an owner of flow runs; false if it is gone."""
    return await executor.execute(_SQL[f"delete_{owner}"], tenant_id, owner_id) > 0


async def delete_tenant(executor: Executor, tenant_id: UUID) -> bool:
    """Delete a tenant and everything in it; false if it is gone."""
    return await executor.execute(_SQL["delete_tenant"], tenant_id) > 0


async def delete_flow_run(executor: Executor, tenant_id: UUID, flow_run_id: UUID, claim_token: UUID | None) -> bool:
    """Delete a run; false if there is none, or it is not of this claim."""
    return await executor.execute(_SQL["delete_flow_run"], tenant_id, flow_run_id, claim_token) > 0
