"""Projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowstead_server.db import load_statements

if TYPE_CHECKING:
    from uuid import UUID

    from flowstead_server.db.database import Executor

_SQL: Final = load_statements(__package__, "projects.sql")


async def create(executor: Executor, tenant_id: UUID, name: str, description: str | None) -> UUID:
    """Insert a project. Raises UniquenessViolationError and ForeignKeyViolationError (unknown tenant)."""
    project_id: UUID = await executor.fetch_value(_SQL["create"], tenant_id, name, description)
    return project_id


async def set_name(executor: Executor, tenant_id: UUID, project_id: UUID, name: str) -> bool:
    """Rename a project; false if there is none. Raises UniquenessViolationError."""
    return await executor.execute(_SQL["set_name"], tenant_id, project_id, name) > 0


async def set_description(executor: Executor, tenant_id: UUID, project_id: UUID, description: str | None) -> bool:
    """Describe a project anew; false if there is none."""
    return await executor.execute(_SQL["set_description"], tenant_id, project_id, description) > 0
