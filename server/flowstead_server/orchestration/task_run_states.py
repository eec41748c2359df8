"""Deciding and writing states of task runs, in batches.

A task run that would become Running and finds no free slot for one of its tags becomes Queued instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

from flowstead_server.domain.errors import ConflictError, FlowsteadError, NotFoundError, StaleWriteError
from flowstead_server.domain.errors import StateUpdateFailedError as UpdateFailedError
from flowstead_server.domain.hints import TAG_SLOTS
from flowstead_server.domain.serialized_states import with_cached_inputs
from flowstead_server.domain.states import ENDING_NAMES, RUNNING_NAMES, Rule, Subject, transition
from flowstead_server.orchestration.batcher import Batcher
from flowstead_server.orchestration.claims import is_repetition
from flowstead_server.orchestration.flow_run_states import Stored
from flowstead_server.orchestration.refusals import Refusal, record_refusals
from flowstead_server.store import states as store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from flowstead_server.db import Database
    from flowstead_server.domain.caller import Caller
    from flowstead_server.domain.serialized_states import ParsedState

# Rounds in a row in which every run of the batch was changed by somebody else first.
_MAX_LOST_ROUNDS: Final = 50


@dataclass(frozen=True, slots=True)
class TaskRunWrite:
    """A wanted change of a task run."""

    caller: Caller
    task_run_id: UUID
    state: ParsedState
    version: int | None


class TaskRunWriter:
    """Writes states of task runs of one database. Get it with `database.part(TaskRunWriter)`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._batcher: Batcher[TaskRunWrite, Stored] = Batcher(self._run, weigh=lambda item: len(item.state.payload))

    async def write_all(self, writes: Sequence[TaskRunWrite]) -> list[Stored | FlowsteadError]:
        """Return what was stored for each task run, or its error."""
        return await self._batcher.submit_all(writes)

    async def _run(self, writes: list[TaskRunWrite]) -> list[Stored | FlowsteadError]:
        answers: dict[int, Stored | FlowsteadError] = {}
        refusals: list[Refusal] = []
        changed: set[UUID] = set()
        freed: set[UUID] = set()
        lost_rounds = 0
        while lost_rounds < _MAX_LOST_ROUNDS and (round_ := _first_per_run(writes, answers)):
            answered = len(answers)
            wanted = {(item.caller.tenant_id, item.task_run_id): item.state.name for item in round_.values()}
            runs = await store.read_task_runs(self._database, wanted, wanted)
            changes: dict[int, store.TaskRunChange] = {}
            for index, item in round_.items():
                run = runs.get((item.caller.tenant_id, item.task_run_id))
                if run is not None:
                    state = _to_store(item.state, run)
                    if is_repetition(item.caller, run.claim_token, run.same_state, state):
                        answers[index] = Stored(run.version)
                        continue
                try:
                    changes[index] = decide(item, run)
                except FlowsteadError as error:
                    answers[index] = error
                    if isinstance(error, StaleWriteError) and run is not None:
                        refusals.append(Refusal(item.caller.tenant_id, run.flow_run_id, run.id, error.message))
            written = await store.write_task_runs(self._database, list(changes.values())) if changes else {}
            for index, change in changes.items():
                row = written.get(change.id)
                if row is not None:
                    answers[index] = Stored(row.version, row.queued)
                    changed.add(change.flow_run_id)
                    if runs[change.tenant_id, change.id].is_limited and change.state != "Running":
                        freed.add(change.tenant_id)
            lost_rounds = 0 if len(answers) > answered else lost_rounds + 1
        if changed:
            self._database.hints.runs_changed(changed)
        for tenant_id in freed:
            self._database.hints.queue_changed(tenant_id, {TAG_SLOTS})
        await record_refusals(self._database, refusals)
        busy = ConflictError("The task run is changed by too many callers at once; please try again.")
        return [answers.get(index, busy) for index in range(len(writes))]


def _first_per_run(
    writes: Sequence[TaskRunWrite], answers: dict[int, Stored | FlowsteadError]
) -> dict[int, TaskRunWrite]:
    seen: set[UUID] = set()
    round_: dict[int, TaskRunWrite] = {}
    for index, item in enumerate(writes):
        if index not in answers and item.task_run_id not in seen:
            seen.add(item.task_run_id)
            round_[index] = item
    return round_


def _to_store(state: ParsedState, run: store.TaskRunNow) -> ParsedState:
    if run.cached_inputs is not None and not state.cached_inputs:
        return with_cached_inputs(state, orjson.loads(run.cached_inputs))
    return state


def decide(item: TaskRunWrite, run: store.TaskRunNow | None) -> store.TaskRunChange:
    """Return the change to write. Raises the error that the caller gets instead."""
    if run is None:
        raise NotFoundError(f"State update failed for task run ID {item.task_run_id}")
    name = item.state.name
    token = item.caller.claim_token
    is_live = name in RUNNING_NAMES
    if token is not None and token != run.claim_token:
        raise StaleWriteError(
            f"State update failed for task run ID {run.id}: {name} was sent by a process whose claim on the flow run "
            "has ended.",
            run.id,
        )
    if run.version_locking and item.version is not None and item.version != run.version:
        raise StaleWriteError(
            f"State update failed for task run ID {run.id}: {name} was sent for version {item.version}, but the task "
            f"run is at version {run.version}.",
            run.id,
        )
    if is_live and run.flow_run_state != "Running":
        raise UpdateFailedError(
            f"State update failed for task run ID {run.id}: provided a running state but associated flow run "
            f"{run.flow_run_id} is not in a running state."
        )
    # Secrets and resources are no exception of the table but begin anew: their engine says so by Running alone.
    if transition(Subject.TASK_RUN, None if run.is_repeated else run.state, name) is Rule.STALE:
        raise StaleWriteError(
            f"State update failed for task run ID {run.id}: a task run that is {run.state} does not become {name}; "
            "it runs again after Pending or Scheduled.",
            run.id,
        )
    state = _to_store(item.state, run)
    return store.TaskRunChange(
        id=run.id,
        tenant_id=item.caller.tenant_id,
        flow_run_id=run.flow_run_id,
        seen_version=run.version,
        state=name,
        message=state.message,
        start_time=state.start_time,
        payload=state.payload,
        is_ending=name in ENDING_NAMES,
        is_live=is_live,
        claim_token=token,
        takes_slot=run.is_limited and name == "Running" and run.state != "Running",
    )
