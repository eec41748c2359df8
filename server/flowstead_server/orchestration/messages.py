"""Notices to the people of a tenant. They are made by cloud hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstead_server.store import messages

if TYPE_CHECKING:
    from uuid import UUID

    from flowstead_server.db import Database
    from flowstead_server.domain.caller import Caller


async def mark_message(database: Database, caller: Caller, message_id: UUID, *, read: bool) -> bool:
    """Mark a message as read or unread; false if there is none."""
    return await messages.set_read(database, caller.tenant_id, message_id, read=read)


async def delete_message(database: Database, caller: Caller, message_id: UUID) -> bool:
    """Delete a message; false if there is none."""
    return await messages.delete(database, caller.tenant_id, message_id)
