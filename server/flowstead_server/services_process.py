"""A process that runs services and answers no requests but those for its metrics, if it is given a port.

Any number of them may run on one database, beside servers. It waits for a database that does not answer yet and says
so; what cannot be mended by waiting is a `StartupError`. Afterwards a lost database is what it is to every service:
rounds fail, are logged, and are tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from flowstead_server.parts import (
    database_url,
    on_stop_signals,
    open_database,
    running_hub,
    running_services,
    say_ready,
)
from flowstead_server.services.assembly import background_services, configure
from flowstead_server.services.log_partitions import LogPartitions
from flowstead_server.web.metrics import Metrics, MetricsApplication
from flowstead_server.web.serving import listening_socket, serving

if TYPE_CHECKING:
    from flowstead_server.settings import Settings


async def run_services(settings: Settings) -> None:
    """Run the services until SIGINT, SIGTERM or SIGHUP.

    Raises:
        StartupError: they cannot be started.
        asyncio.CancelledError: a signal came before they ran; everything is undone.
    """
    main = asyncio.current_task()
    if main is None:
        raise RuntimeError("Services run inside a task.")
    on_stop_signals(main.cancel)
    async with contextlib.AsyncExitStack() as parts:
        listener = None
        if settings.metrics_port is not None:
            listener = parts.enter_context(listening_socket(settings.host, settings.metrics_port))
        dsn = await parts.enter_async_context(database_url(settings))
        database = await open_database(settings, dsn, patient=True)
        parts.push_async_callback(database.close)
        hub = await parts.enter_async_context(running_hub(database))
        await LogPartitions(database).run_once()
        configure(settings, database)
        services = background_services(settings, database, hub)
        await parts.enter_async_context(running_services(services))
        about: dict[str, Any] = {"pid": os.getpid(), "services": [service.name for service in services]}
        if listener is not None:
            application = MetricsApplication(Metrics(version("flowstead"), database, services))
            await parts.enter_async_context(serving(application, listener, settings))
            about |= {"host": settings.host, "port": listener.getsockname()[1]}
        stopping = asyncio.Event()
        on_stop_signals(stopping.set)
        say_ready(about, ready_fd=settings.ready_fd, otherwise=True)
        await stopping.wait()
