"""A process that runs services and answers no requests. Any number of them may run on one database, beside servers.

It waits for a database that does not answer yet and says so; what cannot be mended by waiting is a `StartupError`.
Afterwards a lost database is what it is to every service: rounds fail, are logged, and are tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING

from flowstead_server.domain.errors import StartupError
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
    if not settings.services:
        raise StartupError(
            "PREFECT__SERVER__SERVICES__ENABLED is false, but this process is for services only; unset it."
        )
    async with contextlib.AsyncExitStack() as parts:
        dsn = await parts.enter_async_context(database_url(settings))
        database = await open_database(settings, dsn, patient=True)
        parts.push_async_callback(database.close)
        hub = await parts.enter_async_context(running_hub(database))
        await LogPartitions(database).run_once()
        configure(settings, database)
        services = background_services(settings, database, hub)
        await parts.enter_async_context(running_services(services))
        stopping = asyncio.Event()
        on_stop_signals(stopping.set)
        about = {"pid": os.getpid(), "services": [service.name for service in services]}
        say_ready(about, ready_fd=settings.ready_fd, otherwise=True)
        await stopping.wait()
