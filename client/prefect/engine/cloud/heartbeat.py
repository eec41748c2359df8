"""Tell the API that the process of a flow run is alive, while its tasks run.

A thread of the process beats.  In the mode "process" a small process watches it (see `watchdog`), and beats in its
stead while code holds the interpreter so that no thread can run; it is started only for runs that last, and ends with
the process that it speaks for.  A beat that cannot be sent is logged and the next one tried: it ends neither the
thread nor the run.  A beat that the API refuses, because the run belongs to another process now, calls `on_refused`
once.
"""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from prefect._generated import operations as ops
from prefect.client.encoding import dumps
from prefect.client.endpoint import HEARTBEAT_HEADER
from prefect.configuration import config
from prefect.engine.cloud import watchdog
from prefect.exceptions import VersionLockMismatchSignal
from prefect.utilities.context import context
from prefect.utilities.logging import get_logger

if TYPE_CHECKING:
    from prefect.client import Client

__all__ = ["heartbeat"]

# Runs shorter than this pay neither for beats nor for a process that watches them.
_WATCHED_AFTER = 2.0
# After so many intervals without a beat the thread is taken for stuck.
_PATIENT_INTERVALS = 1.5
_MODES = ("process", "thread", "off")


@contextlib.contextmanager
def heartbeat(
    client: "Client", flow_run_id: str, on_refused: Callable[[], None], *, enabled: bool = True
) -> Iterator[None]:
    """Beat every `cloud.heartbeat_interval` seconds while the block runs, in the configured mode, if `enabled`."""
    mode = str(config.cloud.heartbeat_mode).lower()
    if mode not in _MODES:
        get_logger("CloudFlowRunner").error(
            "The setting cloud.heartbeat_mode is %r; it must be one of %s. Using 'thread'.", mode, ", ".join(_MODES)
        )
        mode = "thread"
    if mode == "off" or not enabled:
        yield
        return
    done = threading.Event()
    values = dict(context.__dict__)
    target = _beat_watched if mode == "process" else _beat
    thread = threading.Thread(
        target=_in_context,
        args=(values, target, client, flow_run_id, done, on_refused),
        name="prefect-heartbeat",
        daemon=True,
    )
    thread.start()
    try:
        yield
    finally:
        done.set()
        # A beat that hangs must not keep the run from ending.
        thread.join(1.0)


def _in_context(values: dict[str, Any], target: Callable[..., None], *args: Any) -> None:
    with context(values):
        target(*args)


def _send(client: "Client", flow_run_id: str) -> bool:
    """Send one beat; returns False if the API refuses beats of this process."""
    try:
        client.update_flow_run_heartbeat(flow_run_id)
    except VersionLockMismatchSignal:
        return False
    except Exception as error:
        get_logger("threaded_heartbeat").exception(f"Failed to send heartbeat with exception: {error!r}")
    return True


def _beat(client: "Client", flow_run_id: str, done: threading.Event, on_refused: Callable[[], None]) -> None:
    while not done.is_set():
        if not _send(client, flow_run_id):
            on_refused()
            return
        done.wait(float(config.cloud.heartbeat_interval))


def _beat_watched(client: "Client", flow_run_id: str, done: threading.Event, on_refused: Callable[[], None]) -> None:
    interval = float(config.cloud.heartbeat_interval)
    # That the run became Running was a sign of life; a short run needs no other.
    if done.wait(min(_WATCHED_AFTER, interval)):
        return
    started = time.monotonic()
    if not _send(client, flow_run_id):
        on_refused()
        return
    watcher = _Watchdog.started(client, flow_run_id)
    try:
        if done.wait(max(0.0, started + interval - time.monotonic())):
            return
        while not done.is_set():
            if watcher is not None and not watcher.tick():
                if watcher.was_refused:
                    on_refused()
                    return
                get_logger("CloudFlowRunner").error("Heartbeat process died with exit code %s", watcher.code)
                watcher.end()
                watcher = None
            if not _send(client, flow_run_id):
                on_refused()
                return
            done.wait(float(config.cloud.heartbeat_interval))
    finally:
        if watcher is not None:
            watcher.end()


class _Watchdog:
    """The process that watches this one."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    @classmethod
    def started(cls, client: "Client", flow_run_id: str) -> "_Watchdog | None":
        """Start it; returns None, after saying so, if that is not possible."""
        interval = float(config.cloud.heartbeat_interval)
        request = ops.update_flow_run_heartbeat(flow_run_id=flow_run_id)
        url, headers, body = client.as_sent(request, headers={HEARTBEAT_HEADER: str(flow_run_id)})
        order = {
            "parent": os.getpid(),
            "after": _PATIENT_INTERVALS * interval,
            "interval": interval,
            "timeout": client.session.endpoint.timeout,
            "url": url,
            "headers": headers,
            "body": body.decode(),
            "cafile": _certificates() if url.startswith("https:") else None,
        }
        try:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
                # Neither the settings of the interpreter nor any package: what it does not load it does not pay for.
                [sys.executable, "-I", "-S", watchdog.__file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError:
            get_logger("CloudFlowRunner").exception(
                "Heartbeat process failed to start.  This could result in a zombie run."
            )
            return None
        it = cls(process)
        # The key of the API is in there, so it is no argument, which others could read.
        it._write(dumps(order) + b"\n")
        return it

    def tick(self) -> bool:
        """Say that the thread of this process is at work; returns False if nobody hears it."""
        return self._process.poll() is None and self._write(b".")

    @property
    def code(self) -> int | None:
        """How it ended."""
        return self._process.wait()

    @property
    def was_refused(self) -> bool:
        """Whether it ended because the API refuses beats of this process."""
        return self.code == watchdog.REFUSED

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()

    def _write(self, data: bytes) -> bool:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except OSError:
            return False
        return True


def _certificates() -> str | None:
    """Return the file of certificates that requests of this process trust; None for the system's own."""
    if os.environ.get("SSL_CERT_FILE"):
        return os.environ["SSL_CERT_FILE"]
    try:
        import certifi  # noqa: PLC0415 - httpx depends on it
    except ImportError:
        return None
    return certifi.where()
