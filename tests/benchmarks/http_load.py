"""A load generator over bare sockets: as little of the client as possible is in the figures.

Promise: sends prepared HTTP/1.1 POST requests over keep-alive connections, one in flight on each, and times every
answer. It shares the machine with the server, so its own cost per request must stay far below the server's; that is
why it is no HTTP library. An answer that is not 200, or that carries `errors`, ends the run with that answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson


class LoadError(Exception):
    """The server answered something else than success; carries the answer."""


@dataclass(slots=True)
class Load:
    """What one load run measured."""

    seconds: float
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """The latency, in seconds, that `share` (0..1) of the answers did not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def request_bytes(port: int, query: str, variables: object) -> bytes:
    """One whole POST request, ready to be written."""
    body = orjson.dumps({"query": query, "variables": variables})
    head = (
        f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"X-PREFECT-CORE-VERSION: 1.5.0\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lowered = head.lower()
    start = lowered.index(b"content-length:") + len(b"content-length:")
    length = int(lowered[start : lowered.index(b"\r\n", start)])
    body = await reader.readexactly(length)
    if b" 200 " not in head[:20] or b'"errors"' in body[:200]:
        raise LoadError(f"the server answered {head[:20]!r} {body[:500]!r}")
    return body


async def post(port: int, query: str, variables: object = None) -> bytes:
    """One request on a connection of its own; the answer's body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request_bytes(port, query, variables))
    try:
        return await _answer(reader)
    finally:
        writer.close()


async def load(port: int, make: Callable[[], bytes], *, connections: int, seconds: float) -> Load:
    """Send what `make` returns over `connections` connections for `seconds`; every answer is timed."""
    started = time.perf_counter()
    deadline = started + seconds
    latencies: list[float] = []

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < deadline:
            before = time.perf_counter()
            writer.write(make())
            await _answer(reader)
            latencies.append(time.perf_counter() - before)
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return Load(time.perf_counter() - started, latencies)
