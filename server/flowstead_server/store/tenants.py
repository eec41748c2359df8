"""Tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowstead_server.db import load_statements

if TYPE_CHECKING:
    from uuid import UUID

    from flowstead_server.db.database import Executor

_SQL: Final = load_statements(__package__, "tenants.sql")


async def ensure_default(executor: Executor) -> None:
    """Make the tenant `default` if there is no tenant at all."""
    await executor.execute(_SQL["ensure_default"])


async def default_id(executor: Executor) -> UUID | None:
    """Return the id of the tenant `default`, or of the oldest one; null if there is none."""
    tenant_id: UUID | None = await executor.fetch_value(_SQL["default_id"])
    return tenant_id


async def create(executor: Executor, name: str, slug: str) -> UUID:
    """Insert a tenant. Raises UniquenessViolationError if the slug is taken."""
    tenant_id: UUID = await executor.fetch_value(_SQL["create"], name, slug)
    return tenant_id


async def set_name(executor: Executor, tenant_id: UUID, name: str) -> bool:
    """Rename a tenant; false if there is none."""
    return await executor.execute(_SQL["set_name"], tenant_id, name) > 0


async def set_slug(executor: Executor, tenant_id: UUID, slug: str) -> bool:
    """Give a tenant another slug; false if there is none. Raises UniquenessViolationError."""
    return await executor.execute(_SQL["set_slug"], tenant_id, slug) > 0


async def merge_settings(executor: Executor, tenant_id: UUID, settings: str) -> bool:
    """Merge the members of a JSON object into a tenant's settings; false if there is no such tenant."""
    return await executor.execute(_SQL["merge_settings"], tenant_id, settings) > 0
