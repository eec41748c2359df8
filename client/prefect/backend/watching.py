"""Watching a flow run from Python: states and log lines as they happen, until the run is finished.

The lines come from the API's live stream (`prefect.client.live`), which survives broken connections.  Raises
`RuntimeError` after `max_duration`, `ValueError` for an unknown run, and `ClientError` if the API stays away.
"""

import asyncio
import logging
import sys
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from prefect._generated import operations as ops
from prefect._generated.types import EventPage, FlowRunEventKind, RunEvent
from prefect.backend.agents import agent_hint
from prefect.backend.lines import FlowRunLog, level_number
from prefect.client import Client, bridge
from prefect.client.live import FINISHED_STATES, Reconnecting, flow_run_pages
from prefect.exceptions import ClientError, ObjectNotFoundError
from prefect.utilities.datetimes import as_datetime, utcnow

if TYPE_CHECKING:
    from prefect.client.session import AsyncSession

__all__ = ["stream_flow_run_logs", "watch_flow_run"]

_FIRST_HINT = 15.0
_HINT_INTERVAL = 30.0
_TAKEN = FINISHED_STATES | {"Submitted", "Running", "Cancelling"}


def watch_flow_run(
    flow_run_id: str,
    stream_states: bool = True,
    stream_logs: bool = True,
    max_duration: timedelta = timedelta(hours=12),
) -> Iterator[FlowRunLog]:
    """Yield the log lines and states of a flow run until it is finished; see the module for what it raises."""
    from prefect.backend.flow_run import FlowRunView  # noqa: PLC0415 - it offers this function

    view = FlowRunView.from_flow_run_id(flow_run_id)
    if view.state.is_finished():
        if stream_states:
            ended = view.states[-1].timestamp if view.states else view.updated_at  # type: ignore[attr-defined]  # as in 1.x
            yield FlowRunLog(utcnow(), logging.INFO, f"Your flow run finished {as_datetime(ended).diff_for_humans()}")
        return
    watcher = _Watcher(flow_run_id, sorted(view.labels), states=stream_states, logs=stream_logs)
    yield from bridge.iterate(watcher.lines(Client(), max_duration))


def stream_flow_run_logs(flow_run_id: str, max_duration: timedelta = timedelta(hours=12)) -> None:
    """Print the log lines and states of a flow run until it is finished."""
    for line in watch_flow_run(flow_run_id, max_duration=max_duration):
        moment = line.timestamp.astimezone()
        sys.stdout.write(f"{moment:%H:%M:%S} | {logging.getLevelName(line.level):<7} | {line.message}\n")
        sys.stdout.flush()


class _Watcher:
    def __init__(self, flow_run_id: str, labels: list[str], *, states: bool, logs: bool) -> None:
        self._flow_run_id = flow_run_id
        self._labels = labels
        self._states = states
        self._logs = logs
        self._state = "Scheduled"
        self._started = time.monotonic()
        self._next_hint = self._started + _FIRST_HINT

    async def lines(self, client: Client, max_duration: timedelta) -> AsyncGenerator[FlowRunLog, None]:
        deadline = self._started + max_duration.total_seconds()
        async with (
            client.session.asynchronous() as session,
            aclosing(flow_run_pages(session, self._flow_run_id)) as pages,
        ):
            reading = asyncio.ensure_future(_next_page(pages))
            try:
                while True:
                    await asyncio.wait({reading}, timeout=max(0.0, min(deadline, self._next_hint) - time.monotonic()))
                    if reading.done():
                        page = reading.result()
                        if page is None:
                            return
                        for line in self._shown(page):
                            yield line
                        reading = asyncio.ensure_future(_next_page(pages))
                    elif time.monotonic() >= deadline:
                        hours = max_duration.total_seconds() / 3600
                        raise RuntimeError(
                            f"`watch_flow_run` timed out after {hours:.1f} hours of waiting for completion. Your flow "
                            f"run is still in state: <{self._state}>"
                        )
                    else:
                        for line in await self._hint(session):
                            yield line
            finally:
                reading.cancel()
                with suppress(asyncio.CancelledError, ClientError):
                    await reading

    def _shown(self, page: EventPage | Reconnecting) -> Iterator[FlowRunLog]:
        if isinstance(page, Reconnecting):
            yield FlowRunLog(utcnow(), logging.WARNING, f"Lost the connection to the API ({page}); reconnecting.")
            return
        for event in page.events:
            line = self._line(event)
            if line is not None:
                yield line

    def _line(self, event: RunEvent) -> FlowRunLog | None:
        moment = as_datetime(event.timestamp)
        if event.kind is FlowRunEventKind.FLOW_RUN_STATE:
            self._state = event.state or self._state
            if self._states:
                return FlowRunLog(moment, logging.INFO, f"Entered state <{event.state}>: {event.message or ''}")
        elif event.kind is FlowRunEventKind.LOG and self._logs:
            return FlowRunLog(moment, level_number(event.level), event.message or "")
        return None

    async def _hint(self, session: "AsyncSession") -> list[FlowRunLog]:
        self._next_hint = time.monotonic() + _HINT_INTERVAL
        if self._state in _TAKEN or not self._states:
            return []
        try:
            agents = await session.execute(ops.agents(), retry_for=0)
        except ClientError:
            return []  # the stream itself says when the API is away
        seconds = round(time.monotonic() - self._started)
        text = f"It has been {seconds} seconds and your flow run has not been submitted by an agent. "
        return [FlowRunLog(utcnow(), logging.WARNING, text + agent_hint(self._labels, agents))]


async def _next_page(pages: AsyncGenerator[EventPage | Reconnecting, None]) -> EventPage | Reconnecting | None:
    try:
        return await anext(pages)
    except StopAsyncIteration:
        return None
    except ObjectNotFoundError as error:
        raise ValueError(str(error)) from error
