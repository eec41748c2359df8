"""Deciding and writing states of flow runs, in batches.

A run that would become Submitted or Running and finds no free slot of a concurrency limit becomes Queued instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flowstead_server.domain.errors import (
    ConflictError,
    FlowsteadError,
    NotFoundError,
    StaleWriteError,
    StateUpdateFailedError,
)
from flowstead_server.domain.hints import TAG_SLOTS
from flowstead_server.domain.states import (
    ENDING_NAMES,
    FINISHED_NAMES,
    RUNNING_NAMES,
    SCHEDULED_NAMES,
    Rule,
    Subject,
    transition,
)
from flowstead_server.orchestration.batcher import Batcher
from flowstead_server.orchestration.claims import is_repetition
from flowstead_server.orchestration.refusals import Refusal, record_refusals
from flowstead_server.store import states as store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from flowstead_server.db import Database, Transaction
    from flowstead_server.domain.caller import Caller
    from flowstead_server.domain.serialized_states import ParsedState

# Rounds in a row in which every run of the batch was changed by somebody else first.
_MAX_LOST_ROUNDS: Final = 50
# States of a flow run in which a task run may be Running.
_HAS_RUN: Final = RUNNING_NAMES | FINISHED_NAMES
_MAY_HOLD_SLOTS: Final = RUNNING_NAMES | {"Submitted"}


class RunMovedError(FlowsteadError):
    """The run is no longer where the caller looked at it; only for writes that ask for that."""

    code = "VERSION_LOCKING_ERROR"


@dataclass(frozen=True, slots=True)
class FlowRunWrite:
    """A wanted change. `only_from` (a version) or `only_if` (a state name): else RunMovedError, and no record of it."""

    caller: Caller
    flow_run_id: UUID
    state: ParsedState
    version: int | None
    only_from: int | None = None
    only_if: str | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A change that was stored: the run's version. `queued`: the run is Queued instead, for this reason."""

    version: int
    queued: str | None = None


class _News:
    """What followers are to hear after the commits of a batch."""

    def __init__(self) -> None:
        self._changed: set[UUID] = set()
        self._queues: dict[UUID, set[int]] = {}
        self._freed: set[UUID] = set()

    def note(self, before: store.FlowRunNow, change: store.FlowRunChange, row: store.Written) -> None:
        """Take note of a change that was written."""
        self._changed.add(row.id)
        # Whoever looks at the queue also hears which of its runs are to be stopped.
        if row.waits or change.state == "Cancelling":
            self._queues.setdefault(row.tenant_id, set()).add(row.label_set_id)
        if before.is_limited and before.state in _MAY_HOLD_SLOTS and change.state not in _MAY_HOLD_SLOTS:
            self._freed.add(row.tenant_id)
        # task runs that it leaves Running hold no slots any more; a run that succeeds leaves none
        if before.state in RUNNING_NAMES and change.state not in RUNNING_NAMES | {"Success"}:
            self._queues.setdefault(row.tenant_id, set()).add(TAG_SLOTS)

    def tell(self, database: Database) -> None:
        """Say it."""
        if self._changed:
            database.hints.runs_changed(self._changed)
        for tenant_id, label_set_ids in self._queues.items():
            database.hints.queue_changed(tenant_id, label_set_ids)
        for tenant_id in self._freed:
            database.hints.slots_freed(tenant_id)


class FlowRunWriter:
    """Writes states of flow runs of one database. Get it with `database.part(FlowRunWriter)`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._batcher: Batcher[FlowRunWrite, Stored] = Batcher(self._run, weigh=lambda item: len(item.state.payload))

    async def write(self, write: FlowRunWrite) -> Stored:
        """Return what was stored. Raises what `decide` says."""
        return await self._batcher.submit(write)

    async def write_all(self, writes: Sequence[FlowRunWrite]) -> list[Stored | FlowsteadError]:
        """Return what was stored for each run, or its error."""
        return await self._batcher.submit_all(writes)

    async def _run(self, writes: list[FlowRunWrite]) -> list[Stored | FlowsteadError]:
        answers: dict[int, Stored | FlowsteadError] = {}
        refusals: list[Refusal] = []
        news = _News()
        lost_rounds = 0
        while lost_rounds < _MAX_LOST_ROUNDS and (round_ := _first_per_run(writes, answers)):
            answered = len(answers)
            wanted = {(item.caller.tenant_id, item.flow_run_id): item.state.name for item in round_.values()}
            runs = await store.read_flow_runs(self._database, wanted, wanted)
            changes: dict[int, store.FlowRunChange] = {}
            for index, item in round_.items():
                run = runs.get((item.caller.tenant_id, item.flow_run_id))
                if run is not None and is_repetition(item.caller, run.claim_token, run.same_state, item.state):
                    answers[index] = Stored(run.version)
                    continue
                try:
                    changes[index] = decide(item, run)
                except FlowsteadError as error:
                    answers[index] = error
                    if isinstance(error, StaleWriteError) and run is not None:
                        refusals.append(Refusal(item.caller.tenant_id, run.id, None, error.message))
            written = await self._write(list(changes.values()))
            for index, change in changes.items():
                row = written.get(change.id)
                if row is None:
                    continue
                answers[index] = Stored(row.version, row.queued)
                news.note(runs[row.tenant_id, row.id], change, row)
            lost_rounds = 0 if len(answers) > answered else lost_rounds + 1
        news.tell(self._database)
        await record_refusals(self._database, refusals)
        busy = ConflictError("The run is changed by too many callers at once; please try again.")
        return [answers.get(index, busy) for index in range(len(writes))]

    async def _write(self, changes: list[store.FlowRunChange]) -> dict[UUID, store.Written]:
        if not changes:
            return {}
        if not any(change.state == "Cancelled" or change.reopens for change in changes):
            return await store.write_flow_runs(self._database, changes)

        async def work(transaction: Transaction) -> dict[UUID, store.Written]:
            written = await store.write_flow_runs(transaction, changes)
            cancelled = [change for change in changes if change.state == "Cancelled" and change.id in written]
            if cancelled:
                await store.cancel_task_runs(transaction, cancelled)
            reopened = [change.id for change in changes if change.reopens and change.id in written]
            if reopened:
                await store.reopen_task_runs(transaction, reopened)
            return written

        return await self._database.transact(work)


def _first_per_run(
    writes: Sequence[FlowRunWrite], answers: dict[int, Stored | FlowsteadError]
) -> dict[int, FlowRunWrite]:
    # changes of one run go one after the other, in the order they came
    seen: set[UUID] = set()
    round_: dict[int, FlowRunWrite] = {}
    for index, item in enumerate(writes):
        if index not in answers and item.flow_run_id not in seen:
            seen.add(item.flow_run_id)
            round_[index] = item
    return round_


def decide(item: FlowRunWrite, run: store.FlowRunNow | None) -> store.FlowRunChange:
    """Return the change to write. Raises the error that the caller gets instead."""
    if run is None:
        raise NotFoundError(f"State update failed for flow run ID {item.flow_run_id}")
    _check_not_moved(item, run)
    _check_not_stale(item, run)
    name = item.state.name
    mine = item.caller.claim_token is not None
    return store.FlowRunChange(
        id=run.id,
        tenant_id=item.caller.tenant_id,
        seen_version=run.version,
        seen_claim=run.claim_token,
        state=name,
        message=item.state.message,
        start_time=item.state.start_time,
        payload=item.state.payload,
        # of a run that starts, a trigger finds out when its waiting task runs need an agent
        queue_time=item.state.start_time if name in SCHEDULED_NAMES else None,
        is_ending=name in ENDING_NAMES,
        is_live=name in RUNNING_NAMES or name == "Submitted",
        # whoever puts a run back, or cancels it, without owning it ends what its owner may still write
        fences=(name in SCHEDULED_NAMES or name == "Cancelled") and not mine,
        reopens=name in SCHEDULED_NAMES and not mine and run.state in _HAS_RUN,
        agent_id=item.caller.agent_id if name == "Submitted" else None,
        takes_slot=run.is_limited and name in {"Submitted", "Running"} and run.state not in RUNNING_NAMES,
    )


def _check_not_moved(item: FlowRunWrite, run: store.FlowRunNow) -> None:
    moved = item.only_from is not None and run.version != item.only_from
    if moved or (item.only_if is not None and run.state != item.only_if):
        raise RunMovedError(f"State update failed for flow run ID {run.id}: its state is {run.state} now.")


def _check_not_stale(item: FlowRunWrite, run: store.FlowRunNow) -> None:
    name = item.state.name
    token = item.caller.claim_token
    if token is not None and token != run.claim_token:
        raise StaleWriteError(
            f"State update failed for flow run ID {run.id}: {name} was sent by a process whose claim on the run has "
            "ended.",
            run.id,
        )
    if run.version_locking and item.version is not None and item.version != run.version:
        raise StaleWriteError(
            f"State update failed for flow run ID {run.id}: {name} was sent for version {item.version}, but the run is "
            f"at version {run.version}.",
            run.id,
        )
    rule = transition(Subject.FLOW_RUN, run.state, name)
    if rule is Rule.ALREADY_SUBMITTED:
        raise StateUpdateFailedError("State update failed: this run has already been submitted.")
    if rule is Rule.STALE:
        raise StaleWriteError(
            f"State update failed for flow run ID {run.id}: a run that is {run.state} does not become {name}; "
            "it runs again after Scheduled.",
            run.id,
        )
