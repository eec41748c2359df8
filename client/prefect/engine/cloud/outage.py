"""What the process of a flow run does about an API that is away: it waits, and in the end writes to disk.

All that a run has to ask and to report waits for `cloud.outage_seconds` from the beginning of the outage.  After that
nothing new is begun, and the ends that are known go to the outbox, behind the log of the run; they are sent by an agent
of this machine, or by whoever executes a run here next.  If the disk does not take them they are lost, which the log
says.  Once the end of something is on disk, all later ends of the run go there, so that their order is kept.
"""

import os
import time
import uuid
from typing import TYPE_CHECKING, Any

from prefect.client import Client
from prefect.client.retries import Patience
from prefect.configuration import config
from prefect.utilities.context import context
from prefect.utilities.logging import LOG_MANAGER, get_logger
from prefect.utilities.outbox import Address, OutboxFile, outbox_directory

if TYPE_CHECKING:
    from prefect.engine.state import State

__all__ = [
    "PATIENCE",
    "flush_logs",
    "has_kept",
    "hasty_client",
    "keep_flow_end",
    "keep_line",
    "keep_task_end",
    "patient_client",
    "release",
]

PATIENCE = Patience(lambda: float(config.cloud.get("outage_seconds", 3600)))
_FLUSH_SECONDS = 5.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
_HASTE_SECONDS = 10.0
_files: dict[str, OutboxFile] = {}


def patient_client() -> Client:
    """Return a client that waits for an API that is away as long as this process does."""
    client = Client()
    client.patience = PATIENCE
    return client


def hasty_client() -> Client:
    """Return a client for questions that are not worth a long wait."""
    client = Client()
    client.patience = Patience(lambda: min(_HASTE_SECONDS, PATIENCE.seconds))
    return client


def flush_logs(pause: Any) -> None:
    """Send the log of the run before its end, waiting for an API that is away; `pause(seconds)` sleeps."""
    started, next_pause = time.monotonic(), _FIRST_PAUSE
    while not LOG_MANAGER.flush(_FLUSH_SECONDS) and (LOG_MANAGER.is_cut_off or LOG_MANAGER.is_catching_up):
        if PATIENCE.is_over or time.monotonic() - started >= PATIENCE.seconds:
            return
        if LOG_MANAGER.is_cut_off:
            pause(next_pause)
            next_pause = min(2 * next_pause, _LONGEST_PAUSE)


def has_kept(flow_run_id: str) -> bool:
    """Return whether this process has put something about the run on disk."""
    return flow_run_id in _files


def keep_flow_end(flow_run_id: str, state: "State") -> bool:
    """Keep the end of a flow run on disk; returns False if the disk does not take it."""
    return _keep(flow_run_id, {"flow_state": state.serialize()})


def keep_task_end(flow_run_id: str, task_run_id: str, state: dict[str, Any]) -> bool:
    """Keep a state of a task run on disk, as JSON; returns False if the disk does not take it."""
    return _keep(flow_run_id, {"task_states": [{"task_run_id": task_run_id, "state": state}]})


def keep_line(flow_run_id: str, line: dict[str, Any]) -> bool:
    """Keep a line of the run's log on disk that did not go through its loggers; returns as `keep_flow_end`."""
    return _keep(flow_run_id, {"batch_id": str(uuid.uuid4()), "logs": [line]})


def release() -> None:
    """Let others send what this process keeps; nothing may be kept after that."""
    for file in _files.values():
        file.leave()
    _files.clear()


def _keep(flow_run_id: str, record: dict[str, Any]) -> bool:
    logger = get_logger("CloudFlowRunner")
    try:
        file = _files.get(flow_run_id)
        if file is None:
            logger.warning(
                "The API is away for too long (cloud.outage_seconds is %g). What ends from now on is kept in %s, and "
                "sent by an agent of this machine when the API is back.",
                PATIENCE.seconds,
                outbox_directory(),
            )
            cloud = config.cloud
            address = Address(str(cloud.api), flow_run_id, cloud.get("tenant_id") or None, context.get("claim_token"))
            file = _files[flow_run_id] = OutboxFile.create(outbox_directory(), address, "run", is_main=True)
        LOG_MANAGER.spill()
        file.append(record, durable=True)
    except OSError:
        logger.exception("What the API has to know cannot be kept on disk either, and is lost")
        return False
    return True


def _after_fork() -> None:
    for file in _files.values():
        file.abandon()
    _files.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
