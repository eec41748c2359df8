"""Runs coroutines for synchronous callers: one background thread with one event loop per process.

The thread starts with the first call and ends at interpreter exit.  A forked child starts its own; what belonged to
the parent is left alone.  After the thread has ended (late exit handlers), calls run in the calling thread.
`generation()` changes whenever objects that belong to the loop have to be made anew.
"""

import asyncio
import atexit
import os
import socket
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any, TypeVar

__all__ = ["closed", "generation", "iterate", "on_close", "run"]

T = TypeVar("T")
_EXIT_TIMEOUT = 3.0
_END = object()


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that still finds hosts while the interpreter exits, when no thread can be started any more."""

    async def getaddrinfo(
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - the name that asyncio gives it
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        """Resolve in a thread as usual, or right here after the main thread has ended."""
        if threading.main_thread().is_alive():
            return await super().getaddrinfo(host, port, family=family, type=type, proto=proto, flags=flags)
        return socket.getaddrinfo(host, port, family, type, proto, flags)


class _Bridge:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.thread: threading.Thread | None = None
        self.closed = False

    def running_loop(self) -> asyncio.AbstractEventLoop:
        with self.lock:
            if self.loop is None:
                self.loop = _Loop()
                self.thread = threading.Thread(target=self._serve, name="prefect-client", daemon=True)
                self.thread.start()
            return self.loop

    def _serve(self) -> None:
        assert self.loop is not None
        try:
            self.loop.run_forever()
        finally:
            self.loop.run_until_complete(_cancel_others())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()

    def stop(self) -> None:
        self.closed = True
        if self.loop is not None and self.thread is not None:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(_EXIT_TIMEOUT)


_bridge = _Bridge()
_generation = 0
_abandoned: list[_Bridge] = []
_closers: "weakref.WeakSet[_Closer]" = weakref.WeakSet()


class _Closer:
    """Something to be closed before the loop stops; kept by its owner."""

    def __init__(self, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.close = close


async def _cancel_others() -> None:
    """Cancel what callers, who are gone, were still waiting for."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def closed() -> bool:
    """Return whether the interpreter is exiting and the thread is gone."""
    return _bridge.closed


def generation() -> int:
    """Return a number that differs from an earlier one if this process got a new loop since then."""
    return _generation


def on_close(close: Callable[[], Coroutine[Any, Any, None]]) -> object:
    """Have `close()` awaited at interpreter exit, as long as the caller keeps the returned object."""
    closer = _Closer(close)
    _closers.add(closer)
    return closer


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine, or raise what it raises; an interrupted caller cancels it."""
    if _bridge.closed:
        with asyncio.Runner(loop_factory=_Loop) as runner:
            return runner.run(coroutine)
    future = asyncio.run_coroutine_threadsafe(coroutine, _bridge.running_loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


async def _next(generator: AsyncGenerator[T, None]) -> T | object:
    try:
        return await anext(generator)
    except StopAsyncIteration:
        return _END


async def _close(generator: AsyncGenerator[T, None]) -> None:
    with suppress(RuntimeError):  # it is still running its last step, which was cancelled
        await generator.aclose()


def iterate(generator: AsyncGenerator[T, None]) -> Iterator[T]:
    """Yield what an asynchronous generator yields; it is closed when the caller stops, for whatever reason."""
    try:
        while True:
            item = run(_next(generator))
            if item is _END:
                return
            yield item  # type: ignore[misc]  # not the sentinel, hence a T
    finally:
        if not _bridge.closed:
            run(_close(generator))


def _at_exit() -> None:
    async def close_all() -> None:
        pending = [closer.close() for closer in list(_closers)]
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*pending, return_exceptions=True), _EXIT_TIMEOUT)

    if _bridge.loop is not None and not _bridge.closed:
        run(close_all())
    global _generation  # noqa: PLW0603 - the process has one bridge
    _bridge.stop()
    _generation += 1


def _after_fork() -> None:
    """Give the child a bridge of its own; the parent's objects are kept so that nothing finalises them here."""
    global _bridge, _generation  # noqa: PLW0603 - the process has one bridge
    _abandoned.append(_bridge)
    _bridge = _Bridge()
    _generation += 1


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
