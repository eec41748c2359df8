"""Interrupt threads that run tasks, where that does no harm.

An exception that comes into a thread from outside can come between taking a lock and what sees to giving it back.
Hence threads are interrupted only while they run the code of a user, and not where that takes the lock of a log: a
handler of logging whose lock stays taken would stop everything that logs in this process.  A thread that does nothing
but log is interrupted at its next line, before there is a lock.
"""

import _thread
import contextlib
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

__all__ = ["InterruptibleThreads", "interrupt_main_thread", "raise_if_interrupted", "user_code"]

_PAUSE_SECONDS = 0.005
# Between the first and the last step of these, who else logs may wait for ever; what they call is guarded.
_LOCKING = frozenset({"_acquireLock", "_releaseLock", "acquire", "flush", "handle", "release"})
_SHIPPING = str(Path(__file__).with_name("log_shipping.py"))
_here = threading.local()


@contextlib.contextmanager
def user_code() -> Iterator[None]:
    """Let the calling thread be interrupted in the block, if whoever runs it wants that; else do nothing."""
    threads: InterruptibleThreads | None = getattr(_here, "threads", None)
    with threads.entered() if threads is not None else contextlib.nullcontext():
        yield


def raise_if_interrupted() -> None:
    """Raise `KeyboardInterrupt` if the calling thread runs the code of a user, and was interrupted."""
    threads: InterruptibleThreads | None = getattr(_here, "threads", None)
    if threads is not None:
        threads.raise_if_due()


class InterruptibleThreads:
    """The threads of one pool.

    There is no lock in here, for the reason above: what threads do to the set is one step of the interpreter each.
    """

    def __init__(self) -> None:
        self._idents: set[int] = set()
        self._interrupted = False

    @contextlib.contextmanager
    def of_this_pool(self) -> Iterator[None]:
        """Say that the calling thread belongs here; raises `KeyboardInterrupt` if the threads were interrupted."""
        if self._interrupted:
            raise KeyboardInterrupt
        outer = getattr(_here, "threads", None)
        _here.threads = self
        try:
            yield
        finally:
            _here.threads = outer

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Let the calling thread be interrupted in the block; raises `KeyboardInterrupt` if that is already due."""
        ident = threading.get_ident()
        self._idents.add(ident)
        try:
            if self._interrupted:
                raise KeyboardInterrupt
            yield
        finally:
            self._idents.discard(ident)

    def raise_if_due(self) -> None:
        """See `raise_if_interrupted`."""
        if self._interrupted and threading.get_ident() in self._idents:
            raise KeyboardInterrupt

    def interrupt(self, seconds: float) -> None:
        """Raise `KeyboardInterrupt` in the threads, and wait until they are out of the code of users.

        Returns after so many seconds at the latest: a thread that waits in C does not notice before it is back.
        """
        self._interrupted = True
        deadline = time.monotonic() + seconds
        done: set[int] = set()
        while self._idents and time.monotonic() < deadline:
            done.update(ident for ident in list(self._idents) if ident not in done and self._interrupt_one(ident))
            time.sleep(_PAUSE_SECONDS)

    def _interrupt_one(self, ident: int) -> bool:
        """Interrupt a thread unless it takes the lock of a log; returns whether it was interrupted."""
        import ctypes  # noqa: PLC0415 - few processes interrupt threads, and every one imports this module

        def interrupt() -> None:
            if ident in self._idents:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(KeyboardInterrupt))

        return _unless_delicate(ident, interrupt)


def interrupt_main_thread() -> None:
    """Do what Ctrl-C does, when the main thread does not take the lock of a log, after a second at the latest."""
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        if sys.platform == "win32":
            _thread.interrupt_main()
        else:
            # Unlike interrupt_main, a real signal also ends a sleep or a read.
            signal.pthread_kill(main, signal.SIGINT)

    deadline = time.monotonic() + 1.0
    while not _unless_delicate(main, interrupt):
        if time.monotonic() > deadline:
            interrupt()
            return
        time.sleep(_PAUSE_SECONDS)


def _unless_delicate(ident: int, act: Callable[[], None]) -> bool:
    """Act unless the thread takes the lock of a log; returns whether it did not."""
    interval = sys.getswitchinterval()
    # The thread shall not go on between the look at it and the act.
    sys.setswitchinterval(1.0)
    try:
        if _is_delicate(sys._current_frames().get(ident)):  # noqa: SLF001 - documented, despite its name
            return False
        act()
    finally:
        sys.setswitchinterval(interval)
    return True


def _is_delicate(frame: FrameType | None) -> bool:
    """Return whether a thread may be about to take or to give back a lock of a log."""
    if frame is not None and frame.f_code.co_filename == logging.__file__ and frame.f_code.co_name in _LOCKING:
        return True
    while frame is not None:
        if frame.f_code.co_filename == _SHIPPING:
            return True
        frame = frame.f_back
    return False
