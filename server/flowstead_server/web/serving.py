"""Serving an ASGI application on an address of this machine, by uvicorn.

An address that cannot be used is a `StartupError` with one sentence.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from typing import TYPE_CHECKING

import uvicorn

from flowstead_server.domain.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.types import ASGIApp

    from flowstead_server.settings import Settings

_BACKLOG = 1024
_KEEP_ALIVE_SECONDS = 75
_PING_SECONDS = 20.0


class WebServer(uvicorn.Server):
    """uvicorn without signal handlers of its own, which would end the process before the database is stopped."""

    def __init__(self, config: uvicorn.Config) -> None:
        """Take uvicorn's configuration; `answering` is set when requests are answered."""
        super().__init__(config)
        self.answering = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer requests."""
        await super().startup(sockets)
        self.answering.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: whoever runs the server decides what they mean."""
        yield


@contextlib.contextmanager
def listening_socket(host: str, port: int) -> Iterator[socket.socket]:
    """Listen on an address of this machine; port 0 takes a free one. Raises StartupError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise StartupError(f"Cannot listen on {host}: {error.strerror}. Give an address of this machine.") from error
    with socket.socket(family, kind, protocol) as listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Inherited by connections: an answer in two parts must not wait for an acknowledgement in between.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError as error:
            raise StartupError(f"Cannot listen on {host}:{port}: {_reason(error)}") from error
        yield listener


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program uses that port. Stop it, or choose another one with --port (0 takes a free one)."
    if error.errno in {errno.EACCES, errno.EPERM}:
        return "this user may not use that port. Choose one above 1023 with --port."
    return f"{error.strerror}. Give an address of this machine with --host."


def web_config(application: ASGIApp, settings: Settings) -> uvicorn.Config:
    """Return how uvicorn serves the application."""
    return uvicorn.Config(
        application,
        # Our own logging shows uvicorn's warnings; its lines about requests and start are not wanted.
        log_config=None,
        access_log=False,
        lifespan="off",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=settings.body_limit,
        ws_ping_interval=_PING_SECONDS,
        ws_ping_timeout=_PING_SECONDS,
        # Events are small and many; compressing each costs more than sending it.
        ws_per_message_deflate=False,
        server_header=False,
        # Nobody asks for the client's address.
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=round(settings.shutdown_seconds),
    )


@contextlib.asynccontextmanager
async def serving(application: ASGIApp, listener: socket.socket, settings: Settings) -> AsyncIterator[None]:
    """Serve an application beside other work until the end."""
    server = WebServer(web_config(application, settings))
    task = asyncio.create_task(server.serve(sockets=[listener]), name="web")
    try:
        yield
    finally:
        server.should_exit = True
        await asyncio.wait([task])
