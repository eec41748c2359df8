"""Flow groups: what all versions of a flow share. JSON goes in as text; null is SQL's null."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowstead_server.db import load_statements

if TYPE_CHECKING:
    from uuid import UUID

    from flowstead_server.db.database import Executor

_SQL: Final = load_statements(__package__, "flow_groups.sql")


async def merge_settings_of_flow(
    executor: Executor, tenant_id: UUID, flow_id: UUID, settings: str, mirrored: str
) -> bool:
    """Merge into the settings of a flow's group, and `mirrored` into those of its versions; false: no such flow."""
    found = await executor.fetch_value(_SQL["merge_settings_of_flow"], tenant_id, flow_id, settings, mirrored)
    return found is not None


async def set_default_parameters(executor: Executor, tenant_id: UUID, flow_group_id: UUID, parameters: str) -> bool:
    """Replace the default parameters; false if there is no such group."""
    return await executor.execute(_SQL["set_default_parameters"], tenant_id, flow_group_id, parameters) > 0


async def set_labels(executor: Executor, tenant_id: UUID, flow_group_id: UUID, labels: str | None) -> bool:
    """Replace the labels; false if there is no such group."""
    return await executor.execute(_SQL["set_labels"], tenant_id, flow_group_id, labels) > 0


async def set_description(executor: Executor, tenant_id: UUID, flow_group_id: UUID, description: str | None) -> bool:
    """Replace the description; false if there is no such group."""
    return await executor.execute(_SQL["set_description"], tenant_id, flow_group_id, description) > 0


async def set_run_config(executor: Executor, tenant_id: UUID, flow_group_id: UUID, run_config: str | None) -> bool:
    """Replace the run config; false if there is no such group."""
    return await executor.execute(_SQL["set_run_config"], tenant_id, flow_group_id, run_config) > 0


async def set_schedule(executor: Executor, tenant_id: UUID, flow_group_id: UUID, schedule: str | None) -> bool:
    """Replace the schedule; false if there is no such group."""
    return await executor.execute(_SQL["set_schedule"], tenant_id, flow_group_id, schedule) > 0


async def delete_auto_scheduled_runs(executor: Executor, tenant_id: UUID, flow_group_id: UUID) -> int:
    """Delete the runs that a schedule made for flows of the group and that still wait; returns how many."""
    return await executor.execute(_SQL["delete_auto_scheduled_runs"], tenant_id, flow_group_id)


async def set_concurrency_limit(executor: Executor, tenant_id: UUID, flow_group_id: UUID, limit: int | None) -> bool:
    """Replace the concurrency limit (null: none); false if there is no such group."""
    return await executor.execute(_SQL["set_concurrency_limit"], tenant_id, flow_group_id, limit) > 0


async def move_to_own_lanes(executor: Executor, tenant_id: UUID, flow_group_id: UUID, most: int) -> int:
    """Move up to `most` waiting runs of a group with a limit to lanes of their own; returns how many were moved."""
    return await executor.execute(_SQL["move_to_own_lanes"], tenant_id, flow_group_id, most)
