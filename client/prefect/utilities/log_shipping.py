"""Send the log lines of a run to the API: promptly, in batches, one request at a time, losing nothing it can keep.

A line travels at most `cloud.logging_delay` seconds after the first one that waits with it.  When an upload fails the
batch is kept and tried again as it was, with the same id, after pauses of up to `cloud.logging_heartbeat` seconds, so
that the API stores it once if only its answer was lost.  In an outage that is long, or loud, lines go to disk instead
of memory and are sent in their order when the API is back; what is left at the end of the process, after three more
tries within a bounded time, stays on disk for whoever comes next (see `outbox`).  Each line goes to the API of the run
that it is about, also in a process that works for several.  When the API refuses the lines, because the run belongs to
another process now, they and all later ones are dropped, as are lines that it will never take.  If neither disk nor
memory has room for more, lines are dropped and a line in the log says how many.  Nothing here raises into the code that
logs: trouble is a `UserWarning`.  A forked child starts with nothing pending; what its parent had pending stays the
parent's.
"""

import atexit
import contextlib
import os
import threading
import time
import uuid
import warnings
from collections import deque
from typing import Any

from prefect.configuration import config
from prefect.exceptions import VersionLockMismatchSignal
from prefect.utilities.log_spill import Batch, Destination, Entry, LogSpill
from prefect.utilities.log_uploads import LogUploader, Uploads

__all__ = ["LOG_MANAGER", "Destination", "LogManager", "LogUploader"]

# Sizes are characters of a message plus the fixed cost of the fields around it.
LOG_OVERHEAD = 300
MAX_LOG_SIZE = 1_000_000
MAX_BATCH_LOG_SIZE = 4_000_000
BATCH_LOG_SIZE = 3_000_000
MAX_PENDING_SIZE = 64_000_000
# Beyond these, what waits for an API that is away goes to disk.
_LOUD_SIZE = 8_000_000
_LONG_SECONDS = 5.0
_SPILL_SECONDS = 1.0

_MOST_REFUSED = 64
_FINAL_TRIES = 3
_FINAL_PAUSE = 0.5
_FIRST_PAUSE = 0.2
_WARN_SECONDS = 60.0
_LONGEST_DOUBLING = 16


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
        self._pending: deque[Entry] = deque()
        self._uploads = Uploads(self._uploader)
        self._refused: set[Destination] = set()
        self._pending_size = 0
        self._dropped: dict[tuple[Destination, str], tuple[int, Entry]] = {}
        self._in_flight: Batch | None = None
        self._repeated: Batch | None = None
        self._spill = LogSpill()
        self._spilled_at = 0.0
        self._failures = 0
        self._is_cut_off = False
        self._failing_since: float | None = None
        self._warned_at: float | None = None
        self._urgent = False
        self._stopping = False
        self._failed = False
        self._thread: threading.Thread | None = None

    def after_fork(self) -> None:
        """Forget, in a forked child, the threads, locks and lines of the parent."""
        self._spill.abandon()
        self._reset()

    @property
    def is_cut_off(self) -> bool:
        """Whether lines wait because the API is away."""
        return self._is_cut_off

    @property
    def is_catching_up(self) -> bool:
        """Whether lines that waited on disk are being sent."""
        return bool(self._spill) and self._failing_since is None

    def enqueue(self, line: dict[str, Any], destination: Destination = _AS_CONFIGURED) -> None:
        """Take one line (`flow_run_id, task_run_id, timestamp, name, level, message`) ; never waits."""
        entry = Entry(line, len(line["message"] or "") + LOG_OVERHEAD, destination)
        with self._condition:
            if destination in self._refused:
                return
            if self._pending_size + entry.size > MAX_PENDING_SIZE and not self._spill_pending():
                number, first = self._dropped.get(entry.run, (0, entry))
                self._dropped[entry.run] = number + 1, first
                return
            self._tell_dropped()
            self._keep(entry)
            if self._thread is None:
                self._start()
                return
            if len(self._pending) == 1 or self._pending_size >= BATCH_LOG_SIZE:
                self._condition.notify_all()
            if self._failing_since is not None:
                self._spill_if_due()

    def _keep(self, entry: Entry) -> None:
        self._pending.append(entry)
        self._pending_size += entry.size

    def _start(self) -> None:
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="prefect-log-manager", daemon=True)
        self._thread.start()

    def flush(self, timeout: float = 10.0) -> bool:
        """Upload what is pending now; returns whether all of it was stored within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self._condition:
            self._tell_dropped()
            if self._thread is None:
                return not self._is_pending()
            self._urgent = True
            self._failed = False
            self._condition.notify_all()
            while (self._is_pending() or self._in_flight) and not self._failed:
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not self._condition.wait(remaining):
                    break
            self._urgent = False
            return not self._is_pending() and self._in_flight is None

    def stop(self, timeout: float = 10.0) -> None:
        """Upload what is pending with up to three tries and `timeout` seconds, and end the thread.

        What could not be uploaded is left on disk for another process.
        """
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
        with self._condition:
            self._spill_pending()
            self._spill.leave()

    def serve(self, flow_run_id: str) -> None:
        """Say that this process is there for one flow run: if it is killed, that run has no process any more."""
        self._spill.main_run = flow_run_id

    def spill(self) -> None:
        """Put on disk what is pending, so that it goes before what the caller is about to put there."""
        with self._condition:
            self._tell_dropped()
            self._spill_pending()

    # -- the thread --------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        me = threading.current_thread()
        while True:
            with self._condition:
                while not self._is_pending() and not self._stopping:
                    self._condition.wait()
                if self._stopping or self._thread is not me:
                    return
                try:
                    batch = self._take_batch()
                except OSError as problem:
                    # Too many open files, say: what is on disk can be read later.
                    self._note_failure(problem, 0)
                    self._pause(me)
                    continue
                if batch is None:
                    continue
                self._in_flight = batch
            error = self._uploads.send(batch)
            with self._condition:
                self._in_flight = None
                if error is None:
                    self._succeeded(batch)
                elif isinstance(error, VersionLockMismatchSignal):
                    self._take_refusal(batch.entries[0].destination)
                else:
                    self._take_failure(batch, error)
                    self._pause(me)

    def _is_pending(self) -> bool:
        return bool(self._pending or self._spill)

    def _await_company(self) -> None:
        """Wait, holding the lock, until the delay is over, a batch is full, or somebody is in a hurry."""
        deadline = time.monotonic() + float(config.cloud.get("logging_delay", 0.05))
        while not (self._urgent or self._stopping or self._pending_size >= BATCH_LOG_SIZE):
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return
            self._condition.wait(remaining)

    def _take_batch(self) -> Batch | None:
        if self._spill:
            return self._spill.take()
        if self._repeated is None:
            self._await_company()
            if self._spill:  # they went to disk meanwhile
                return self._spill.take()
        batch, self._repeated = self._repeated, None
        if batch is not None:
            for _ in batch.entries:
                self._pending.popleft()
            self._pending_size -= batch.size
            return batch
        return self._cut_batch()

    def _cut_batch(self) -> Batch | None:
        if not self._pending:
            return None
        batch = Batch(str(uuid.uuid4()))
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
        return batch

    def _succeeded(self, batch: Batch) -> None:
        self._failed = self._is_cut_off = False
        self._failures = 0
        self._failing_since = self._warned_at = None
        if batch.file is not None:
            self._spill.sent(batch)
        self._tell_dropped()
        self._condition.notify_all()

    def _take_refusal(self, destination: Destination) -> None:
        if len(self._refused) >= _MOST_REFUSED:
            self._refused.clear()
        self._refused.add(destination)
        self._pending = deque(entry for entry in self._pending if entry.destination != destination)
        self._pending_size = sum(entry.size for entry in self._pending)
        self._spill.drop(destination)
        self._condition.notify_all()

    def _take_failure(self, batch: Batch, error: BaseException) -> None:
        if batch.file is None:
            self._pending.extendleft(reversed(batch.entries))
            self._pending_size += batch.size
            self._repeated = batch
        self._note_failure(error, batch.size)

    def _note_failure(self, error: BaseException, size: int) -> None:
        self._failures += 1
        self._is_cut_off = _is_outage(error)
        if self._failing_since is None:
            self._failing_since = time.monotonic()
        self._failed = True
        self._urgent = False
        self._condition.notify_all()
        self._warn(error, size)

    def _pause(self, me: threading.Thread) -> None:
        """Wait, holding the lock, before the next attempt; what is logged meanwhile goes to disk if it is to."""
        longest = float(config.cloud.get("logging_heartbeat", 5))
        pause = min(longest, _FIRST_PAUSE * 2 ** min(self._failures - 1, _LONGEST_DOUBLING))
        end = time.monotonic() + pause
        while not (self._urgent or self._stopping) and self._thread is me:
            self._spill_if_due()
            remaining = end - time.monotonic()
            if remaining <= 0:
                return
            delay = float(config.cloud.get("logging_delay", 0.05)) if self._pending else remaining
            self._condition.wait(min(remaining, max(0.01, delay)))

    # -- the disk ----------------------------------------------------------------------------------------------------

    def _spill_if_due(self) -> None:
        since = self._failing_since
        if since is None or not self._pending:
            return
        now = time.monotonic()
        # Each piece is a request later: the longer the outage, the larger the pieces.
        delay = max(float(config.cloud.get("logging_delay", 0.05)), min(_SPILL_SECONDS, (now - since) / 60))
        if self._pending_size > _LOUD_SIZE or (now - since > _LONG_SECONDS and now - self._spilled_at >= delay):
            self._spill_pending()
            self._spilled_at = now

    def _spill_pending(self) -> bool:
        """Put on disk what is in memory; returns whether memory is empty now."""
        if not self._pending and (self._in_flight is None or self._in_flight.file is not None):
            return True
        in_flight = [self._in_flight] if self._in_flight is not None and self._in_flight.file is None else []
        repeated, self._repeated = self._repeated, None
        batches = [repeated] if repeated is not None else []
        for _ in batches:
            for _entry in range(len(batches[0].entries)):
                self._pending.popleft()
            self._pending_size -= batches[0].size
        batches += iter(self._cut_batch, None)
        # What is being sent goes in front, in case it does not arrive.
        left = [batch for batch in self._spill.put([*in_flight, *batches]) if batch not in in_flight]
        for batch in left:
            for entry in batch.entries:
                self._keep(entry)
        if left and left[0] is repeated:
            self._repeated = repeated
        return not left

    # -- what there is to say ----------------------------------------------------------------------------------------

    def _tell_dropped(self) -> None:
        """Say in the logs of the runs concerned, at the place where they are missing, that lines were dropped."""
        while self._dropped and self._pending_size + LOG_OVERHEAD * 2 <= MAX_PENDING_SIZE:
            number, first = self._dropped.pop(next(iter(self._dropped)))
            message = (
                f"{number} log lines are missing here: the API was away, {MAX_PENDING_SIZE:,} characters were waiting "
                "for it in memory, and the disk took no more."
            )
            line = {**first.line, "level": "WARNING", "name": "prefect", "message": message}
            self._keep(Entry(line, len(message) + LOG_OVERHEAD, first.destination))

    def _warn(self, error: BaseException, size: int) -> None:
        now = time.monotonic()
        if self._warned_at is not None and now - self._warned_at < _WARN_SECONDS:
            return
        self._warned_at = now
        text = (
            f"Failed to write logs with error: {error!r}, Pending log length: {size:,}, "
            f"Max batch log length: {MAX_BATCH_LOG_SIZE:,}, Queue size: {len(self._pending):,}"
        )
        # A process that turns warnings into errors must not lose its upload thread to one.
        with contextlib.suppress(Warning):
            warnings.warn(text, stacklevel=2)


def _is_outage(error: BaseException) -> bool:
    from prefect.client.retries import is_outage  # noqa: PLC0415 - only runs under a backend pay for the client

    return is_outage(error)


LOG_MANAGER = LogManager()
atexit.register(LOG_MANAGER.stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=LOG_MANAGER.after_fork)
