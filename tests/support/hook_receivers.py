"""Receivers of cloud hooks on real sockets, good ones and bad ones, inside the test's event loop."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
DEADLINE = 20.0


def status(code: int, *headers: str) -> bytes:
    """Return an answer without a body."""
    lines = [f"HTTP/1.1 {code} Whatever", "Content-Length: 0", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


class Receiver:
    """An HTTP server that keeps what it was sent; `answer` may be changed at any time.

    None: it never answers; a function makes an answer of the request's body; with `slow`, answers come byte by byte.
    """

    def __init__(self, answer: bytes | Callable[[Any], bytes | None] | None, *, slow: bool = False) -> None:
        self.answer = answer
        self.slow = slow
        self.requests: list[tuple[str, Any]] = []
        self.bodies: list[bytes] = []
        self.now = self.most_at_once = 0
        self.released = asyncio.Event()
        self.url = ""
        self._changed = asyncio.Condition()
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of a webhook, in the order in which they came."""
        return [body["event"] for _, body in self.requests]

    @property
    def states(self) -> list[str]:
        """The names of the states that a webhook was told."""
        return [event["state"]["state"] for event in self.events]

    async def wait_for(self, count: int) -> None:
        """Return when so many requests have arrived."""
        async with asyncio.timeout(DEADLINE), self._changed:
            await self._changed.wait_for(lambda: len(self.requests) >= count)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._serving[task] = writer
        self.now += 1
        self.most_at_once = max(self.most_at_once, self.now)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._serve(reader, writer)
        finally:
            self.now -= 1
            del self._serving[task]
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def stop(self) -> None:
        """End all connections."""
        self.released.set()
        for writer in self._serving.values():
            writer.transport.abort()
        if self._serving:
            await asyncio.wait(self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(line for line in head.lower().splitlines() if line.startswith("content-length"))
        body = await reader.readexactly(int(length.split(":")[1]))
        decoded = json.loads(body) if "application/json" in head else body.decode()
        answer = self.answer(decoded) if callable(self.answer) else self.answer
        self.bodies.append(body)
        async with self._changed:
            self.requests.append((head.lower(), decoded))
            self._changed.notify_all()
        if answer is None:
            await self.released.wait()
        elif self.slow:
            for byte in answer:
                writer.write(bytes([byte]))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.released.wait(), 0.2)
        else:
            writer.write(answer)
        await writer.drain()


@contextlib.asynccontextmanager
async def receiver(
    answer: bytes | Callable[[Any], bytes | None] | None = OK, *, slow: bool = False, ssl: Any = None
) -> AsyncIterator[Receiver]:
    """Run a receiver on a free port of this machine."""
    made = Receiver(answer, slow=slow)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=ssl)
    scheme = "http" if ssl is None else "https"
    made.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    async with server:
        try:
            yield made
        finally:
            await made.stop()
