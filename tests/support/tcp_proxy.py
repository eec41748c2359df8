"""A TCP proxy that can be told to misbehave as networks do.

It runs in the event loop of whoever made it. All faults concern its own connections only; `heal` ends those that last.
"""

import asyncio
import contextlib
import random

_CHUNK = 65536


class TcpProxy:
    """Passes connections to a port of this machine on to another one.

    `delay` holds back each piece of data for so many seconds; `refusing` closes new connections at once;
    `lose_answers` is how many of the next pieces that come from behind are lost, each together with its connection.
    `break_rate` is the part of all pieces, of both directions, within which a connection breaks; `seed` says which.
    """

    def __init__(self, target_port, host="127.0.0.1", seed=0):
        self.target_port = target_port
        self.port = 0
        self.delay = 0.0
        self.refusing = False
        self.lose_answers = 0
        self.break_rate = 0.0
        self.lost = 0
        self.connections = 0
        self._random = random.Random(seed)
        self._host = host
        self._open = set()
        self._tasks = set()
        self._server = None

    @property
    def url(self):
        return f"http://{self._host}:{self.port}"

    async def start(self):
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, self._host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def close(self):
        """End all connections and listen no more."""
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self):
        """Break all connections, as a router does that restarts; return how many."""
        broken = len(self._open)
        for writer in list(self._open):
            writer.transport.abort()
        return broken

    def heal(self):
        """Pass everything on again."""
        self.delay = 0.0
        self.refusing = False
        self.lose_answers = 0
        self.break_rate = 0.0

    async def _accept(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        try:
            await self._pass_on(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()  # the proxy is closing; the stream's own callback would report the cancellation
        finally:
            self._tasks.discard(asyncio.current_task())

    async def _pass_on(self, reader, writer):
        self.connections += 1
        if self.refusing:
            writer.transport.abort()
            return
        try:
            behind_reader, behind_writer = await asyncio.open_connection(self._host, self.target_port)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, behind_writer}
        self._open |= ends
        ways = [
            asyncio.ensure_future(self._copy(reader, behind_writer, ends, is_answer=False)),
            asyncio.ensure_future(self._copy(behind_reader, writer, ends, is_answer=True)),
        ]
        try:
            await asyncio.wait(ways)
        finally:
            for way in ways:
                way.cancel()
            self._open -= ends
            for end in ends:
                end.transport.abort()

    async def _copy(self, reader, writer, ends, *, is_answer):
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                if self.delay:
                    await asyncio.sleep(self.delay)
                if is_answer and self.lose_answers > 0:
                    self.lose_answers -= 1
                    self.lost += 1
                    break
                breaks = self._random.random() < self.break_rate
                writer.write(data[: self._random.randrange(len(data))] if breaks else data)
                await writer.drain()
                if breaks:
                    self.lost += 1
                    break
            else:
                with contextlib.suppress(OSError, RuntimeError):
                    writer.write_eof()
                return
        for end in ends:
            end.transport.abort()
