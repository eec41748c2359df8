"""Follow a flow run as it happens: pages of state changes and log lines, in order, none lost and none twice.

A broken connection is taken up again from the last cursor, with growing pauses; `Reconnecting` tells the reader once
per interruption.  Where websockets are refused, the run is polled instead.  The stream ends when the run is finished
and everything was delivered.  Raises `ObjectNotFoundError` for an unknown run, and what the last attempt raised when
the API stays away for longer than `patience` seconds.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta

from prefect._generated import operations as ops
from prefect._generated.types import EventPage, FlowRunEventKind, FlowRunHappenings, RunEvent
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
_POLL_PAGE = 500
# Rows become visible when their transaction ends, which may be after younger ones: look back this far again.
_LOOK_BACK = timedelta(seconds=10)


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
        now = time.monotonic()
        if interrupted_at is None:
            interrupted_at = now
            yield Reconnecting(reason)
        pause = policy.pause(TransientError(reason), attempt, now - interrupted_at, random.random())  # noqa: S311 - jitter
        if pause is None:
            raise reason
        attempt += 1
        await asyncio.sleep(pause)
    async with aclosing(_polled(session, flow_run_id)) as polled:
        async for page in polled:
            yield page


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


class _Seen:
    """Which rows were delivered, remembered for as long as they may be read again."""

    def __init__(self) -> None:
        self._ids: dict[str, datetime] = {}
        self._latest: datetime | None = None

    @property
    def since(self) -> datetime | None:
        """From when on to read."""
        return None if self._latest is None else self._latest - _LOOK_BACK

    def is_new(self, row_id: str, created: datetime) -> bool:
        if row_id in self._ids:
            return False
        self._ids[row_id] = created
        if self._latest is None or created > self._latest:
            self._latest = created
        return True

    def forget_old(self) -> None:
        since = self.since
        if since is not None:
            self._ids = {row_id: created for row_id, created in self._ids.items() if created >= since}


async def _polled(session: AsyncSession, flow_run_id: str) -> AsyncGenerator[EventPage, None]:
    seen = _Seen()
    pause = _POLL_FIRST
    while True:
        events, state = await _news(session, flow_run_id, seen)
        seen.forget_old()
        finished = state in FINISHED_STATES and not events
        if events or finished:
            yield EventPage(cursor="", finished=finished, events=events)
        if finished:
            return
        if events:
            pause = _POLL_FIRST
        await asyncio.sleep(0 if state in FINISHED_STATES else pause)
        pause = min(pause * _POLL_GROWTH, _POLL_LONGEST)


async def _news(session: AsyncSession, flow_run_id: str, seen: _Seen) -> tuple[tuple[RunEvent, ...], str | None]:
    """Return the events that were not delivered yet, and the state of the run before they were read."""
    since = seen.since
    found: list[tuple[datetime, int, RunEvent]] = []
    offset = 0
    state: str | None = None
    while True:
        answer = await session.execute(
            ops.flow_run_happenings(
                flow_run_id=flow_run_id, since=UNSET if since is None else since, limit=_POLL_PAGE, offset=offset
            )
        )
        run = answer.flow_run_by_pk
        if run is None:
            raise ObjectNotFoundError(f"There is no flow run with the id {flow_run_id!r}.")
        if offset == 0:
            state = run.state
        found.extend(_events(answer, seen))
        if max(len(run.states), len(run.logs), len(answer.task_run_state)) < _POLL_PAGE:
            break
        offset += _POLL_PAGE
    found.sort(key=lambda item: item[:2])
    return tuple(event for _, _, event in found), state


def _events(answer: FlowRunHappenings, seen: _Seen) -> Iterator[tuple[datetime, int, RunEvent]]:
    run = answer.flow_run_by_pk
    assert run is not None
    for state in run.states:
        if seen.is_new(state.id, state.created):
            event = _event(
                FlowRunEventKind.FLOW_RUN_STATE,
                state.timestamp,
                state=state.state,
                version=state.version,
                start_time=state.start_time,
                message=state.message,
            )
            yield state.created, 0, event
    for change in answer.task_run_state:
        if seen.is_new(change.id, change.created):
            event = _event(
                FlowRunEventKind.TASK_RUN_STATE,
                change.timestamp,
                task_run_id=change.task_run.id,
                task_name=change.task_run.task.name,
                map_index=change.task_run.map_index,
                state=change.state,
                version=change.version,
                start_time=change.start_time,
                message=change.message,
            )
            yield change.created, 1, event
    for log in run.logs:
        if seen.is_new(log.id, log.created):
            event = _event(
                FlowRunEventKind.LOG,
                log.timestamp,
                task_run_id=log.task_run_id,
                level=log.level,
                logger=log.name,
                message=log.message,
            )
            yield log.created, 2, event


def _event(
    kind: FlowRunEventKind,
    timestamp: datetime,
    *,
    task_run_id: str | None = None,
    task_name: str | None = None,
    map_index: int | None = None,
    state: str | None = None,
    version: int | None = None,
    start_time: datetime | None = None,
    level: str | None = None,
    logger: str | None = None,
    message: str | None = None,
) -> RunEvent:
    return RunEvent(
        cursor="",
        kind=kind,
        timestamp=timestamp,
        task_run_id=task_run_id,
        task_name=task_name,
        map_index=map_index,
        state=state,
        version=version,
        start_time=start_time,
        level=level,
        logger=logger,
        message=message,
    )
