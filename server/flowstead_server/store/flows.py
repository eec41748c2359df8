"""Flows with their groups, tasks and edges. JSON goes in and out as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flowstead_server.db import load_statements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from flowstead_server.db import Transaction
    from flowstead_server.db.database import Executor

_SQL: Final = load_statements(__package__, "flows.sql")


@dataclass(frozen=True, slots=True)
class Group:
    """What registration needs of a flow group, whose row is locked until the transaction ends."""

    id: UUID
    idempotency_key: str | None
    has_schedule: bool


@dataclass(frozen=True, slots=True)
class NewFlow:
    """The row of a new version; JSON members are text."""

    project_id: UUID
    flow_group_id: UUID
    name: str
    version_group_id: str
    description: str | None
    core_version: str | None
    environment: str | None
    run_config: str | None
    storage: str | None
    parameters: str
    serialized_flow: str
    schedule: str | None


@dataclass(frozen=True, slots=True)
class ScheduleFacts:
    """What decides whether a flow can be scheduled; JSON text."""

    schedule: str | None
    parameters: str | None
    group_schedule: str | None
    group_default_parameters: str


@dataclass(frozen=True, slots=True)
class WaitingRun:
    """A run in state Scheduled that nobody but a person asked for."""

    id: UUID
    flow_id: UUID


async def project_exists(transaction: Transaction, tenant_id: UUID, project_id: UUID) -> bool:
    """Say whether the tenant has this project."""
    return bool(await transaction.fetch_value(_SQL["project_exists"], tenant_id, project_id))


async def latest_version_group(transaction: Transaction, tenant_id: UUID, project_id: UUID, name: str) -> str | None:
    """Return the version group of the project's newest flow of this name.

    Until the transaction ends, other registrations of the name wait, so that they find each other's group.
    """
    await transaction.execute(_SQL["lock_name"], f"{project_id} {name}")
    found: str | None = await transaction.fetch_value(_SQL["latest_version_group"], tenant_id, project_id, name)
    return found


async def lock_group(transaction: Transaction, tenant_id: UUID, name: str, new_settings: str) -> Group:
    """Return the group of this name, made with `new_settings` if there is none, locked for this transaction."""
    await transaction.execute(_SQL["create_group"], tenant_id, name, new_settings)
    row = await transaction.fetch_row(_SQL["lock_group"], tenant_id, name)
    assert row is not None
    return Group(row["id"], row["idempotency_key"], row["has_schedule"])


async def newest_unarchived(transaction: Transaction, tenant_id: UUID, flow_group_id: UUID) -> UUID | None:
    """Return the unarchived flow of a group with the highest version."""
    flow_id: UUID | None = await transaction.fetch_value(_SQL["newest_unarchived"], tenant_id, flow_group_id)
    return flow_id


async def remember_idempotency_key(
    transaction: Transaction, tenant_id: UUID, flow_group_id: UUID, key: str | None
) -> None:
    """Overwrite the group's registration key; null forgets it."""
    await transaction.execute(_SQL["remember_idempotency_key"], tenant_id, flow_group_id, key)


async def create(transaction: Transaction, tenant_id: UUID, flow: NewFlow) -> UUID:
    """Insert a flow with the next version of its group."""
    flow_id: UUID = await transaction.fetch_value(
        _SQL["create"],
        tenant_id,
        flow.project_id,
        flow.flow_group_id,
        flow.name,
        flow.version_group_id,
        flow.description,
        flow.core_version,
        flow.environment,
        flow.run_config,
        flow.storage,
        flow.parameters,
        flow.serialized_flow,
        flow.schedule,
    )
    return flow_id


async def lock(transaction: Transaction, tenant_id: UUID, flow_id: UUID) -> bool:
    """Lock a flow's row; false if the tenant has no such flow."""
    return bool(await transaction.fetch_value(_SQL["lock"], tenant_id, flow_id))


async def create_tasks(transaction: Transaction, tenant_id: UUID, flow_id: UUID, tasks: str) -> None:
    """Insert tasks (JSON list of columns); slugs that the flow has are left as they are."""
    await transaction.execute(_SQL["create_tasks"], tenant_id, flow_id, tasks)


async def append_tasks(transaction: Transaction, tenant_id: UUID, flow_id: UUID, tasks: str) -> None:
    """Add serialized tasks to the stored flow unless it has their slugs."""
    await transaction.execute(_SQL["append_tasks"], tenant_id, flow_id, tasks)


async def create_edges(transaction: Transaction, tenant_id: UUID, flow_id: UUID, edges: str) -> bool:
    """Insert edges (JSON list of slugs and columns); false, and nothing inserted, if a task is unknown."""
    unknown: int = await transaction.fetch_value(_SQL["create_edges"], tenant_id, flow_id, edges)
    return unknown == 0


async def append_edges(transaction: Transaction, tenant_id: UUID, flow_id: UUID, edges: str) -> None:
    """Add serialized edges to the stored flow unless it has them."""
    await transaction.execute(_SQL["append_edges"], tenant_id, flow_id, edges)


async def schedule_facts(transaction: Transaction, tenant_id: UUID, flow_id: UUID) -> ScheduleFacts | None:
    """Return what decides whether a flow can be scheduled, its row locked; null if there is no such flow."""
    row = await transaction.fetch_row(_SQL["schedule_facts"], tenant_id, flow_id)
    if row is None:
        return None
    return ScheduleFacts(row["schedule"], row["parameters"], row["group_schedule"], row["default_parameters"])


async def set_schedule_flag(transaction: Transaction, tenant_id: UUID, flow_id: UUID, *, active: bool) -> bool:
    """Switch a flow's schedule; false if there is no such flow."""
    return await transaction.execute(_SQL["set_schedule_flag"], tenant_id, flow_id, active) > 0


async def delete_auto_scheduled_runs(transaction: Transaction, tenant_id: UUID, flow_ids: Sequence[UUID]) -> int:
    """Delete the runs that a schedule made and that still wait; returns how many."""
    return await transaction.execute(_SQL["delete_auto_scheduled_runs"], tenant_id, list(flow_ids))


async def waiting_runs(transaction: Transaction, tenant_id: UUID, flow_ids: Sequence[UUID]) -> list[WaitingRun]:
    """Return the other runs that wait."""
    rows = await transaction.fetch(_SQL["waiting_runs"], tenant_id, list(flow_ids))
    return [WaitingRun(row["id"], row["flow_id"]) for row in rows]


async def archive(transaction: Transaction, tenant_id: UUID, flow_id: UUID) -> bool:
    """Archive a flow; false if there is no such flow."""
    return await transaction.fetch_value(_SQL["archive"], tenant_id, flow_id) is not None


async def archive_others(transaction: Transaction, tenant_id: UUID, version_group_id: str, flow_id: UUID) -> list[UUID]:
    """Archive every other flow of a version group; returns those that were not."""
    rows = await transaction.fetch(_SQL["archive_others"], tenant_id, version_group_id, flow_id)
    return [row["id"] for row in rows]


async def set_project(executor: Executor, tenant_id: UUID, flow_id: UUID, project_id: UUID) -> bool:
    """Move a flow to another project; false if the tenant has not both."""
    return await executor.execute(_SQL["set_project"], tenant_id, flow_id, project_id) > 0
