"""Projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from flowstead_server.db import json_text, load_statements
from flowstead_server.domain.retention import Rule

if TYPE_CHECKING:
    from collections.abc import Sequence
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


async def set_retention(executor: Executor, tenant_id: UUID, project_id: UUID, rules: Sequence[Rule]) -> bool:
    """Store a project's rules of retention in place of those it had; false if there is no such project."""
    text = json_text([rule.as_json() for rule in rules])
    return await executor.execute(_SQL["set_retention"], tenant_id, project_id, text) > 0


async def retention(executor: Executor, tenant_id: UUID, project_id: UUID) -> list[Rule] | None:
    """Return a project's rules of retention; null if there is no such project."""
    text = await executor.fetch_value(_SQL["retention"], tenant_id, project_id)
    return None if text is None else [Rule(**rule) for rule in orjson.loads(text)]
