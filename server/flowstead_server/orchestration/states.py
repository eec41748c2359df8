"""State changes of flow runs and task runs.

A change is decided by the transition table on what the run is now, then written by compare-and-set; if the run has
moved meanwhile, it is read and decided again. Concurrent changes go to the database together. A refused change is
answered with the reason, written into the run's log, and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from flowstead_server.domain.errors import FlowsteadError
from flowstead_server.domain.serialized_states import parse_state
from flowstead_server.orchestration.flow_run_states import FlowRunWrite, FlowRunWriter
from flowstead_server.orchestration.task_run_states import TaskRunWrite, TaskRunWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from flowstead_server.db import Database
    from flowstead_server.domain.caller import Caller
    from flowstead_server.domain.serialized_states import ParsedState
    from flowstead_server.orchestration.flow_run_states import Stored
    from flowstead_server.store.flows import WaitingRun


@dataclass(frozen=True, slots=True)
class SetFlowRunState:
    """One member of `set_flow_run_states`. `version` is compared only where version locking is on."""

    flow_run_id: UUID
    state: object
    version: int | None = None


@dataclass(frozen=True, slots=True)
class SetTaskRunState:
    """One member of `set_task_run_states`. `flow_run_version` is accepted and not used, as on the old server."""

    task_run_id: UUID
    state: object
    version: int | None = None
    flow_run_version: int | None = None


@dataclass(frozen=True, slots=True)
class StateResult:
    """The answer for one member that was stored; `QUEUED`: as Queued, because no slot was free, for this reason."""

    id: UUID
    status: Literal["SUCCESS", "QUEUED"] = "SUCCESS"
    message: str | None = None


async def set_flow_run_states(
    database: Database, caller: Caller, members: Sequence[SetFlowRunState]
) -> list[StateResult | FlowsteadError]:
    """Set states; returns for each member its result or the error that kept it (alone) from being stored.

    Errors: BadInputError (no readable state), NotFoundError (unknown run), StateUpdateFailedError (another agent was
    faster), StaleWriteError (the transition table, the claim, or the version refuses).
    """
    now = datetime.now(UTC)

    def write(member: SetFlowRunState) -> FlowRunWrite:
        return FlowRunWrite(caller, member.flow_run_id, parse_state(member.state, now), member.version)

    answers = await _parsed_and_submitted(members, write, database.part(FlowRunWriter).write_all)
    return [_result(member.flow_run_id, answer) for member, answer in zip(members, answers, strict=True)]


async def set_task_run_states(
    database: Database, caller: Caller, members: Sequence[SetTaskRunState]
) -> list[StateResult | FlowsteadError]:
    """As set_flow_run_states. A task run may only start while its flow run's state is Running."""
    now = datetime.now(UTC)

    def write(member: SetTaskRunState) -> TaskRunWrite:
        return TaskRunWrite(caller, member.task_run_id, parse_state(member.state, now), member.version)

    answers = await _parsed_and_submitted(members, write, database.part(TaskRunWriter).write_all)
    return [_result(member.task_run_id, answer) for member, answer in zip(members, answers, strict=True)]


async def cancel_waiting_runs(database: Database, caller: Caller, runs: Sequence[WaitingRun]) -> None:
    """Cancel runs whose flow was archived; one that was started meanwhile goes on."""
    if not runs:
        return
    now = datetime.now(UTC)

    def state(flow_id: UUID) -> ParsedState:
        return parse_state({"type": "Cancelled", "message": f"Flow {flow_id} was archived."}, now)

    writes = [FlowRunWrite(caller, run.id, state(run.flow_id), None, only_if="Scheduled") for run in runs]
    await database.part(FlowRunWriter).write_all(writes)


async def _parsed_and_submitted(
    members: Sequence[Any], write: Callable[[Any], Any], submit: Callable[[list[Any]], Any]
) -> list[Any]:
    answers: list[Any] = []
    writes = []
    for member in members:
        try:
            writes.append(write(member))
            answers.append(None)
        except FlowsteadError as error:
            answers.append(error)
    written = iter(await submit(writes))
    return [next(written) if answer is None else answer for answer in answers]


def _result(run_id: UUID, answer: Stored | FlowsteadError) -> StateResult | FlowsteadError:
    if isinstance(answer, FlowsteadError):
        return answer
    return StateResult(run_id) if answer.queued is None else StateResult(run_id, "QUEUED", answer.queued)
