"""Concurrency limits: of task runs by the tags of their tasks, of flow runs by their labels and by their flow.

Who holds a slot is read from the runs themselves, so a limit can be set, changed and removed at any time: what runs
goes on, and nothing more starts until it fits. Whatever waits is told when there may be room.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from flowstead_server.domain.errors import BadInputError
from flowstead_server.store import cloud, flow_groups
from flowstead_server.store import limits as store

if TYPE_CHECKING:
    from uuid import UUID

    from flowstead_server.db import Database
    from flowstead_server.domain.caller import Caller

_MAX_NAME_BYTES: Final = 1000
_MOVED_AT_ONCE: Final = 5000
# Nobody waits longer for the answer; claims move what is left.
_MOVING_SECONDS: Final = 5.0


async def update_task_tag_limit(database: Database, caller: Caller, tag: str, limit: int) -> UUID:
    """Set how many task runs with a tag may run at once; returns the limit's id. Raises BadInputError."""
    _check(tag, limit)
    limit_id = await cloud.set_task_tag_limit(database, caller.tenant_id, tag, limit)
    database.hints.slots_freed(caller.tenant_id)
    return limit_id


async def delete_task_tag_limit(database: Database, caller: Caller, limit_id: UUID) -> bool:
    """Remove a limit; false if there is none."""
    deleted = await cloud.delete_task_tag_limit(database, caller.tenant_id, limit_id)
    database.hints.slots_freed(caller.tenant_id)
    return deleted


async def update_flow_concurrency_limit(database: Database, caller: Caller, label: str, limit: int) -> UUID:
    """Set how many flow runs with a label may run at once; returns the limit's id. Raises BadInputError."""
    _check(label, limit)
    limit_id = await cloud.set_flow_concurrency_limit(database, caller.tenant_id, label, limit)
    database.hints.slots_freed(caller.tenant_id)
    return limit_id


async def delete_flow_concurrency_limit(database: Database, caller: Caller, limit_id: UUID) -> bool:
    """Remove a limit; false if there is none."""
    deleted = await cloud.delete_flow_concurrency_limit(database, caller.tenant_id, limit_id)
    database.hints.slots_freed(caller.tenant_id)
    return deleted


async def set_flow_group_concurrency_limit(
    database: Database, caller: Caller, flow_group_id: UUID, limit: int | None
) -> bool:
    """Set how many runs of a flow, all versions together, may run at once (null: as many as there are).

    False if there is no such flow group. Raises BadInputError.
    """
    if limit is not None:
        _check_limit(limit)
    found = await flow_groups.set_concurrency_limit(database, caller.tenant_id, flow_group_id, limit)
    if found and limit is not None:
        await _move_to_own_lanes(database, caller, flow_group_id)
    database.hints.slots_freed(caller.tenant_id)
    return found


async def _move_to_own_lanes(database: Database, caller: Caller, flow_group_id: UUID) -> None:
    end = time.monotonic() + _MOVING_SECONDS
    moved = _MOVED_AT_ONCE
    while moved == _MOVED_AT_ONCE and time.monotonic() < end:
        moved = await flow_groups.move_to_own_lanes(database, caller.tenant_id, flow_group_id, _MOVED_AT_ONCE)


async def slot_expected(
    database: Database, caller: Caller, flow_run_id: UUID | None, task_run_id: UUID | None
) -> bool | None:
    """Say whether a run that waits for a slot (one of the two) should ask for it now; null if there is no such run."""
    if flow_run_id is not None:
        return await store.flow_run_slot_expected(database, caller.tenant_id, flow_run_id)
    assert task_run_id is not None
    return await store.task_run_slot_expected(database, caller.tenant_id, task_run_id)


def _check(name: str, limit: int) -> None:
    size = len(name.encode())
    if not 0 < size <= _MAX_NAME_BYTES:
        raise BadInputError(f"A limited tag or label must have 1 to {_MAX_NAME_BYTES} bytes, but this one has {size}.")
    _check_limit(limit)


def _check_limit(limit: int) -> None:
    if limit < 0:
        raise BadInputError(f"A limit must be 0 or more, but this one is {limit}.")
