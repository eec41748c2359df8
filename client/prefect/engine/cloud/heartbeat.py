"""Tell the API that the process of a flow run is alive, while its tasks run.

Mode "thread" beats from a thread of this process; mode "process" from a process of its own, so that code which holds
the interpreter does not stop the beats; it is started only for runs that last, and ends with the process that it
speaks for.  A beat that cannot be sent is logged and the next one tried; a beat that the API refuses, because the run
belongs to another process now, calls `on_refused` once.
"""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from prefect.configuration import config
from prefect.exceptions import VersionLockMismatchSignal
from prefect.utilities.context import context
from prefect.utilities.logging import get_logger

if TYPE_CHECKING:
    from prefect.client import Client

__all__ = ["heartbeat"]

# Runs shorter than this never pay for a process of their own.
_PROCESS_AFTER = 2.0
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
    target = _beat_by_process if mode == "process" else _beat
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


def _send(client: "Client", flow_run_id: str, logger_name: str) -> bool:
    """Send one beat; returns False if the API refuses beats of this process."""
    try:
        client.update_flow_run_heartbeat(flow_run_id)
    except VersionLockMismatchSignal:
        return False
    except Exception as error:
        get_logger(logger_name).exception(f"Failed to send heartbeat with exception: {error!r}")
    return True


def _beat(client: "Client", flow_run_id: str, done: threading.Event, on_refused: Callable[[], None]) -> None:
    while not done.is_set():
        if not _send(client, flow_run_id, "threaded_heartbeat"):
            on_refused()
            return
        done.wait(float(config.cloud.heartbeat_interval))


def _beat_by_process(client: "Client", flow_run_id: str, done: threading.Event, on_refused: Callable[[], None]) -> None:
    if not _send(client, flow_run_id, "threaded_heartbeat"):
        on_refused()
        return
    if done.wait(min(_PROCESS_AFTER, float(config.cloud.heartbeat_interval))):
        return
    logger = get_logger("CloudFlowRunner")
    environment = {
        **os.environ,
        "PREFECT__CLOUD__API": client.api_server,
        "PREFECT__CLOUD__API_KEY": client.api_key or "",
    }
    try:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
            [sys.executable, "-m", "prefect.engine.cloud.heartbeat", flow_run_id, str(os.getpid())],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        logger.exception("Heartbeat process failed to start.  This could result in a zombie run.")
        _beat(client, flow_run_id, done, on_refused)
        return
    try:
        while not done.wait(1.0):
            code = process.poll()
            if code == _REFUSED:
                on_refused()
                return
            if code is not None:
                logger.error("Heartbeat process died with exit code %s", code)
                # The run is not to be taken for dead because its messenger is.
                _beat(client, flow_run_id, done, on_refused)
                return
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


_REFUSED = 3


def _main(flow_run_id: str, parent: int) -> int:
    """Beat until the process that we speak for is gone; the body of the heartbeat process."""
    from prefect.client import Client  # noqa: PLC0415 - only this process begins here

    client = Client()
    logger = get_logger("subprocess_heartbeat")
    pause = threading.Event()
    with context(flow_run_id=flow_run_id, running_with_backend=True):
        try:
            while os.getppid() == parent:
                if not _send(client, flow_run_id, "subprocess_heartbeat"):
                    return _REFUSED
                pause.wait(float(config.cloud.heartbeat_interval))
        except BaseException as error:
            logger.error("Heartbeat process encountered terminal exception: %r", error)  # noqa: TRY400 - often a signal
            raise
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1], int(sys.argv[2])))
