"""Tell the API the states of task runs, with fewer requests than states.

The end of a task run that nothing speaks against waits for the next change that this process sends for the flow run,
at most `PATIENCE` seconds, and travels in front of it: the API stores both at once, so a task never starts before the
ends of those before it are stored.  Every other change is sent when it is made, together with those of other threads,
and its answer is awaited.  While the API is away, ends are kept, on disk when it is away for too long; nothing is
started any more then.  What the API refuses is logged and remembered.  Only the process that opened a flow run's writer
has it; a forked child has none.
"""

import contextlib
import itertools
import os
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prefect._generated import operations as ops
from prefect.client.encoding import dumps
from prefect.client.errors import MalformedAnswerError, RequestTooLargeError, error_from_answer
from prefect.client.facade.states import queued_state
from prefect.client.retries import is_outage
from prefect.engine.cloud.outage import keep_task_end
from prefect.engine.state import Failed, Mapped, Skipped, State, Success
from prefect.exceptions import VersionLockMismatchSignal
from prefect.utilities.context import context
from prefect.utilities.logging import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prefect._generated.task_runs import SetTaskRunStatesState
    from prefect.client import Client

__all__ = ["PATIENCE", "StateWriter", "writer_of"]

PATIENCE = 0.02
_MOST_CHANGES = 200
_MOST_BYTES = 10_000
_PAUSE = 1.0
_WAITING_KINDS = (Success, Mapped, Skipped)
_open: "dict[str, StateWriter]" = {}
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open.clear)


def writer_of(flow_run_id: str | None) -> "StateWriter | None":
    """Return the writer that this process has open for a flow run."""
    return _open.get(flow_run_id or "")


@dataclass(slots=True, eq=False)
class _Change:
    task_run_id: str
    version: int | None
    state: State
    data: dict[str, Any]
    waits: bool = False
    is_substitute: bool = False
    made: float = 0.0
    is_done: bool = False
    answer: State | None = None
    error: BaseException | None = None


class StateWriter:
    """The changes of one flow run's task runs; `refused` holds what the API said against ends that waited."""

    def __init__(self, client: "Client", flow_run_id: str) -> None:
        self.refused: list[BaseException] = []
        self._client = client
        self._flow_run_id = flow_run_id
        # The thread that sends what nobody else did must be recognised as the run's process, too.
        self._identity = {
            "flow_run_id": flow_run_id,
            "claim_token": context.get("claim_token"),
            "running_with_backend": True,
        }
        self._logger = get_logger("CloudTaskRunner")
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._changes: deque[_Change] = deque()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_idle = False
        self._most_changes = _MOST_CHANGES
        self._gave_up: Exception | None = None

    @contextlib.contextmanager
    def opened(self) -> "Iterator[StateWriter]":
        """Be the writer of the flow run in this process during the block; `flush` before its end."""
        _open[self._flow_run_id] = self
        try:
            yield self
        finally:
            _open.pop(self._flow_run_id, None)
            self._closed.set()
            with self._changed:
                self._changed.notify_all()

    def write(self, task_run_id: str, state: State, version: int | None = None) -> State:
        """Send a change, after those that wait, and return the state to go on with; as `Client.set_task_run_state`."""
        change = _Change(task_run_id, version, state, state.serialize())
        with self._changed:
            self._changes.append(change)
        try:
            while not change.is_done:
                with self._sending:
                    # Another thread may have sent it while this one waited for its turn.
                    if not change.is_done:
                        self._send()
        finally:
            if not change.is_done:
                with self._changed, contextlib.suppress(ValueError):
                    self._changes.remove(change)
        if change.error is not None:
            raise change.error
        assert change.answer is not None
        return change.answer

    def write_later(self, task_run_id: str, state: State) -> bool:
        """Let the end of a task run wait for other changes; returns False, and does nothing, if it should not."""
        if type(state) not in _WAITING_KINDS:
            return False
        data = state.serialize()
        body = dumps(data)
        # What the API might refuse is asked for its opinion.
        if len(body) > _MOST_BYTES or b"\\u0000" in body:
            return False
        self._wait(_Change(task_run_id, None, state, data, waits=True))
        return True

    def flush(self) -> None:
        """Send what waits; raises what `Client.execute` raises."""
        while self._changes:
            with self._sending:
                if self._changes:
                    self._send()

    def give_up(self, error: Exception) -> None:
        """Wait for the API no longer, but keep on disk what is to be said; raises `error` if that does not take it."""
        self._gave_up = error
        self.flush()

    def _wait(self, change: _Change) -> None:
        change.made = time.monotonic()
        with self._changed:
            self._changes.append(change)
            if self._thread is None:
                self._thread = threading.Thread(target=self._send_what_waits, name="prefect-states", daemon=True)
                self._thread.start()
            elif self._is_idle:
                self._changed.notify_all()

    def _send(self) -> None:
        batch: list[_Change] = []
        try:
            with self._changed:
                batch += itertools.islice(self._changes, self._most_changes)
                for _ in batch:
                    self._changes.popleft()
            answers = self._ask(batch)
        except BaseException as error:
            if not self._take_failure(batch, error):
                raise
            return
        for change, answer in zip(batch, answers, strict=True):
            if answer.status == "REFUSED":
                refusal = {"message": answer.message, "extensions": {"code": answer.code}}
                change.error = error_from_answer([refusal])
                if change.waits:
                    self._take_refusal(change, change.error)
            else:
                change.answer = queued_state(answer.message) if answer.status == "QUEUED" else change.state
            change.is_done = True

    def _take_failure(self, batch: list[_Change], error: BaseException) -> bool:
        """Put back what is to be sent again, and answer the rest; returns whether whoever asked need not hear of it."""
        if isinstance(error, RequestTooLargeError) and len(batch) > 1:
            # Whoever waits for its change sends again, and less at a time from now on.
            self._most_changes = len(batch) // 2
            with self._changed:
                self._changes.extendleft(reversed(batch))
            return True
        is_final = isinstance(error, (Exception, VersionLockMismatchSignal))
        if isinstance(error, Exception) and is_outage(error):
            self._gave_up = error
        kept = []
        for change in batch:
            if self._gave_up is not None and not change.state.is_running() and self._keep(change):
                change.answer, change.is_done = change.state, True
            elif is_final and not change.waits:
                change.error, change.is_done = error, True
            else:
                kept.append(change)
        with self._changed:
            self._changes.extendleft(reversed(kept))
        return is_final and len(kept) < len(batch)

    def _keep(self, change: _Change) -> bool:
        return keep_task_end(self._flow_run_id, change.task_run_id, change.data)

    def _ask(self, batch: list[_Change]) -> "Sequence[SetTaskRunStatesState]":
        if self._gave_up is not None:
            # What is on disk goes first, and it is not this process that sends it.
            raise self._gave_up
        states = [{"task_run_id": one.task_run_id, "version": one.version, "state": one.data} for one in batch]
        answers = self._client.execute(ops.set_task_run_states(states=states, report_refusals=True)).states
        if len(answers) != len(batch):
            raise MalformedAnswerError(f"The API gave {len(answers)} answers to {len(batch)} changes of state.")
        return answers

    def _take_refusal(self, change: _Change, error: BaseException) -> None:
        self._logger.error("Failed to set task state with error: %r", error)
        self.refused.append(error)
        if not change.is_substitute and isinstance(error, Exception):
            # Left Running, the task run would never end.
            failed = Failed(f"The state {type(change.state).__name__} could not be stored: {error}")
            self._wait(_Change(change.task_run_id, None, failed, failed.serialize(), waits=True, is_substitute=True))

    def _send_what_waits(self) -> None:
        with context(self._identity):
            while not self._closed.is_set():
                with self._changed:
                    self._is_idle = not self._changes
                    if self._is_idle:
                        self._changed.wait()
                        self._is_idle = False
                        continue
                    oldest = self._changes[0]
                if oldest.waits:
                    self._closed.wait(max(0.0, oldest.made + PATIENCE - time.monotonic()))
                if self._closed.is_set():
                    return
                try:
                    with self._sending:
                        if self._changes and self._changes[0] is oldest:
                            self._send()
                except Exception as error:
                    self._logger.warning("The ends of task runs could not be stored yet: %r", error)
                    self._closed.wait(_PAUSE)
