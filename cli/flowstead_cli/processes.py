"""Programs that a command starts, watches and stops: the server and, for the demo, an agent.

Each child gets a session of its own, so that Ctrl-C in the terminal reaches only the command, which then stops its
children in order and exactly once.  Leaving a `with` block stops the child: politely first, then by force.  On Linux a
child is told to end, too, when the command is killed; only one that is meant to stay outlives it.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType, TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import psutil  # type: ignore[import-untyped] # comes without types

__all__ = [
    "ChildProcess",
    "ServerProcess",
    "TerminationRequested",
    "deferred_signals",
    "descendants",
    "raise_on_termination",
    "stop_orphans",
    "undisturbed",
]

_STOP_TIMEOUT = 15.0
_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG, see prctl(2)
_STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class TerminationRequested(KeyboardInterrupt):
    """SIGTERM or SIGHUP: to a command it means the same as Ctrl-C."""


def _heeded() -> list[int]:
    """Return the signals that may stop a command: `nohup` starts programs with SIGHUP ignored, which has to stay so."""
    return [number for number in _STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]


@contextlib.contextmanager
def raise_on_termination() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into `KeyboardInterrupt` inside the block, so that what was started is stopped."""

    def request(_number: int, _frame: FrameType | None) -> None:
        raise TerminationRequested

    before = {number: signal.signal(number, request) for number in _heeded() if number != signal.SIGINT}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


@contextlib.contextmanager
def _handled_by(handler: Any) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in _heeded()}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def undisturbed() -> contextlib.AbstractContextManager[None]:
    """Ignore Ctrl-C and the like inside the block: what stops children must not stop half-way."""
    return _handled_by(signal.SIG_IGN)


@contextlib.contextmanager
def deferred_signals() -> Iterator[None]:
    """Let Ctrl-C and the like wait until the end of the block: a child must be known before anybody stops it.

    Not by masking them, because a child would inherit the mask.
    """
    received: list[int] = []
    with _handled_by(lambda number, _frame: received.append(number)):
        yield
    for number in received[:1]:
        signal.raise_signal(number)


def _following_this_process() -> Callable[[], None] | None:
    """Return what a child has to do first in order to get SIGTERM when this process ends in whatever way.

    The system sends it also when the thread that started the child ends.  None where the system has no such thing.
    """
    if sys.platform != "linux":
        return None
    import ctypes

    library = ctypes.CDLL(None)
    parent = os.getpid()

    def follow() -> None:
        library.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            signal.raise_signal(signal.SIGTERM)

    return follow


class ChildProcess:
    """A Python module run as a program in a session of its own.

    Args:
        module: what follows `python -m`.
        arguments: the program's arguments.
        env: its whole environment; None inherits this one.
        output: where its standard output and error go; None inherits both.
        pass_fds: file descriptors it inherits.
        stays: whether it goes on when this process ends.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        output: IO[Any] | None = None,
        pass_fds: Sequence[int] = (),
        stays: bool = False,
    ) -> None:
        self.module = module
        self._process = subprocess.Popen(
            # -P: a folder named like one of our packages in the working directory must not be run instead.
            [sys.executable, "-P", "-m", module, *arguments],
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
            pass_fds=pass_fds,
            start_new_session=True,
            preexec_fn=None if stays else _following_this_process(),  # noqa: PLW1509 - commands have no threads here
        )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit code, or None while the process lives."""
        return self._process.poll()

    def wait_for(self, timeout: float) -> int | None:
        """Wait at most `timeout` seconds for the process to end; return its exit code, or None if it lives on."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def wait(self) -> int:
        """Wait for the process to end by itself and return its exit code; Ctrl-C stops it and gives 0."""
        try:
            code = self._process.wait()
        except KeyboardInterrupt:
            code = self.stop()
            return 0 if code in {0, -signal.SIGTERM} else 1
        return code if code >= 0 else 128 - code

    def stop(self, timeout: float = _STOP_TIMEOUT) -> int:
        """Ask the process to end, kill its whole session if it does not within `timeout` seconds; return its code."""
        with undisturbed():
            if self._process.poll() is None:
                self._process.terminate()
                try:
                    self._process.wait(timeout)
                except subprocess.TimeoutExpired:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(self._process.pid, signal.SIGKILL)
                    self._process.wait()
            return self._process.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class ServerProcess(ChildProcess):
    """The API server.

    Args:
        arguments: of `python -m flowstead_server`.
        env: its whole environment; None inherits this one.
        output: where its standard output and error go; None inherits both.
        stays: whether it goes on when this process ends.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        output: IO[Any] | None = None,
        stays: bool = False,
    ) -> None:
        reader, writer = os.pipe()
        try:
            super().__init__(
                "flowstead_server",
                [*arguments, "--ready-fd", str(writer)],
                env=env,
                output=output,
                pass_fds=(writer,),
                stays=stays,
            )
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        self._ready = os.fdopen(reader, encoding="utf-8")

    def wait_until_ready(self) -> dict[str, Any] | None:
        """Wait until the server answers and return what it says about itself, or None if it ended before."""
        with self._ready:
            line = self._ready.readline()
        if not line.strip():
            return None
        ready: dict[str, Any] = json.loads(line)
        return ready


def descendants(pid: int) -> "list[psutil.Process]":
    """Return all processes below a process; none if it has ended."""
    import psutil

    try:
        found: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return found


def stop_orphans(processes: "Sequence[psutil.Process]", timeout: float = 5.0) -> None:
    """End processes that outlived the one that started them: politely, and by force after `timeout` seconds.

    Args:
        processes: what `descendants` returned while their starter lived.
        timeout: seconds until force is used.
    """
    import psutil

    def each(processes: Sequence[psutil.Process], act: Callable[[psutil.Process], None]) -> None:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                act(process)

    with undisturbed():
        each(processes, psutil.Process.terminate)
        _, alive = psutil.wait_procs(processes, timeout=timeout)
        each(alive, psutil.Process.kill)
        psutil.wait_procs(alive, timeout=timeout)
