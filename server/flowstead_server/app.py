"""The composition root: settings become a running server, and a running server ends without leaving anything behind.

Parts are started in the order socket, database, migrations, hints, services, web, and stopped in the reverse order,
also when a later one fails to start. The socket comes first because a port that is taken must be found out before
anything is touched. What prevents a start is a `StartupError` with one sentence.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Self

from flowstead_server.parts import (
    database_url,
    on_stop_signals,
    open_database,
    running_hub,
    running_services,
    say_ready,
)
from flowstead_server.web.serving import WebServer, listening_socket, web_config

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from socket import socket

    from flowstead_server.api.schema import ApiSchema
    from flowstead_server.compiler.limits import Limits
    from flowstead_server.db.database import Database
    from flowstead_server.services.loop import Service
    from flowstead_server.settings import Settings
    from flowstead_server.web.app import WebApplication


class Server:
    """All parts of one server process, between `async with` and its end.

    `serve` answers requests until `stop` is called.
    """

    def __init__(self, settings: Settings) -> None:
        """Take the settings; nothing is touched yet."""
        self.settings = settings
        self.port = settings.port
        self._parts = contextlib.AsyncExitStack()
        self._socket: socket | None = None
        self._web: WebServer | None = None
        self._application: WebApplication | None = None

    async def __aenter__(self) -> Self:
        """Start everything but the answering of requests.

        Raises:
            StartupError: something prevents it; what had been started is stopped again.
        """
        async with contextlib.AsyncExitStack() as parts:
            listener = parts.enter_context(listening_socket(self.settings.host, self.settings.port))
            self._socket = listener
            self.port = listener.getsockname()[1]
            application = await parts.enter_async_context(_application(self.settings))
            self._web = WebServer(web_config(application, self.settings))
            self._application = application
            self._parts = parts.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop everything."""
        await self._parts.aclose()

    async def serve(self) -> None:
        """Answer requests until told to stop; subscriptions are then closed with code 1012, "connect again"."""
        web, listener = self._web, self._socket
        if web is None or listener is None:
            raise RuntimeError("A server answers requests only inside `async with`.")
        await web.serve(sockets=[listener])

    async def wait_answering(self) -> None:
        """Return when requests are answered."""
        if self._web is not None:
            await self._web.answering.wait()

    def stop(self) -> None:
        """Let `serve` return soon."""
        if self._web is not None:
            self._web.should_exit = True
        if self._application is not None:
            self._application.answer_who_waits()


async def run(settings: Settings) -> None:
    """Run a server until SIGINT, SIGTERM or SIGHUP; one that whoever started the process ignores stays ignored.

    Raises:
        StartupError: the server cannot be started.
        asyncio.CancelledError: a signal came before requests were answered; everything is undone.
    """
    main = asyncio.current_task()
    if main is None:
        raise RuntimeError("A server runs inside a task.")
    on_stop_signals(main.cancel)
    async with contextlib.AsyncExitStack() as parts:
        parts.enter_context(_collecting_later())
        server = await parts.enter_async_context(Server(settings))
        on_stop_signals(server.stop)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve())
            await server.wait_answering()
            _spare_what_stays()
            about = {
                "host": settings.host,
                "port": server.port,
                "pid": os.getpid(),
                "playground": settings.shows_playground,
            }
            say_ready(about, ready_fd=settings.ready_fd, otherwise=settings.port == 0)


@contextlib.contextmanager
def _collecting_later() -> Iterator[None]:
    """Look for garbage only from `_spare_what_stays` on: there is hardly any while the parts are made."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _spare_what_stays() -> None:
    """Look for garbage from now on, but not among what exists: for a tenth of a second, nobody would be answered."""
    gc.freeze()
    gc.enable()


@contextlib.asynccontextmanager
async def _application(settings: Settings) -> AsyncIterator[WebApplication]:
    """Start the parts and yield the application over them."""
    async with contextlib.AsyncExitStack() as parts:
        # Building the schema takes about as long as starting PostgreSQL does; side by side they take as long as one.
        schema_task = asyncio.create_task(asyncio.to_thread(_load_schema, settings.limits))
        parts.push_async_callback(_ended, schema_task)
        dsn = await parts.enter_async_context(database_url(settings))
        database = await open_database(settings, dsn)
        parts.push_async_callback(database.close)
        schema = await schema_task
        yield await _connect_parts(settings, database, schema, parts)


def _load_schema(limits: Limits) -> ApiSchema:
    from flowstead_server.api.schema import api_schema  # noqa: PLC0415 - in a thread, beside the start of PostgreSQL

    return api_schema(limits)


async def _ended(task: asyncio.Task[ApiSchema]) -> None:
    await asyncio.wait([task])


async def _connect_parts(
    settings: Settings, database: Database, schema: ApiSchema, parts: contextlib.AsyncExitStack
) -> WebApplication:
    # Imported where the schema has been loaded already, so that its thread does the work.
    from flowstead_server.orchestration.tenants import ensure_default_tenant  # noqa: PLC0415
    from flowstead_server.services.assembly import background_services, configure  # noqa: PLC0415
    from flowstead_server.services.heartbeat_reception import HeartbeatReception  # noqa: PLC0415
    from flowstead_server.services.log_partitions import LogPartitions  # noqa: PLC0415
    from flowstead_server.web.app import WebApplication  # noqa: PLC0415
    from flowstead_server.web.metrics import Metrics  # noqa: PLC0415
    from flowstead_server.web.playground import built_playground  # noqa: PLC0415

    tenant_id = await ensure_default_tenant(database)
    await LogPartitions(database).run_once()
    configure(settings, database)
    hub = await parts.enter_async_context(running_hub(database))
    services: list[Service[Any]] = [HeartbeatReception(database, settings.liveness.rules)]
    if settings.services:
        services += background_services(settings, database, hub)
    await parts.enter_async_context(running_services(services))
    return WebApplication(
        schema=schema,
        database=database,
        hub=hub,
        tenant_id=tenant_id,
        version=version("flowstead"),
        body_limit=settings.body_limit,
        access_log=settings.access_log,
        playground=built_playground() if settings.shows_playground else None,
        metrics=Metrics(version("flowstead"), database, services, hub) if settings.metrics else None,
    )
