"""The agent's side of the fork server: starts it, asks it for children, hears how they ended, replaces it if it dies.

`launch` raises `LaunchError` when the server could not fork, `ForkServerError` when no server can be had, and
`LaunchOutcomeUnknownError` when the server died while it was asked.  Children survive the death of their server; it is
then only known that they ended, not how, and their exit code is `None`.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from flowstead_agent.errors import ForkServerError, LaunchError, LaunchOutcomeUnknownError
from flowstead_agent.launchers.fork_adopted import AdoptedServer
from flowstead_agent.launchers.fork_server import ForkedOff
from flowstead_agent.launchers.framing import HEADER_BYTES, body_length, decode_body, encode

__all__ = ["ForkServerClient", "ForkedProcess"]

_START_SECONDS = 60.0
_ORPHAN_LOOK_SECONDS = 0.5
_CLOSE_SECONDS = 5.0

_Server = asyncio.subprocess.Process | AdoptedServer


@dataclass(frozen=True, slots=True)
class ForkedProcess:
    """A child of the fork server."""

    pid: int
    """also the id of its process group and session"""
    ended: asyncio.Future[int | None]
    """its exit code, negative for a signal, None if nobody knows"""


class ForkServerClient:
    """One fork server at a time, started on first need or by `start`.  Belongs to one event loop.

    `forked_off` is the first of them, where there is one already; those that replace it are programs of their own.
    """

    def __init__(
        self,
        modules: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        forked_off: ForkedOff | None = None,
    ) -> None:
        self._modules = tuple(modules)
        self._forked_off = forked_off
        self._environment = dict(os.environ if environment is None else environment)
        self._process: _Server | None = None
        self._reader: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._ids = count(1)
        self._requested: dict[int, asyncio.Future[ForkedProcess]] = {}
        self._children: dict[int, asyncio.Future[int | None]] = {}
        self._orphan_watch: asyncio.Task[None] | None = None
        self._orphans: dict[int, asyncio.Future[int | None]] = {}

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment that the server was (or will be) started in."""
        return self._environment

    @property
    def pid(self) -> int | None:
        """Process id of the server, None while there is none."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Make sure that a server runs and has imported everything.  Raises `ForkServerError`."""
        async with self._starting:
            if self._process is not None:
                return
            await self._start()

    async def launch(self, *, environment: Mapping[str, str], directory: str, output: str, entry: str) -> ForkedProcess:
        """Fork a child that runs `entry`; see `ChildPlan` for the arguments.  See the module for the errors."""
        await self.start()
        number = next(self._ids)
        answer: asyncio.Future[ForkedProcess] = asyncio.get_running_loop().create_future()
        self._requested[number] = answer
        message = {
            "do": "launch",
            "id": number,
            "environment": dict(environment),
            "directory": directory,
            "output": output,
            "entry": entry,
        }
        try:
            await self._send(message)
            return await answer
        finally:
            self._requested.pop(number, None)

    async def signal(self, pid: int, number: int) -> None:
        """Send a signal to a child's process group, if it still runs."""
        if pid in self._children:
            # The server reaps, so only the server knows that the number has not been given to another process yet.
            with contextlib.suppress(LaunchOutcomeUnknownError):
                await self._send({"do": "signal", "pid": pid, "signal": int(number)})
        elif pid in self._orphans:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, number)

    async def close(self) -> None:
        """End the server and stop following its children, which go on."""
        process, reader, watch = self._process, self._reader, self._orphan_watch
        self._process = self._reader = self._orphan_watch = None
        if watch is not None:
            watch.cancel()
        if process is not None:
            await _end(process)
        if reader is not None:
            await asyncio.gather(reader, return_exceptions=True)
        for future in (*self._children.values(), *self._orphans.values()):
            future.cancel()
        self._children.clear()
        self._orphans.clear()

    async def _started(self) -> _Server:
        forked_off, self._forked_off = self._forked_off, None
        if forked_off is not None:
            return await AdoptedServer.of(forked_off)
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "flowstead_agent.launchers.fork_server",
            *self._modules,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=self._environment,
            # a Ctrl-C in the agent's terminal is for the agent
            start_new_session=True,
        )

    async def _start(self) -> None:
        try:
            process = await self._started()
        except OSError as error:
            raise ForkServerError(f"The fork server could not be started: {error}.") from error
        try:
            async with asyncio.timeout(_START_SECONDS):
                message = await _read_message(process)
        except (TimeoutError, EOFError, ValueError) as error:
            code = await _end(process)
            raise ForkServerError(f"The fork server could not be started: it ended with exit code {code}.") from error
        except asyncio.CancelledError:
            if process.stdin is not None:
                process.stdin.close()
            raise
        if not message.get("ready"):
            raise ForkServerError(f"The fork server started with an unexpected message: {message!r}.")
        self._process = process
        self._reader = asyncio.create_task(self._read(process), name="fork-server-answers")

    async def _send(self, message: dict[str, Any]) -> None:
        process = self._process
        if process is None or process.stdin is None:
            raise LaunchOutcomeUnknownError("The fork server ended.")
        try:
            process.stdin.write(encode(message))
            await process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError) as error:
            raise LaunchOutcomeUnknownError("The fork server ended.") from error

    async def _read(self, process: _Server) -> None:
        with contextlib.suppress(EOFError, ValueError):
            while True:
                self._take(await _read_message(process))
        if self._process is process:
            self._process = None
            self._abandon()
            await _end(process)

    def _take(self, message: dict[str, Any]) -> None:
        if "launched" in message:
            pid = message["pid"]
            ended: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
            self._children[pid] = ended
            answer = self._requested.get(message["launched"])
            if answer is not None and not answer.done():
                answer.set_result(ForkedProcess(pid, ended))
        elif "refused" in message:
            answer = self._requested.get(message["refused"])
            if answer is not None and not answer.done():
                answer.set_exception(LaunchError(f"The process of the run could not be started: {message['reason']}."))
        elif "ended" in message:
            gone = self._children.pop(message["ended"], None)
            if gone is not None and not gone.done():
                gone.set_result(message["code"])

    def _abandon(self) -> None:
        """The server is gone: give up what was asked of it, and watch its children from afar."""
        for answer in self._requested.values():
            if not answer.done():
                answer.set_exception(LaunchOutcomeUnknownError("The fork server ended while it started a process."))
        self._orphans.update(self._children)
        self._children.clear()
        if self._orphans and self._orphan_watch is None:
            self._orphan_watch = asyncio.create_task(self._watch_orphans(), name="fork-server-orphans")

    async def _watch_orphans(self) -> None:
        while self._orphans:
            await asyncio.sleep(_ORPHAN_LOOK_SECONDS)
            for pid, ended in list(self._orphans.items()):
                is_over, code = _look_at(pid)
                if not is_over:
                    continue
                del self._orphans[pid]
                if not ended.done():
                    ended.set_result(code)
        self._orphan_watch = None


async def _end(process: _Server) -> int:
    """Return the exit code of a server that has ended, or ends now because nobody talks to it any more."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        return await asyncio.wait_for(process.wait(), _CLOSE_SECONDS)
    except TimeoutError:
        process.kill()
        return await process.wait()


def _look_at(pid: int) -> tuple[bool, int | None]:
    """Say whether an orphan has ended, and its exit code if it came to this process: in a container it does."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return not _exists(pid), None
    return ended == pid, os.waitstatus_to_exitcode(status) if ended == pid else None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


async def _read_message(process: _Server) -> dict[str, Any]:
    assert process.stdout is not None
    header = await process.stdout.readexactly(HEADER_BYTES)
    return decode_body(await process.stdout.readexactly(body_length(header)))
