"""The one place of a process where hints come in and go out.

Hints of this process wake its own followers at once. For other processes they are collected and sent with `pg_notify`
over one connection of their own, which also listens: at most one statement is in flight, and a burst becomes one
message. When the connection is lost it is made again with back-off, and then everybody, here and elsewhere, is told to
look again, so a lost hint delays a follower but never makes it miss something.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from flowstead_server.pubsub.messages import (
    ANY_QUEUE,
    QUEUE_CHANNEL,
    RUNS_CHANNEL,
    QueueHint,
    decode_queue,
    decode_runs,
    encode_queue,
    encode_runs,
)
from flowstead_server.pubsub.topics import ChangesFollower, QueueFollower, RunFollower, Topics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from contextlib import AbstractContextManager
    from uuid import UUID

logger = logging.getLogger(__name__)

_MAX_PENDING = 2_000
_GAP_SECONDS = 0.02
_FIRST_RETRY_SECONDS = 0.1
_LAST_RETRY_SECONDS = 5.0
_PROBE_SECONDS = 30.0
_ANSWER_SECONDS = 10.0

_NOTIFY = "select pg_notify(hint.channel, hint.payload) from unnest($1::text[], $2::text[]) as hint (channel, payload)"
# A hint is worth nothing after a crash, so its transaction need not wait for the disk.
_SETUP = "set synchronous_commit to off; set application_name to 'flowstead hints'"


class HintConnection(Protocol):
    """What the hub needs of a database connection."""

    async def add_listener(self, channel: str, callback: Callable[..., Any]) -> None:
        """Call back with (connection, pid, channel, payload) for each notification."""

    def add_termination_listener(self, callback: Callable[..., Any]) -> None:
        """Call back when the connection is gone."""

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:  # noqa: ASYNC109 - asyncpg's
        """Run a statement."""

    def get_server_pid(self) -> int:
        """Return the id of the connection's server process."""

    def terminate(self) -> None:
        """Close the connection without waiting."""


class Hub:
    """Receives and sends hints; the `Hints` of the verbs, and what subscriptions wait on."""

    def __init__(self, connect: Callable[[], Awaitable[HintConnection]]) -> None:
        """Take the function that makes a connection of the hub's own; nothing is connected before `start`."""
        self._connect = connect
        self._topics = Topics()
        self._runs: set[UUID] | None = set()
        self._queues: dict[UUID, set[int]] | None = {}
        self._freed: set[UUID] = set()
        self._dirty = asyncio.Event()
        self.is_released = False
        self._connected = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the connection in the background. The hub works without it, for this process alone."""
        self._task = asyncio.create_task(self._keep_connected(), name="hints")

    async def stop(self) -> None:
        """Close the connection. Hints that were not sent are dropped."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def wait_connected(self) -> None:
        """Return when the connection listens."""
        await self._connected.wait()

    def follow_run(self, flow_run_id: UUID) -> AbstractContextManager[RunFollower]:
        """Follow the hints about one run. Begin before reading, or what happens in between may be missed."""
        return self._topics.follow_run(flow_run_id)

    def follow_queue(self, tenant_id: UUID) -> AbstractContextManager[QueueFollower]:
        """Follow the hints about the queue of a tenant. Begin before reading."""
        return self._topics.follow_queue(tenant_id)

    def follow_changes(self) -> AbstractContextManager[ChangesFollower]:
        """Follow the hints about all runs, of all tenants. Begin before reading."""
        return self._topics.follow_changes()

    @property
    def follower_count(self) -> int:
        """How many subscriptions of this process wait for something."""
        return self._topics.follower_count

    def runs_changed(self, flow_run_ids: Iterable[UUID]) -> None:
        """Say, after a commit, that these runs are new, gone or renamed, or have new events. Never blocks."""
        ids = list(flow_run_ids)
        self._topics.wake_runs(ids)
        if self._runs is not None:
            self._runs.update(ids)
            if len(self._runs) > _MAX_PENDING:
                self._runs = None
        self._dirty.set()

    def queue_changed(self, tenant_id: UUID, label_set_ids: Iterable[int]) -> None:
        """Say, after a commit, that runs with these label sets were enqueued. Never blocks."""
        ids = frozenset(label_set_ids)
        self._topics.wake_queues(QueueHint(tenant_id, ids))
        if self._queues is not None:
            self._queues.setdefault(tenant_id, set()).update(ids)
            if sum(map(len, self._queues.values())) > _MAX_PENDING:
                self._queues = None
        self._dirty.set()

    def slots_freed(self, tenant_id: UUID) -> None:
        """Say, after a commit, that whatever waits in the queue of a tenant may find a slot. Never blocks."""
        self._topics.wake_queues(QueueHint(tenant_id, None))
        self._freed.add(tenant_id)
        self._dirty.set()

    def release(self) -> None:
        """Wake everybody and say that it is for the last time: `is_released`."""
        self.is_released = True
        self._topics.wake_all()

    def _take_messages(self) -> tuple[list[str], list[str]]:
        """Return channels and payloads of everything that is to be said, and forget it."""
        runs, self._runs = self._runs, set()
        queues, self._queues = self._queues, {}
        freed, self._freed = self._freed, set()
        self._dirty.clear()
        channels: list[str] = []
        payloads: list[str] = []
        hints = (
            [ANY_QUEUE]
            if queues is None
            else [
                *(
                    QueueHint(tenant, frozenset(sets))
                    for tenant, sets in queues.items()
                    if sets and tenant not in freed
                ),
                *(QueueHint(tenant, None) for tenant in freed),
            ]
        )
        for payload in encode_runs(runs):
            channels.append(RUNS_CHANNEL)
            payloads.append(payload)
        for hint in hints:
            for payload in encode_queue(hint):
                channels.append(QUEUE_CHANNEL)
                payloads.append(payload)
        return channels, payloads

    def _say_everything_may_have_changed(self) -> None:
        self._runs = None
        self._queues = None
        self._dirty.set()

    async def _keep_connected(self) -> None:
        pause = _FIRST_RETRY_SECONDS
        lost = False
        while True:
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    connection = await self._connect()
            except Exception as error:
                logger.warning("No connection for hints (%s); trying again in %.1f s", error, pause)
                lost = True
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LAST_RETRY_SECONDS)
                continue
            pause = _FIRST_RETRY_SECONDS
            try:
                await self._use(connection, lost=lost)
            except Exception as error:
                logger.warning("The connection for hints was lost (%s)", error)
            finally:
                self._connected.clear()
                connection.terminate()
            lost = True
            await asyncio.sleep(_FIRST_RETRY_SECONDS)

    async def _use(self, connection: HintConnection, *, lost: bool) -> None:
        """Listen and send over one connection until it fails."""
        gone = asyncio.Event()

        def on_gone(*_: object) -> None:
            gone.set()
            self._dirty.set()

        connection.add_termination_listener(on_gone)
        await connection.execute(_SETUP, timeout=_ANSWER_SECONDS)
        own_pid = connection.get_server_pid()

        def on_runs(_connection: object, pid: int, _channel: str, payload: str) -> None:
            if pid != own_pid:
                self._topics.wake_runs(decode_runs(payload))

        def on_queue(_connection: object, pid: int, _channel: str, payload: str) -> None:
            if pid != own_pid:
                self._topics.wake_queues(decode_queue(payload))

        await connection.add_listener(RUNS_CHANNEL, on_runs)
        await connection.add_listener(QUEUE_CHANNEL, on_queue)
        if lost:
            self._topics.wake_all()
            self._say_everything_may_have_changed()
        self._connected.set()
        while not gone.is_set():
            try:
                async with asyncio.timeout(_PROBE_SECONDS):
                    await self._dirty.wait()
            except TimeoutError:
                await connection.execute("select", timeout=_ANSWER_SECONDS)
                continue
            if gone.is_set():
                break
            channels, payloads = self._take_messages()
            await connection.execute(_NOTIFY, channels, payloads, timeout=_ANSWER_SECONDS)
            await asyncio.sleep(_GAP_SECONDS)
        raise ConnectionError("the database closed it")
