"""Follow a flow run as it happens: pages of state changes and log lines, in order, none lost and none twice.

A broken connection is taken up again from the last cursor, with growing pauses; `Reconnecting` tells the reader once
per interruption.  Where websockets are refused, or never come about although the API answers, the run is polled
instead, with the same cursor.  The stream ends when the run is finished
and everything was delivered.  Raises `ObjectNotFoundError` for an unknown run, and what the last attempt raised when
the API stays away for longer than `patience` seconds.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace

from prefect._generated import operations as ops
from prefect._generated.types import EventPage, RunEvent
from prefect.client import bridge
from prefect.client.errors import ApiUnreachable, SubscriptionLost, SubscriptionsUnavailable
from prefect.client.request import UNSET
from prefect.client.retries import RetryPolicy, TransientError
from prefect.client.session import AsyncSession, Session
from prefect.exceptions import ClientError, ObjectNotFoundError

__all__ = ["FINISHED_STATES", "Reconnecting", "flow_run_events", "flow_run_pages", "follow_flow_run"]

FINISHED_STATES = frozenset(
    {
        "Cached",
        "Cancelled",
        "Failed",
        "Finished",
        "Looped",
        "Mapped",
        "Skipped",
        "Success",
        "TimedOut",
        "TriggerFailed",
        "ValidationFailed",
    }
)
PATIENCE = 600.0
_POLL_FIRST = 0.5
_POLL_GROWTH = 1.3
_POLL_LONGEST = 5.0
# So many vain attempts after a connection that did work; without one, the second is the last.
_TRIES_AGAIN = 6
# With so many events in a page there are likely to be more at once.
_POLL_FULL = 100


@dataclass(frozen=True, slots=True)
class Reconnecting:
    """The stream was interrupted for this `reason` and will go on; nothing has been lost."""

    reason: ClientError

    def __str__(self) -> str:
        return str(self.reason)


async def flow_run_pages(
    session: AsyncSession, flow_run_id: str, after: str | None = None, *, patience: float = PATIENCE
) -> AsyncGenerator[EventPage | Reconnecting, None]:
    """Yield pages of events after a cursor (all by default), and a notice for each interruption."""
    policy = RetryPolicy(retry_for=patience, longest=5.0)
    cursor = after
    connected = False
    interrupted_at: float | None = None
    attempt = 0
    while True:
        try:
            request = ops.flow_run_events(flow_run_id=flow_run_id, after=UNSET if cursor is None else cursor)
            async with aclosing(session.subscribe(request)) as pages:
                async for page in pages:
                    connected, interrupted_at, attempt = True, None, 0
                    cursor = page.cursor
                    yield page
                    if page.finished:
                        return
            reason: ClientError = SubscriptionLost("the API ended the stream before the run was finished")
        except SubscriptionsUnavailable as error:
            if not connected:
                break
            reason = error
        except (SubscriptionLost, ApiUnreachable) as error:
            reason = error
        if attempt >= (_TRIES_AGAIN if connected else 1) and await _answers(session):
            break
        now = time.monotonic()
        if interrupted_at is None:
            interrupted_at = now
            yield Reconnecting(reason)
        pause = policy.pause(TransientError(reason), attempt, now - interrupted_at, random.random())  # noqa: S311 - jitter
        if pause is None:
            raise reason
        attempt += 1
        await asyncio.sleep(pause)
    async with aclosing(_polled(session, flow_run_id, cursor, patience)) as polled:
        async for item in polled:
            yield item


async def _answers(session: AsyncSession) -> bool:
    """Whether the API answers over HTTP now."""
    try:
        await session.execute(ops.hello(), retry_for=0)
    except ClientError:
        return False
    return True


async def flow_run_events(
    session: AsyncSession, flow_run_id: str, after: str | None = None, *, patience: float = PATIENCE
) -> AsyncGenerator[RunEvent | Reconnecting, None]:
    """Yield single events; as `flow_run_pages` otherwise."""
    async with aclosing(flow_run_pages(session, flow_run_id, after, patience=patience)) as pages:
        async for page in pages:
            if isinstance(page, Reconnecting):
                yield page
            else:
                for event in page.events:
                    yield event


def follow_flow_run(
    session: Session, flow_run_id: str, after: str | None = None, *, patience: float = PATIENCE
) -> Iterator[EventPage | Reconnecting]:
    """Yield what `flow_run_pages` yields, for synchronous callers."""
    return bridge.iterate(_owned_pages(session, flow_run_id, after, patience))


async def _owned_pages(
    session: Session, flow_run_id: str, after: str | None, patience: float
) -> AsyncGenerator[EventPage | Reconnecting, None]:
    async with (
        session.asynchronous() as own,
        aclosing(flow_run_pages(own, flow_run_id, after, patience=patience)) as pages,
    ):
        async for page in pages:
            yield page


async def _polled(
    session: AsyncSession, flow_run_id: str, cursor: str | None, patience: float
) -> AsyncGenerator[EventPage | Reconnecting, None]:
    """Yield what the subscription would, by asking for page after page; the pauses grow while nothing happens."""
    pause = _POLL_FIRST
    quiet = False
    while True:
        request = ops.flow_run_event_page(flow_run_id=flow_run_id, after=UNSET if cursor is None else cursor)
        try:
            page = await session.execute(request, retry_for=0)
        except ObjectNotFoundError:
            raise
        except ClientError as error:
            yield Reconnecting(error)
            page = await session.execute(request, retry_for=patience)
        cursor = page.cursor
        over = page.finished and quiet and not page.events
        if page.events or over:
            yield replace(page, finished=over)
        if over:
            return
        # A process sends its last lines just after its last state.
        quiet = page.finished
        if page.events or quiet:
            pause = _POLL_FIRST
        await asyncio.sleep(0 if len(page.events) >= _POLL_FULL else pause)
        pause = min(pause * _POLL_GROWTH, _POLL_LONGEST)
