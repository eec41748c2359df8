"""Cloud hooks, and what they say about a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from flowstead_server.db import load_statements

if TYPE_CHECKING:
    from uuid import UUID

    from flowstead_server.db.database import Executor

_SQL: Final = load_statements(__package__, "hooks.sql")


@dataclass(frozen=True, slots=True)
class Hook:
    """What is needed to call another system."""

    type: str
    config: dict[str, Any]
    secret: str | None


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What an event says about a flow run."""

    name: str | None
    version: int
    state: str | None
    flow_id: UUID
    flow_name: str
    flow_group_id: UUID
    version_group_id: str | None
    tenant_slug: str


async def create(
    executor: Executor,
    tenant_id: UUID,
    kind: str,
    name: str | None,
    version_group_id: str | None,
    states: str,
    config: str,
    secret: str | None,
) -> UUID:
    """Insert a hook (states and config: JSON text)."""
    hook_id: UUID = await executor.fetch_value(
        _SQL["create"], tenant_id, kind, name, version_group_id, states, config, secret
    )
    return hook_id


async def get(executor: Executor, tenant_id: UUID, hook_id: UUID) -> Hook | None:
    """Return a hook; null if there is none."""
    row = await executor.fetch_row(_SQL["get"], tenant_id, hook_id)
    return None if row is None else Hook(row["type"], orjson.loads(row["config"]), row["secret"])


async def set_active(executor: Executor, tenant_id: UUID, hook_id: UUID, *, active: bool) -> bool:
    """Switch a hook on or off; false if there is none."""
    return await executor.execute(_SQL["set_active"], tenant_id, hook_id, active) > 0


async def delete(executor: Executor, tenant_id: UUID, hook_id: UUID) -> bool:
    """Delete a hook; false if there is none."""
    return await executor.execute(_SQL["delete"], tenant_id, hook_id) > 0


async def run_facts(executor: Executor, tenant_id: UUID, flow_run_id: UUID) -> RunFacts | None:
    """Return what an event says about a run; null if there is none."""
    row = await executor.fetch_row(_SQL["run_facts"], tenant_id, flow_run_id)
    return None if row is None else RunFacts(*row.values())
