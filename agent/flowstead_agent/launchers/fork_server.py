"""The fork server: a process with the library imported and no threads, which forks one child per flow run.

Run as `python -P -m flowstead_agent.launchers.fork_server MODULE...`, or forked off the process that is about to become
the agent (`fork_off`), which then has most of its memory in common with it.  It reads requests from standard input, or
a pipe, and answers on what was its standard output, or another pipe (see `framing`):

- `{"do": "launch", "id", "environment", "directory", "output", "entry"}` answers `{"launched": id, "pid"}` or
  `{"refused": id, "reason"}`
- `{"do": "signal", "pid", "signal"}` signals the process group of a child that has not been reaped yet
- when a child ends: `{"ended": pid, "code"}`, the code being negative for a signal
- once, when everything is imported: `{"ready": true}`

End of input means that the agent is gone: the server ends and leaves its children alone; they belong to themselves.
A bad frame ends it with a traceback and exit code 1; the agent notices and starts another.
"""

import atexit
import contextlib
import gc
import importlib
import os
import selectors
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from flowstead_agent.launchers.fork_child import ChildPlan, become_child, search_path_without_environment
from flowstead_agent.launchers.framing import FrameReader, encode
from flowstead_agent.launchers.process_title import set_title

__all__ = ["ForkServer", "ForkedOff", "fork_off", "main"]

_READ_BYTES = 1 << 16


class ForkServer:
    """Serves requests until its input ends; in a forked child, `serve` returns the plan of what to become."""

    def __init__(self, requests: int, answers: int) -> None:
        self._requests = requests
        self._answers = answers
        self._children: set[int] = set()
        self._base_path = search_path_without_environment()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)

    def serve(self) -> ChildPlan | None:
        """Answer requests.  Returns `None` when the input has ended, and a plan in every forked child."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # A handler must exist for the wake-up descriptor to be written; the work is done in the loop.
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        frames = FrameReader()
        selector = selectors.DefaultSelector()
        selector.register(self._requests, selectors.EVENT_READ)
        selector.register(self._wake_read, selectors.EVENT_READ)
        self._answer({"ready": True})
        while True:
            ready = {key.fd for key, _ in selector.select()}
            if self._wake_read in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_read, _READ_BYTES)
                self._reap()
            if self._requests in ready:
                data = os.read(self._requests, _READ_BYTES)
                if not data:
                    return None
                for message in frames.feed(data):
                    plan = self._handle(message)
                    if plan is not None:
                        selector.close()
                        return plan

    def _handle(self, message: dict[str, Any]) -> ChildPlan | None:
        if message["do"] == "launch":
            return self._launch(message)
        if message["do"] == "signal" and message["pid"] in self._children:
            _signal_group(message["pid"], message["signal"])
        return None

    def _launch(self, message: dict[str, Any]) -> ChildPlan | None:
        try:
            # Opened here and not by the child: the agent removes the file's name when it hears of the child.
            output = os.open(message["output"], os.O_WRONLY | os.O_APPEND)
        except OSError as error:
            self._answer({"refused": message["id"], "reason": str(error)})
            return None
        try:
            pid = os.fork()
        except OSError as error:
            os.close(output)
            self._answer({"refused": message["id"], "reason": str(error)})
            return None
        if pid == 0:
            self._leave()
            return ChildPlan(
                environment=message["environment"],
                directory=message["directory"],
                output=output,
                entry=message["entry"],
                base_path=self._base_path,
            )
        os.close(output)
        self._children.add(pid)
        self._answer({"launched": message["id"], "pid": pid})
        return None

    def _leave(self) -> None:
        """Drop what belongs to the server, in a child."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for descriptor in (self._requests, self._answers, self._wake_read, self._wake_write):
            os.close(descriptor)

    def _reap(self) -> None:
        while self._children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._children.discard(pid)
            self._answer({"ended": pid, "code": os.waitstatus_to_exitcode(status)})

    def _answer(self, message: dict[str, Any]) -> None:
        data = memoryview(encode(message))
        while data:
            data = data[os.write(self._answers, data) :]


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        # not yet the leader of its own group
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


class _SparedModules:
    """Spares every child the teardown of modules that it shares with the server: 15 ms that clean up nothing.

    Modules that a child imports itself are torn down as in any program, so that their open files are flushed.
    """

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()

    def keep(self) -> None:
        """Keep what is imported by now alive for ever; followed by `gc.freeze`."""
        self._names = tuple(name for name in sys.modules if name not in {"sys", "builtins", "__main__"})
        kept: list[Any] = [sys.modules[name] for name in self._names]
        # Nothing but the list refers to the list, and the collector does not look at what was frozen.
        kept.append(kept)

    def leave(self) -> None:
        """Take them out of the interpreter's sight, as the last exit handler."""
        for name in self._names:
            sys.modules.pop(name, None)


@dataclass(frozen=True, slots=True)
class ForkedOff:
    """A fork server that is a child of this process."""

    pid: int
    requests: int
    """descriptor to write requests to; closing it ends the server"""
    answers: int
    """descriptor to read answers from"""


def fork_off(modules: Sequence[str]) -> ForkedOff | None:
    """Import `modules` and fork a server off this process; None if that is not possible here.

    It is not in a process that has threads or unusual standard streams, and only where the server can be told from its
    parent by name: who ends agents with `pkill -f` does not mean their flow runs.  In every child of the server, the
    call ends by `SystemExit`: whoever calls this has nothing of its own to do on the way out.
    """
    if sys.platform != "linux" or threading.active_count() > 1 or not _has_usual_streams():
        return None
    spared = _SparedModules()
    _load(modules, spared)
    requests_read, requests_write = os.pipe()
    answers_read, answers_write = os.pipe()
    # What is still in a buffer would be printed by both.
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    try:
        pid = os.fork()
    except OSError:
        pid = None
    if pid == 0:
        os.close(requests_write)
        os.close(answers_read)
        # a Ctrl-C in the agent's terminal is for the agent
        os.setsid()
        set_title("flowstead_agent.launchers.fork_server")
        _take_leave_of_streams()
        _serve(requests_read, answers_write, spared)
    os.close(requests_read)
    os.close(answers_write)
    if pid is None:
        os.close(requests_write)
        os.close(answers_read)
        return None
    return ForkedOff(pid, requests_write, answers_read)


def _has_usual_streams() -> bool:
    """Return whether output goes where a child expects it, which is not so when somebody closed the descriptors."""
    try:
        return (sys.stdout.fileno(), sys.stderr.fileno()) == (1, 2)
    except (AttributeError, OSError, ValueError):
        return False


def main(modules: list[str]) -> NoReturn:
    """Import `modules`, serve, and end as the server or as one of its children.  Never returns."""
    requests = os.dup(sys.stdin.fileno())
    answers = os.dup(sys.stdout.fileno())
    _take_leave_of_streams()
    spared = _SparedModules()
    _load(modules, spared)
    _serve(requests, answers, spared)


def _take_leave_of_streams() -> None:
    # Whatever an imported module prints must not get between the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with open(os.devnull, "rb") as null:  # noqa: PTH123 - a descriptor is wanted, not a path
        os.dup2(null.fileno(), 0)


def _load(modules: Sequence[str], spared: "_SparedModules") -> None:
    for module in modules:
        importlib.import_module(module)
    gc.collect()
    spared.keep()
    # Children share what exists now for as long as the collector does not write into it.
    gc.freeze()


def _serve(requests: int, answers: int, spared: "_SparedModules") -> NoReturn:
    try:
        plan = ForkServer(requests, answers).serve()
    except BrokenPipeError:
        plan = None  # the agent is gone
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    if plan is None:
        os._exit(0)
    try:
        code: str | int | None = become_child(plan)
    except SystemExit as end:
        code = end.code
    except BaseException as error:
        # Printed here and not by whoever forked the server off, far up the stack.
        traceback.print_exc()
        code = 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    # As at the end of any program; then the only handler that is left is the one that has to be the last.
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - as `multiprocessing` does in its children
    atexit._run_exitfuncs()  # noqa: SLF001 - as above
    atexit.register(spared.leave)
    sys.exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
