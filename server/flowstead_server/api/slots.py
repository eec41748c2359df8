"""Waiting for a slot of a concurrency limit, on behalf of a process that was answered `QUEUED`.

The request is answered when a slot may be free, when the run waits no more, or when its time is up. Whoever waits is
woken by hints; one that is lost costs the rest of that time at most.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from flowstead_server.domain.errors import BadInputError, NotFoundError
from flowstead_server.domain.hints import TAG_SLOTS
from flowstead_server.orchestration.limits import slot_expected

if TYPE_CHECKING:
    from uuid import UUID

    from flowstead_server.api.context import RequestContext

MOST_SECONDS: Final = 10


async def wait_for_slot(
    context: RequestContext, flow_run_id: UUID | None, task_run_id: UUID | None, seconds: int
) -> bool:
    """Return true when a run should ask for its slot again, false after `seconds` (0 to 10).

    Raises:
        BadInputError: not one run is named, or the time is out of bounds.
        NotFoundError: there is no such run.
    """
    if (flow_run_id is None) == (task_run_id is None):
        raise BadInputError("Name either a flow run or a task run that waits for a slot.")
    if not 0 <= seconds <= MOST_SECONDS:
        raise BadInputError(f"A slot is waited for 0 to {MOST_SECONDS} seconds, not {seconds}.")
    until = time.monotonic() + seconds
    with context.hub.follow_queue(context.caller.tenant_id) as follower:
        while True:
            expected = await slot_expected(context.database, context.caller, flow_run_id, task_run_id)
            if expected is None:
                raise NotFoundError(f"There is no run {flow_run_id or task_run_id}.")
            if expected:
                return True
            while True:
                if context.hub.is_released or not await follower.wait(max(until - time.monotonic(), 0)):
                    return False
                hinted = follower.take()
                if hinted is None or (task_run_id is not None and TAG_SLOTS in hinted):
                    break
