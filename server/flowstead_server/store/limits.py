"""Whether runs that wait for a slot of a concurrency limit may find one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowstead_server.db import load_statements

if TYPE_CHECKING:
    from uuid import UUID

    from flowstead_server.db.database import Executor

_SQL: Final = load_statements(__package__, "limits.sql")


async def flow_run_slot_expected(executor: Executor, tenant_id: UUID, flow_run_id: UUID) -> bool | None:
    """Say whether a flow run may find its slots free, or waits no more; null if there is no such run."""
    expected: bool | None = await executor.fetch_value(_SQL["flow_run_slot_expected"], tenant_id, flow_run_id)
    return expected


async def task_run_slot_expected(executor: Executor, tenant_id: UUID, task_run_id: UUID) -> bool | None:
    """Say whether a task run may find its slots free, or waits no more; null if there is no such run."""
    expected: bool | None = await executor.fetch_value(_SQL["task_run_slot_expected"], tenant_id, task_run_id)
    return expected
