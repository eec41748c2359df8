"""What task runs publish. Data goes in as JSON text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowstead_server.db import load_statements

if TYPE_CHECKING:
    from uuid import UUID

    from flowstead_server.db.database import Executor

_SQL: Final = load_statements(__package__, "artifacts.sql")


async def create(
    executor: Executor,
    tenant_id: UUID,
    task_run_id: UUID,
    kind: str,
    data: str,
    claim_token: UUID | None,
    artifact_id: UUID | None,
) -> UUID | None:
    """Insert an artifact, with this id if one is given.

    Null if there is no such task run, or its flow run is not of this claim, or the id is taken.
    """
    created: UUID | None = await executor.fetch_value(
        _SQL["create"], tenant_id, task_run_id, kind, data, claim_token, artifact_id
    )
    return created


async def is_of_task_run(executor: Executor, tenant_id: UUID, task_run_id: UUID, artifact_id: UUID) -> bool:
    """Whether the task run has this artifact."""
    found: bool = await executor.fetch_value(_SQL["is_of_task_run"], tenant_id, task_run_id, artifact_id)
    return found


async def update(executor: Executor, tenant_id: UUID, artifact_id: UUID, data: str, claim_token: UUID | None) -> bool:
    """Replace an artifact's data; false if there is none, or its flow run is not of this claim."""
    return await executor.execute(_SQL["update"], tenant_id, artifact_id, data, claim_token) > 0


async def delete(executor: Executor, tenant_id: UUID, artifact_id: UUID, claim_token: UUID | None) -> bool:
    """Delete an artifact; false if there is none, or its flow run is not of this claim."""
    return await executor.execute(_SQL["delete"], tenant_id, artifact_id, claim_token) > 0


async def flow_run_of(executor: Executor, tenant_id: UUID, artifact_id: UUID) -> UUID | None:
    """Return the id of an artifact's flow run."""
    flow_run_id: UUID | None = await executor.fetch_value(_SQL["flow_run_of"], tenant_id, artifact_id)
    return flow_run_id
