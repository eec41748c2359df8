"""Task runs: their look-up, which makes mapped ones on first sight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowstead_server.domain.errors import BadInputError, ConflictError, FlowsteadError, NotFoundError, StaleWriteError
from flowstead_server.store import task_runs as store
from flowstead_server.store.flow_runs import claim_of
from flowstead_server.store.task_runs import MappedChildren, TaskRunInfo

if TYPE_CHECKING:
    from uuid import UUID

    from flowstead_server.db import Database
    from flowstead_server.domain.caller import Caller

__all__ = [
    "MappedChildren",
    "TaskRunInfo",
    "get_or_create_mapped_task_runs",
    "get_or_create_task_run",
    "get_or_create_task_run_info",
    "get_task_run_info",
    "mapped_children",
]

_ATTEMPTS: Final = 5
_MAX_INT: Final = 2**31 - 1
_MOST_CHILDREN: Final = 5000


async def get_or_create_task_run_info(
    database: Database, caller: Caller, flow_run_id: UUID, task_id: UUID, map_index: int | None
) -> TaskRunInfo:
    """Return the task run of a task (null or -1: not mapped), made in state Pending if there is none.

    Any number of callers at once get the same one. Raises NotFoundError, StaleWriteError (ended claim), BadInputError.
    """
    index = -1 if map_index is None else map_index
    if not -1 <= index <= _MAX_INT:
        raise BadInputError(f"A map index must be -1 or more, but this one is {index}.")
    for _ in range(_ATTEMPTS):
        info, is_new = await store.get_or_create(
            database, caller.tenant_id, flow_run_id, task_id, index, caller.claim_token
        )
        if info is not None:
            if is_new:
                database.hints.runs_changed([flow_run_id])
            return info
        await _explain(database, caller, flow_run_id, task_id)
    raise ConflictError("The task run is being made or deleted elsewhere; please try again.")


async def get_or_create_mapped_task_runs(
    database: Database, caller: Caller, flow_run_id: UUID, task_id: UUID, first: int, count: int
) -> list[TaskRunInfo]:
    """As get_or_create_task_run_info for the `count` mapped children from the index `first` on, in their order."""
    if not 0 <= count <= _MOST_CHILDREN:
        raise BadInputError(f"At most {_MOST_CHILDREN} mapped children can be had at a time, but these are {count}.")
    if not 0 <= first <= _MAX_INT - count:
        raise BadInputError(f"The index of a mapped child must be 0 or more, but the first one here is {first}.")
    for _ in range(_ATTEMPTS if count else 0):
        infos, is_new = await store.get_or_create_children(
            database, caller.tenant_id, flow_run_id, task_id, range(first, first + count), caller.claim_token
        )
        if is_new:
            database.hints.runs_changed([flow_run_id])
        if len(infos) == count:
            return infos
        await _explain(database, caller, flow_run_id, task_id)
    if not count:
        return []
    raise ConflictError("The task runs are being made or deleted elsewhere; please try again.")


async def _explain(database: Database, caller: Caller, flow_run_id: UUID, task_id: UUID) -> None:
    if not await store.task_exists(database, caller.tenant_id, task_id):
        raise NotFoundError("Invalid task ID")
    exists, token = await claim_of(database, caller.tenant_id, flow_run_id)
    if not exists:
        raise NotFoundError("Invalid flow run ID")
    if caller.claim_token is not None and caller.claim_token != token:
        raise StaleWriteError(f"The claim of this process on the flow run {flow_run_id} has ended.", flow_run_id)


async def get_or_create_task_run(
    database: Database, caller: Caller, flow_run_id: UUID, task_id: UUID, map_index: int | None
) -> UUID:
    """As get_or_create_task_run_info, for the id alone. Raises NotFoundError with one text for all reasons."""
    try:
        return (await get_or_create_task_run_info(database, caller, flow_run_id, task_id, map_index)).id
    except FlowsteadError as error:
        if error.retryable:
            raise
        raise NotFoundError("Invalid ID") from error


async def get_task_run_info(database: Database, caller: Caller, task_run_id: UUID) -> TaskRunInfo:
    """Return a task run's current state. Raises NotFoundError."""
    info = await store.get(database, caller.tenant_id, task_run_id)
    if info is None:
        raise NotFoundError("Invalid task run ID")
    return info


async def mapped_children(database: Database, caller: Caller, task_run_id: UUID) -> MappedChildren:
    """Return figures about the children of a mapped task run; empty ones for any other id."""
    return await store.mapped_children(database, caller.tenant_id, task_run_id)
