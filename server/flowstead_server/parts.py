"""The parts that every kind of server process is put together from: the database, hints, services, and how it ends.

What prevents a start is a `StartupError` with one sentence. A part that was started is stopped when its context ends,
also when a later one fails to start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from typing import TYPE_CHECKING, Any

import orjson

from flowstead_server.db.database import Database
from flowstead_server.db.migrator import migrate
from flowstead_server.domain.errors import DatabaseAwayError, StartupError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from flowstead_server.pubsub.hub import Hub
    from flowstead_server.services.loop import Service
    from flowstead_server.settings import Settings

logger = logging.getLogger(__name__)

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_WAIT_SECONDS = 2.0


def on_stop_signals(action: Callable[[], object]) -> None:
    """Call `action` at SIGINT, SIGTERM or SIGHUP; one that whoever started the process ignores stays ignored."""
    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        # `nohup` starts programs with SIGHUP ignored, which has to stay so.
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, action)


def say_ready(about: dict[str, Any], *, ready_fd: int | None, otherwise: bool) -> None:
    """Write one line of JSON to `ready_fd`, or to standard output if there is none and `otherwise` is true.

    Whoever waited for it may have gone; that is no reason to stop.
    """
    line = orjson.dumps(about) + b"\n"
    with contextlib.suppress(OSError):
        if ready_fd is not None:
            os.write(ready_fd, line)
            os.close(ready_fd)
        elif otherwise:
            os.write(1, line)


@contextlib.asynccontextmanager
async def database_url(settings: Settings) -> AsyncIterator[str]:
    """Yield the URL of the database; the embedded PostgreSQL runs until the end."""
    if settings.postgres_url:
        yield settings.postgres_url
        return
    from flowstead_server.db.embedded import EmbeddedPostgres  # noqa: PLC0415 - only where this database is used

    start = asyncio.create_task(EmbeddedPostgres.start(settings.data_dir))
    try:
        embedded = await asyncio.shield(start)
    except asyncio.CancelledError:
        # The start goes on in its thread: what it brings up has to be stopped.
        with contextlib.suppress(StartupError):
            await (await start).stop()
        raise
    keeper = asyncio.create_task(embedded.keep_running(), name="embedded-postgres")
    try:
        yield embedded.dsn
    finally:
        keeper.cancel()
        await asyncio.wait([keeper])
        await embedded.stop()


async def open_database(settings: Settings, dsn: str, *, patient: bool = False) -> Database:
    """Connect to a database that has all migrations. `patient`: wait for one that does not answer yet.

    Raises:
        StartupError: the database cannot be used.
    """
    said: str | None = None
    while True:
        try:
            await migrate(dsn, apply=settings.upgrade)
            return await Database.connect(
                dsn, max_connections=settings.max_connections, statement_timeout=settings.statement_timeout
            )
        except DatabaseAwayError as error:
            if not patient:
                raise
            if said != error.message:
                said = error.message
                logger.warning("%s Waiting for it.", said)
            await asyncio.sleep(_WAIT_SECONDS)


@contextlib.asynccontextmanager
async def running_hub(database: Database) -> AsyncIterator[Hub]:
    """Connect a database with the other processes on it: hints go out to them and come in."""
    from flowstead_server.pubsub.hub import Hub  # noqa: PLC0415 - after the start of PostgreSQL, not before

    hub = Hub(database.open_connection)
    database.hints = hub
    await hub.start()
    try:
        yield hub
    finally:
        await hub.stop()


@contextlib.asynccontextmanager
async def running_services(services: Sequence[Service[Any]]) -> AsyncIterator[None]:
    """Run services until the end."""
    async with contextlib.AsyncExitStack() as started:
        for service in services:
            service.start()
            started.push_async_callback(service.stop)
        yield
