"""Send the log lines of a run to the API: promptly, in batches, one request at a time, losing nothing it can keep.

A line travels at most `cloud.logging_delay` seconds after the first one that waits with it.  When an upload fails the
batch is kept and tried again as it was, with the same id, every `cloud.logging_heartbeat` seconds, so that the API
stores it once if only its answer was lost; what is still pending at the end of the process gets three more tries within
a bounded time.  Each line goes to the API of the run that it is about, also in a process that works for several.  When
the API refuses the lines, because the run belongs to another process now, they and all later ones are dropped, as are
lines that it will never take.  Nothing here raises into the code that logs: trouble is a `UserWarning`.
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
from typing import Any, NamedTuple, Protocol

from prefect.configuration import config
from prefect.exceptions import VersionLockMismatchSignal

__all__ = ["LOG_MANAGER", "Destination", "LogManager", "LogUploader"]

# Sizes are characters of a message plus the fixed cost of the fields around it.
LOG_OVERHEAD = 300
MAX_LOG_SIZE = 1_000_000
MAX_BATCH_LOG_SIZE = 4_000_000
BATCH_LOG_SIZE = 3_000_000
MAX_PENDING_SIZE = 64_000_000

_MOST_CLIENTS = 64
_RUN_IS_GONE = "FOREIGN_KEY_VIOLATION"
_NEVER = frozenset({_RUN_IS_GONE, "BAD_USER_INPUT"})
_FINAL_TRIES = 3
_FINAL_PAUSE = 0.5


class Destination(NamedTuple):
    """Where lines go: which API, as whom, and as which claim of a flow run; what is None is as configured."""

    api: str | None = None
    api_key: str | None = None
    tenant_id: str | None = None
    claim_token: str | None = None


class _Entry(NamedTuple):
    line: dict[str, Any]
    size: int
    destination: Destination


class LogUploader(Protocol):
    """What the manager needs of a client."""

    def write_run_logs(self, logs: list[dict[str, Any]], batch_id: str) -> None:
        """Store the lines, once for each `batch_id`; raises if they were not stored."""


@dataclass(slots=True)
class _Batch:
    """Lines that travel together, to one destination."""

    entries: list[_Entry] = field(default_factory=list)
    size: int = 0
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


_AS_CONFIGURED = Destination()


class LogManager:
    """Collects lines from every thread and uploads them from one thread of its own; see the module's docstring.

    `uploader` takes the lines of all destinations; by default each has a `Client`, made when it is needed.
    """

    def __init__(self, uploader: LogUploader | None = None) -> None:
        self._uploader = uploader
        self._reset()

    def _reset(self) -> None:
        self._condition = threading.Condition()
        self._pending: deque[_Entry] = deque()
        self._clients: dict[Destination, LogUploader] = {}
        self._refused: set[Destination] = set()
        self._pending_size = 0
        self._dropped = 0
        self._in_flight = 0
        self._repeated: _Batch | None = None
        self._urgent = False
        self._stopping = False
        self._failed = False
        self._thread: threading.Thread | None = None

    def after_fork(self) -> None:
        """Forget, in a forked child, the threads, locks and lines of the parent."""
        self._reset()

    def enqueue(self, line: dict[str, Any], destination: Destination = _AS_CONFIGURED) -> None:
        """Take one line (`flow_run_id, task_run_id, timestamp, name, level, message`) for upload; never blocks."""
        size = len(line["message"] or "") + LOG_OVERHEAD
        with self._condition:
            if destination in self._refused:
                return
            if self._pending_size + size > MAX_PENDING_SIZE:
                self._dropped += 1
                return
            self._pending.append(_Entry(line, size, destination))
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
            destination = batch.entries[0].destination
            error = self._upload(batch)
            with self._condition:
                self._in_flight = 0
                if isinstance(error, VersionLockMismatchSignal):
                    self._refused.add(destination)
                    self._pending = deque(entry for entry in self._pending if entry.destination != destination)
                    self._pending_size = sum(entry.size for entry in self._pending)
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
            destination = self._pending[0].destination
            while (
                self._pending
                and self._pending[0].destination == destination
                and (not batch.entries or batch.size + self._pending[0].size <= BATCH_LOG_SIZE)
            ):
                entry = self._pending.popleft()
                batch.entries.append(entry)
                batch.size += entry.size
        self._pending_size -= batch.size
        self._in_flight = len(batch.entries)
        return batch

    def _upload(self, batch: "_Batch") -> BaseException | None:
        destination = batch.entries[0].destination
        try:
            uploader = self._uploader or self._clients.get(destination) or self._connect(destination)
            self._write(uploader, [entry.line for entry in batch.entries], batch.id)
        except BaseException as error:
            return error
        return None

    def _write(self, uploader: LogUploader, lines: list[dict[str, Any]], batch_id: str) -> None:
        """Upload lines; those that the API will never take are dropped, lest all others wait for them."""
        try:
            uploader.write_run_logs(lines, batch_id)
        except Exception as error:
            code = getattr(error, "code", None)
            if code not in _NEVER:
                raise
            if len(lines) == 1 or (code == _RUN_IS_GONE and len({line["flow_run_id"] for line in lines}) == 1):
                with contextlib.suppress(Warning):
                    warnings.warn(f"The API refuses {len(lines)} log lines, which are dropped: {error}", stacklevel=2)
                return
            half = len(lines) // 2
            for part, name in ((lines[:half], "first"), (lines[half:], "second")):
                self._write(uploader, part, str(uuid.uuid5(uuid.UUID(batch_id), name)))

    def _connect(self, destination: Destination) -> LogUploader:
        from prefect.client import Client  # noqa: PLC0415 - only runs under a backend pay for the client
        from prefect.client.endpoint import CLAIM_TOKEN_HEADER  # noqa: PLC0415 - as above

        client = Client(destination.api, destination.api_key, destination.tenant_id)
        if destination.claim_token:
            client.attach_headers({CLAIM_TOKEN_HEADER: destination.claim_token})
        if len(self._clients) >= _MOST_CLIENTS:
            self._clients.clear()
            self._refused.clear()
        self._clients[destination] = client
        return client

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
