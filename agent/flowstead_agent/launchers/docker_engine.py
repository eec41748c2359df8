"""Following the containers of a Docker engine: how they end, and the last of what they print.

One thread reads the engine's events; one more per container reads its output, which is gone with the container.  When
the connection breaks it is made again, and every container that is followed is looked up, so that no end is missed.
The engine being away is a warning each time, and `gone_for_good` raises after `PATIENCE` attempts.
"""

import asyncio
import contextlib
import logging
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from flowstead_agent.errors import AgentError, LaunchError
from flowstead_agent.launchers.protocol import Ended

__all__ = ["PATIENCE", "ContainerFollower", "engine_errors"]

PATIENCE = 6
_FIRST_RETRY_SECONDS = 1.0
_RETRY_SECONDS = 60.0
_OUTPUT_SECONDS = 1.0
_CLOSE_SECONDS = 2.0
_MISSING = 404
_OUTPUT_BYTES = 4096
_SIGNALLED = 128


@contextlib.contextmanager
def engine_errors(*, ignore_missing: bool = False) -> Iterator[None]:
    """Raise `LaunchError` for what the engine refuses; `ignore_missing` lets what is gone be gone."""
    import docker.errors  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra without types

    try:
        yield
    except docker.errors.APIError as error:
        if ignore_missing and error.status_code == _MISSING:
            return
        raise LaunchError(f"The Docker engine refuses: {error.explanation or error}") from error
    except (docker.errors.DockerException, OSError) as error:
        raise LaunchError(f"The Docker engine cannot be reached: {error}") from error


@dataclass(slots=True)
class _Followed:
    code: "asyncio.Future[int | None]"
    tail: "deque[bytes]" = field(default_factory=deque)
    size: int = 0
    output: Any = None
    """the stream that is being read, to be closed when nobody follows any more"""
    is_read: threading.Event = field(default_factory=threading.Event)


class ContainerFollower:
    """Follows containers from before their start to their end.  Belongs to the event loop that `start` is called in."""

    def __init__(
        self, client: Any, logger: logging.Logger, *, show_output: bool = False, retry_seconds: float = _RETRY_SECONDS
    ) -> None:
        self._client = client
        self._logger = logger
        self._show_output = show_output
        self._retry_seconds = retry_seconds
        self._followed: dict[str, _Followed] = {}
        self._closed = threading.Event()
        self._stream: Any = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads: set[threading.Thread] = set()

    def start(self) -> None:
        """Begin to read the engine's events."""
        self._loop = asyncio.get_running_loop()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._start_thread("docker-events", self._read_events)

    async def gone_for_good(self) -> None:
        """Raise `AgentError` when the engine has been away for too long."""
        await asyncio.shield(self._gone)

    async def close(self) -> None:
        """Stop following."""
        self._closed.set()
        for stream in (self._stream, *(followed.output for followed in self._followed.values())):
            if stream is not None:
                with contextlib.suppress(Exception):
                    stream.close()
        for task in self._tasks:
            task.cancel()
        for followed in self._followed.values():
            followed.code.cancel()
        await asyncio.to_thread(self._join)

    def _start_thread(self, name: str, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, name=name, daemon=True)
        self._threads.add(thread)
        thread.start()

    def _join(self) -> None:
        deadline = time.monotonic() + _CLOSE_SECONDS
        for thread in list(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))

    def expect(self, container_id: str) -> None:
        """Follow a container that is about to be started; called in a thread."""
        asyncio.run_coroutine_threadsafe(self._follow(container_id), self._loop).result()

    def forget(self, container_id: str) -> None:
        """Follow a container no more; called in a thread."""
        self._loop.call_soon_threadsafe(self._followed.pop, container_id, None)

    def ended(self, container_id: str) -> "asyncio.Future[Ended]":
        """Return how a container that was expected ends, when it has; reads its output from now on."""
        ended: asyncio.Future[Ended] = self._loop.create_future()
        task = self._loop.create_task(self._to_the_end(container_id, ended), name=f"follow-{container_id[:12]}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._start_thread(f"output-{container_id[:12]}", self._read_output, container_id)
        return ended

    async def code_of(self, container_id: str) -> int | None:
        """Return the exit code of a container when it has ended; None if nobody knows it."""
        followed = self._followed.get(container_id)
        return await asyncio.shield(followed.code) if followed is not None else None

    async def _follow(self, container_id: str) -> None:
        self._followed[container_id] = _Followed(self._loop.create_future())

    async def _to_the_end(self, container_id: str, ended: "asyncio.Future[Ended]") -> None:
        followed = self._followed[container_id]
        try:
            code = await asyncio.shield(followed.code)
            output = ""
            if code != 0:
                await asyncio.to_thread(followed.is_read.wait, _OUTPUT_SECONDS)
                output = b"".join(followed.tail)[-_OUTPUT_BYTES:].decode(errors="replace").strip()
            if code:
                self._logger.info("Container %s returned non-zero exit code %d!", container_id[:12], code)
            ended.set_result(Ended(ok=code == 0, reason=_sentence(container_id, code), output=output))
        finally:
            ended.cancel()
            self._followed.pop(container_id, None)

    def _end(self, container_id: str, code: int | None) -> None:
        followed = self._followed.get(container_id)
        if followed is not None and not followed.code.done():
            followed.code.set_result(code)

    # -- in threads --------------------------------------------------------------------------------------------------

    def _read_events(self) -> None:
        failures = 0
        since = int(time.time())
        while not self._closed.is_set():
            try:
                self._client.ping()
                # The events from `since` on come first, so nothing is missed between two connections.
                self._stream = self._client.events(
                    decode=True,
                    since=since,
                    filters={"type": "container", "event": "die", "label": "io.prefect.flow-run-id"},
                )
                if failures:
                    self._logger.info("Reconnected to Docker daemon")
                failures = 0
                self._look_up()
                for event in self._stream:
                    since = int(event.get("time", since))
                    code = event.get("Actor", {}).get("Attributes", {}).get("exitCode")
                    self._tell(str(event.get("id") or event["Actor"]["ID"]), None if code is None else int(code))
            except Exception as error:
                if self._closed.is_set():
                    return
                failures += 1
                self._logger.warning("Failed heartbeat: %r", error)
                if failures >= PATIENCE:
                    self._give_up()
                    return
            self._closed.wait(self._retry_seconds if failures > 1 else _FIRST_RETRY_SECONDS)

    def _look_up(self) -> None:
        """Find the containers whose end was missed."""
        import docker.errors  # noqa: PLC0415 - as above

        for container_id in list(self._followed):
            try:
                state = self._client.api.inspect_container(container_id)["State"]
            except docker.errors.NotFound:
                self._tell(container_id, None)
            else:
                if state.get("Status") in {"exited", "dead"}:
                    self._tell(container_id, int(state.get("ExitCode", 0)))

    def _read_output(self, container_id: str) -> None:
        followed = self._followed.get(container_id)
        if followed is None or self._closed.is_set():
            return
        # It goes with the container, which is removed when it ends: what is there by then is what is known.
        with (
            contextlib.suppress(Exception),
            contextlib.closing(self._client.api.logs(container_id, stream=True, follow=True)) as chunks,
        ):
            followed.output = chunks
            for chunk in chunks:
                self._take_output(followed, chunk)
        followed.is_read.set()
        self._threads.discard(threading.current_thread())

    def _take_output(self, followed: _Followed, chunk: bytes) -> None:
        if self._show_output:
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
        followed.tail.append(chunk)
        followed.size += len(chunk)
        while followed.size - len(followed.tail[0]) >= _OUTPUT_BYTES:
            followed.size -= len(followed.tail.popleft())

    def _tell(self, container_id: str, code: int | None) -> None:
        with contextlib.suppress(RuntimeError):  # the agent has ended, and its loop with it
            self._loop.call_soon_threadsafe(self._end, container_id, code)

    def _give_up(self) -> None:
        self._logger.error("Cannot reconnect to Docker daemon. Agent is shutting down.")

        def fail() -> None:
            if not self._gone.done():
                self._gone.set_exception(AgentError("Cannot reconnect to Docker daemon."))

        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(fail)


def _sentence(container_id: str, code: int | None) -> str:
    name = f"The container of the flow run ({container_id[:12]})"
    if code is None:
        return f"{name} is gone; its exit code is not known."
    if code > _SIGNALLED:
        with contextlib.suppress(ValueError):
            number = signal.Signals(code - _SIGNALLED).name
            hint = " (the engine does that when memory runs out)" if number == "SIGKILL" else ""
            return f"{name} was killed by {number}{hint}."
    return f"{name} ended with exit code {code}."
