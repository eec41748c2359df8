"""The agent's own little HTTP server: says that it lives, and can be poked to look for work.

`GET /api/health` answers 200 and `{}`, `GET /api/poke` wakes the agent and answers 200 with nothing; anything else is
404, or 400 if it is no HTTP.  An address that cannot be used raises `AgentError` before the agent registers.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from flowstead_agent.errors import AgentError

__all__ = ["parsed_address", "serve_health"]

_READ_SECONDS = 5.0


def parsed_address(address: str) -> tuple[str, int]:
    """Return host (empty for every interface) and port of an address such as `http://:8080` or `localhost:8080`.

    Raises `AgentError` if it has no port.
    """
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        port = parts.port
    except ValueError as error:
        raise AgentError(f"The agent address {address!r} is none: {error}.") from error
    if not port:
        raise AgentError(f"Must specify port in agent address: {address!r} has none.")
    return parts.hostname or "", port


@asynccontextmanager
async def serve_health(host: str, port: int, poke: Callable[[], None]) -> AsyncIterator[int]:
    """Serve while the context lasts; yields the port.  Raises `AgentError` if the port cannot be had."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
            async with asyncio.timeout(_READ_SECONDS):
                line = await reader.readline()
                while (await reader.readline()).strip():
                    pass
                writer.write(_response(line, poke))
                await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    try:
        server = await asyncio.start_server(answer, host or None, port)
    except OSError as error:
        raise AgentError(
            f"The agent cannot listen on {host or 'any address'}, port {port}: {error.strerror or error}."
        ) from error
    async with server:
        yield server.sockets[0].getsockname()[1]


def _response(request_line: bytes, poke: Callable[[], None]) -> bytes:
    try:
        method, path, _ = request_line.decode("ascii").split()
    except ValueError:
        return b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    body = b""
    status = b"200 OK"
    if (method, path) == ("GET", "/api/health"):
        body = b"{}"
    elif (method, path) == ("GET", "/api/poke"):
        poke()
    else:
        status = b"404 Not Found"
    return b"HTTP/1.1 %b\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        status,
        len(body),
        body,
    )
