"""What subscriptions yield: read from the tables, again whenever something may have changed.

A hint wakes a stream; without hints it looks every few seconds. While the database is away a stream that has begun
waits and goes on from its cursor, so its follower misses nothing; one that cannot begin ends with the error.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from flowstead_server.domain.errors import BadInputError, FlowsteadError
from flowstead_server.orchestration.events import EventPage, read_events
from flowstead_server.orchestration.queue import RunsReady, runs_ready

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
    from uuid import UUID

    from flowstead_server.api.context import RequestContext

logger = logging.getLogger(__name__)

POLL_SECONDS = 5.0
_PAGE = 200
_QUIET_SECONDS = 0.5
_LONG_OVER = timedelta(seconds=10)
_RETRY_SECONDS = 1.0
_GAP_SECONDS = 0.02
_MAX_CURSOR = 2**63 - 1
_MAX_UNRELATED = 10_000

Result = TypeVar("Result")


def read_cursor(text: str | None) -> int:
    """Return the position that a cursor stands for; none means the beginning.

    Raises:
        BadInputError: it is no cursor of ours.
    """
    if not text:
        return 0
    if text.isascii() and text.isdigit() and int(text) <= _MAX_CURSOR:
        return int(text)
    raise BadInputError(f"This is not a cursor of flow_run_events: {text[:80]}")


async def follow_flow_run(context: RequestContext, flow_run_id: UUID, after: int) -> AsyncGenerator[EventPage, None]:
    """Yield pages of events after a position, until the run has ended and everything has been sent.

    A process sends its last log lines just after its last state. So the end is announced only when nothing has come for
    a moment, unless the last thing happened a while ago.

    Raises:
        NotFoundError: there is no such run.
        ApiUnavailableError: the database is away and the stream has not begun.
    """

    async def read() -> EventPage:
        return await read_events(context.database, context.caller, flow_run_id, after, _PAGE)

    with context.hub.follow_run(flow_run_id) as follower:
        page = await read()
        quiet = False
        while True:
            after = page.cursor
            over = page.finished and (_is_long_over(page) or (quiet and not page.events))
            if page.events or over:
                yield EventPage(page.cursor, page.events, over)
            if over:
                return
            if page.finished:
                quiet = not await follower.wait(_QUIET_SECONDS)
            elif not page.more:
                await follower.wait(POLL_SECONDS)
            page = await persistently(read)


def _is_long_over(page: EventPage) -> bool:
    return bool(page.events) and page.events[-1].timestamp < datetime.now(UTC) - _LONG_OVER


async def follow_queue(context: RequestContext, labels: Sequence[str]) -> AsyncGenerator[RunsReady, None]:
    """Yield what waits for an agent: at once, after each hint about runs that it may take, and when one becomes due.

    Also what it is to stop, whenever there is more of that.

    Raises:
        BadInputError: a label cannot be one.
        ApiUnavailableError: the database is away and the stream has not begun.
    """

    async def read() -> RunsReady:
        return await runs_ready(context.database, context.caller, labels)

    with context.hub.follow_queue(context.caller.tenant_id) as follower:
        ready = await read()
        yield ready
        unrelated: set[int] = set()
        look_at = time.monotonic() + _seconds_until(ready.next_start_time)
        while True:
            await follower.wait(max(look_at - time.monotonic(), 0))
            hinted = follower.take()
            if hinted and hinted <= unrelated and time.monotonic() < look_at:
                continue
            before, ready = ready, await persistently(read)
            look_at = time.monotonic() + _seconds_until(ready.next_start_time)
            matching = set(ready.label_set_ids)
            if hinted:
                unrelated |= hinted - matching
                if len(unrelated) > _MAX_UNRELATED:
                    unrelated.clear()
            concerned = hinted is None or bool(hinted & matching)
            if (concerned and ready.waiting) or _tells_more(before, ready):
                yield ready
            # A burst of hints is answered by a few readings, not by one each.
            await asyncio.sleep(_GAP_SECONDS)


def _tells_more(before: RunsReady, now: RunsReady) -> bool:
    return (
        now.waiting > before.waiting
        or now.next_start_time != before.next_start_time
        or not set(now.cancelling) <= set(before.cancelling)
    )


def _seconds_until(moment: datetime | None) -> float:
    """Return how long to wait without a hint: to a moment, but no longer than a poll apart."""
    if moment is None:
        return POLL_SECONDS
    return min(max((moment - datetime.now(UTC)).total_seconds(), _GAP_SECONDS), POLL_SECONDS)


async def persistently(read: Callable[[], Awaitable[Result]]) -> Result:
    """Read, again and again while the database is away. Raises what `read` raises for other reasons."""
    while True:
        try:
            return await read()
        except FlowsteadError as error:
            if not error.retryable:
                raise
            logger.info("A subscription waits for the database (%s)", error)
            await asyncio.sleep(_RETRY_SECONDS)
