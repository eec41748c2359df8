"""A fork server that was forked off this process, seen as what `asyncio` makes of a process that it has started."""

import asyncio
import os
import signal
from typing import Self

from flowstead_agent.launchers.fork_server import ForkedOff

__all__ = ["AdoptedServer"]

_LOOK_SECONDS = 0.005


class AdoptedServer:
    """What is used of `asyncio.subprocess.Process`: pipes, end, and a kill.  Belongs to one event loop."""

    def __init__(self, pid: int, stdin: asyncio.StreamWriter, stdout: asyncio.StreamReader) -> None:
        self.pid = pid
        self.stdin = stdin
        self.stdout = stdout
        self._code: int | None = None

    @classmethod
    async def of(cls, forked: ForkedOff) -> Self:
        """Take the pipes of a server over; called once for each."""
        loop = asyncio.get_running_loop()
        stdout = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdout), os.fdopen(forked.answers, "rb", 0))
        transport, protocol = await loop.connect_write_pipe(
            lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), os.fdopen(forked.requests, "wb", 0)
        )
        return cls(forked.pid, asyncio.StreamWriter(transport, protocol, None, loop), stdout)

    def kill(self) -> None:
        """Send SIGKILL, unless its end is known."""
        if self._code is None:
            os.kill(self.pid, signal.SIGKILL)

    async def wait(self) -> int:
        """Return its exit code when it has ended, negative for a signal."""
        while self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)  # noqa: ASYNC222 - it does not wait
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
            else:
                await asyncio.sleep(_LOOK_SECONDS)
        return self._code
