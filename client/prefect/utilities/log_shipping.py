"""Send the log lines of a run to the API: promptly, in batches, one request at a time, losing nothing it can keep.

A line travels at most `cloud.logging_delay` seconds after the first one that waits with it.  When an upload fails the
batch is kept and tried again as it was, with the same id, every `cloud.logging_heartbeat` seconds, so that the API
stores it once if only its answer was lost; what is still pending at the end of the process gets three more tries within
a bounded time.  When the API refuses the lines, because the run belongs to another process
now, they and all later ones are dropped.  Nothing here raises into the code that logs: trouble is a `UserWarning`.
A forked child starts with nothing pending; what its parent had pending stays the parent's.
"""

import atexit
import contextlib
import os
import threading
import time
import uuid
import warnings
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Protocol

from prefect.configuration import config
from prefect.exceptions import VersionLockMismatchSignal

__all__ = ["LOG_MANAGER", "LogManager", "LogUploader"]

# Sizes are characters of a message plus the fixed cost of the fields around it.
LOG_OVERHEAD = 300
MAX_LOG_SIZE = 1_000_000
MAX_BATCH_LOG_SIZE = 4_000_000
BATCH_LOG_SIZE = 3_000_000
MAX_PENDING_SIZE = 64_000_000

_FINAL_TRIES = 3
_FINAL_PAUSE = 0.5


class LogUploader(Protocol):
    """What the manager needs of a client."""

    def write_run_logs(self, logs: list[dict[str, Any]], batch_id: str) -> None:
        """Store the lines, once for each `batch_id`; raises if they were not stored."""


@dataclass(slots=True)
class _Batch:
    """Lines that travel together, each with its size."""

    entries: list[tuple[dict[str, Any], int]] = field(default_factory=list)
    size: int = 0
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


class LogManager:
    """Collects lines from every thread and uploads them from one thread of its own; see the module's docstring.

    `uploader` defaults to a `Client`, made when the first line is uploaded.
    """

    def __init__(self, uploader: LogUploader | None = None) -> None:
        self._uploader = uploader
        self._reset()

    def _reset(self) -> None:
        self._condition = threading.Condition()
        self._pending: deque[tuple[dict[str, Any], int]] = deque()
        self._pending_size = 0
        self._dropped = 0
        self._in_flight = 0
        self._repeated: _Batch | None = None
        self._urgent = False
        self._stopping = False
        self._failed = False
        self._refused = False
        self._thread: threading.Thread | None = None

    def after_fork(self) -> None:
        """Forget, in a forked child, the threads, locks and lines of the parent."""
        self._uploader = None
        self._reset()

    def enqueue(self, line: dict[str, Any]) -> None:
        """Take one line (`flow_run_id, task_run_id, timestamp, name, level, message`) for upload; never blocks."""
        size = len(line["message"] or "") + LOG_OVERHEAD
        with self._condition:
            if self._refused:
                return
            if self._pending_size + size > MAX_PENDING_SIZE:
                self._dropped += 1
                return
            self._pending.append((line, size))
            self._pending_size += size
            if self._thread is None:
                self._start()
            elif len(self._pending) == 1 or self._pending_size >= BATCH_LOG_SIZE:
                self._condition.notify_all()

    def _start(self) -> None:
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="prefect-log-manager", daemon=True)
        self._thread.start()

    def flush(self, timeout: float = 10.0) -> bool:
        """Upload what is pending now; returns whether all of it was stored within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self._condition:
            if self._thread is None:
                return not self._pending
            self._urgent = True
            self._failed = False
            self._condition.notify_all()
            while (self._pending or self._in_flight) and not self._failed:
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not self._condition.wait(remaining):
                    break
            self._urgent = False
            return not self._pending and not self._in_flight

    def stop(self, timeout: float = 10.0) -> None:
        """Upload what is pending with up to three tries and `timeout` seconds, and end the thread."""
        deadline = time.monotonic() + timeout
        for attempt in range(_FINAL_TRIES):
            remaining = deadline - time.monotonic()
            if remaining <= 0 or self.flush(remaining):
                break
            if attempt < _FINAL_TRIES - 1:
                time.sleep(min(_FINAL_PAUSE, max(0.0, remaining)))
        with self._condition:
            thread, self._thread = self._thread, None
            self._stopping = True
            self._condition.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(max(0.1, deadline - time.monotonic()))

    def _work(self) -> None:
        me = threading.current_thread()
        while True:
            with self._condition:
                while not self._pending and not self._stopping:
                    self._condition.wait()
                if self._stopping or self._thread is not me:
                    return
                self._await_company()
                batch = self._take_batch()
            error = self._upload(batch)
            with self._condition:
                self._in_flight = 0
                if isinstance(error, VersionLockMismatchSignal):
                    self._refused = True
                    self._pending.clear()
                    self._pending_size = 0
                    self._condition.notify_all()
                    continue
                if error is None:
                    self._failed = False
                    self._condition.notify_all()
                    continue
                self._pending.extendleft(reversed(batch.entries))
                self._pending_size += batch.size
                self._repeated = batch
                self._failed = True
                self._urgent = False
                self._condition.notify_all()
                self._warn(error, batch.size)
                self._condition.wait_for(
                    lambda: self._urgent or self._stopping, timeout=float(config.cloud.get("logging_heartbeat", 5))
                )

    def _await_company(self) -> None:
        """Wait, holding the lock, until the delay is over, a batch is full, or somebody is in a hurry."""
        deadline = time.monotonic() + float(config.cloud.get("logging_delay", 0.05))
        while not (self._urgent or self._stopping or self._pending_size >= BATCH_LOG_SIZE):
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return
            self._condition.wait(remaining)

    def _take_batch(self) -> "_Batch":
        batch, self._repeated = self._repeated, None
        if batch is not None:
            for _ in batch.entries:
                self._pending.popleft()
        else:
            batch = _Batch()
            while self._pending and (not batch.entries or batch.size + self._pending[0][1] <= BATCH_LOG_SIZE):
                entry = self._pending.popleft()
                batch.entries.append(entry)
                batch.size += entry[1]
        self._pending_size -= batch.size
        self._in_flight = len(batch.entries)
        return batch

    def _upload(self, batch: "_Batch") -> BaseException | None:
        try:
            if self._uploader is None:
                from prefect.client import Client  # noqa: PLC0415 - only runs under a backend pay for the client

                self._uploader = Client()
            self._uploader.write_run_logs([line for line, _ in batch.entries], batch.id)
        except BaseException as error:
            return error
        return None

    def _warn(self, error: BaseException, size: int) -> None:
        text = (
            f"Failed to write logs with error: {error!r}, Pending log length: {size:,}, "
            f"Max batch log length: {MAX_BATCH_LOG_SIZE:,}, Queue size: {len(self._pending):,}"
        )
        if self._dropped:
            text += f", Dropped because {MAX_PENDING_SIZE:,} characters were pending already: {self._dropped:,}"
            self._dropped = 0
        # A process that turns warnings into errors must not lose its upload thread to one.
        with contextlib.suppress(Warning):
            warnings.warn(text, stacklevel=2)


LOG_MANAGER = LogManager()
atexit.register(LOG_MANAGER.stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=LOG_MANAGER.after_fork)
