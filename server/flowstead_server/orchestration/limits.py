"""Concurrency limits: of task runs by the tags of their tasks, of flow runs by their labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowstead_server.domain.errors import BadInputError
from flowstead_server.store import cloud

if TYPE_CHECKING:
    from uuid import UUID

    from flowstead_server.db import Database
    from flowstead_server.domain.caller import Caller

_MAX_NAME_BYTES: Final = 1000


async def update_task_tag_limit(database: Database, caller: Caller, tag: str, limit: int) -> UUID:
    """Set how many task runs with a tag may run at once; returns the limit's id. Raises BadInputError."""
    _check(tag, limit)
    return await cloud.set_task_tag_limit(database, caller.tenant_id, tag, limit)


async def delete_task_tag_limit(database: Database, caller: Caller, limit_id: UUID) -> bool:
    """Remove a limit; false if there is none."""
    return await cloud.delete_task_tag_limit(database, caller.tenant_id, limit_id)


async def update_flow_concurrency_limit(database: Database, caller: Caller, label: str, limit: int) -> UUID:
    """Set how many flow runs with a label may run at once; returns the limit's id. Raises BadInputError."""
    _check(label, limit)
    return await cloud.set_flow_concurrency_limit(database, caller.tenant_id, label, limit)


async def delete_flow_concurrency_limit(database: Database, caller: Caller, limit_id: UUID) -> bool:
    """Remove a limit; false if there is none."""
    return await cloud.delete_flow_concurrency_limit(database, caller.tenant_id, limit_id)


def _check(name: str, limit: int) -> None:
    size = len(name.encode())
    if not 0 < size <= _MAX_NAME_BYTES:
        raise BadInputError(f"A limited tag or label must have 1 to {_MAX_NAME_BYTES} bytes, but this one has {size}.")
    if limit < 0:
        raise BadInputError(f"A limit must be 0 or more, but this one is {limit}.")
