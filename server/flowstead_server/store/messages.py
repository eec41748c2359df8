"""Notices to the people of a tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowstead_server.db import load_statements

if TYPE_CHECKING:
    from uuid import UUID

    from flowstead_server.db.database import Executor

_SQL: Final = load_statements(__package__, "messages.sql")


async def create(executor: Executor, tenant_id: UUID, kind: str, text: str, content: str) -> UUID:
    """Insert a message (content: JSON text)."""
    message_id: UUID = await executor.fetch_value(_SQL["create"], tenant_id, kind, text, content)
    return message_id


async def set_read(executor: Executor, tenant_id: UUID, message_id: UUID, *, read: bool) -> bool:
    """Mark a message; false if there is none."""
    return await executor.execute(_SQL["set_read"], tenant_id, message_id, read) > 0


async def delete(executor: Executor, tenant_id: UUID, message_id: UUID) -> bool:
    """Delete a message; false if there is none."""
    return await executor.execute(_SQL["delete"], tenant_id, message_id) > 0
