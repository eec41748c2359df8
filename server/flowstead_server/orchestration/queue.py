"""The queue of waiting runs: the atomic claim of our agents, and the polling of 1.4.1 agents.

A claim is one statement that takes runs no other claim can have, and gives each a token; every write of the run's agent
and process carries it, and a write with an older one is refused. A claim is a lease: a run whose process does not reach
Running in time returns to the queue, and its next claim ends the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from flowstead_server.domain.errors import BadInputError, NotFoundError
from flowstead_server.domain.labels import normalized
from flowstead_server.domain.serialized_states import simple_state
from flowstead_server.orchestration.flow_run_states import FlowRunWrite, FlowRunWriter
from flowstead_server.store import agents
from flowstead_server.store import queue as store
from flowstead_server.store.queue import ClaimedFlowRun, Claims, RunsReady
from flowstead_server.store.states import reopen_task_runs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from flowstead_server.db import Database
    from flowstead_server.domain.caller import Caller

__all__ = [
    "ClaimFlowRuns",
    "ClaimedFlowRun",
    "Claims",
    "ExtendFlowRunClaims",
    "ExtendedClaims",
    "GetRunsInQueue",
    "RunsReady",
    "claim_flow_runs",
    "extend_flow_run_claims",
    "get_runs_in_queue",
    "runs_ready",
]

MAX_CLAIM: Final = 100
MAX_EXTENDED: Final = 10_000
DEFAULT_LEASE_SECONDS: Final = 30
LEASE_SECONDS: Final = range(5, 3601)
_ATTEMPTS: Final = 3
# States in which a run was with somebody who has not come back to it in time.
_LEFT: Final = {
    "Submitted": "The agent that claimed this run did not start it in time; it waits again.",
    "Queued": "The process that waited for this run has not asked for it in time; it waits again.",
}


@dataclass(frozen=True, slots=True)
class GetRunsInQueue:
    """A poll. `before`: runs that start up to then, default now; null labels: none."""

    before: datetime | None = None
    labels: Sequence[str] | None = None
    tenant_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ClaimFlowRuns:
    """A claim. `limit` 1 to 100, default 1; `before`: at most 60 s ahead, default now; `lease_seconds` 5 to 3600."""

    agent_id: UUID
    labels: Sequence[str] | None = None
    limit: int | None = None
    before: datetime | None = None
    lease_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class ExtendFlowRunClaims:
    """Claims (flow run id, claim token) that an agent still works on."""

    agent_id: UUID
    claims: Sequence[tuple[UUID, UUID]]
    lease_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class ExtendedClaims:
    """When the leases end now (null if none holds), the runs whose claim has ended, and those to be stopped."""

    lease_expires: datetime | None
    lost: list[UUID]
    cancelling: list[UUID]


async def get_runs_in_queue(database: Database, caller: Caller, request: GetRunsInQueue) -> list[UUID]:
    """Return up to 25 runs that an agent with these labels may start, earliest first.

    If the caller's agent is known, others are not handed the same runs for 15 seconds. Raises BadInputError.
    """
    if request.tenant_id not in {None, caller.tenant_id}:
        return []
    labels = normalized(request.labels or ())
    polled = await store.poll(database, caller.tenant_id, caller.agent_id, labels, _utc(request.before))
    left = [run for run in polled if run.state in _LEFT]
    if left:
        # an agent that polls deploys runs in state Scheduled only
        now = datetime.now(UTC)
        owner = _owner(caller)
        states = {name: simple_state("Scheduled", _LEFT[name], now, start_time=now.isoformat()) for name in _LEFT}
        await database.part(FlowRunWriter).write_all(
            [FlowRunWrite(owner, run.id, states[run.state], None, only_if=run.state) for run in left]
        )
    return [run.id for run in polled if run.state not in _LEFT]


def _owner(caller: Caller) -> Caller:
    # the server itself acts here, so no claim is to be proven
    return type(caller)(caller.tenant_id)


async def claim_flow_runs(database: Database, caller: Caller, request: ClaimFlowRuns) -> Claims:
    """Claim runs for an agent: they are the agent's to start until their lease ends.

    Raises NotFoundError (unknown agent) and BadInputError (limit, lease, labels).
    """
    limit = 1 if request.limit is None else request.limit
    if not 1 <= limit <= MAX_CLAIM:
        raise BadInputError(f"The limit of a claim must be 1 to {MAX_CLAIM}, but it is {limit}.")
    lease = _lease(request.lease_seconds)
    labels = normalized(request.labels or ())
    claimed: list[ClaimedFlowRun] = []
    attempts = _ATTEMPTS
    while True:
        attempts -= 1
        missing = limit - len(claimed)
        claims = await store.claim(
            database, caller.tenant_id, request.agent_id, labels, _utc(request.before), missing, lease
        )
        if claims is None:
            raise NotFoundError(f"Agent {request.agent_id} is not registered; register it first.")
        restarted = [run.id for run in claims.flow_runs if run.restart]
        if restarted:
            # Before the agent hears of its claim: the new process must find nothing that seems to run.
            await reopen_task_runs(database, restarted)
        claimed += claims.flow_runs
        # With less than what was there and wanted, other claims were at work at the same moment, or runs that were seen
        # share a limit: the next look leaves them out.
        if len(claims.flow_runs) >= min(missing, claims.seen) or (attempts <= 0 and not claims.flow_runs):
            if claimed:
                database.hints.runs_changed([run.id for run in claimed])
            return Claims(claimed, claims.next_start_time, claims.seen, claims.now)


async def extend_flow_run_claims(database: Database, caller: Caller, request: ExtendFlowRunClaims) -> ExtendedClaims:
    """Extend leases. A run that has reached Running needs none, and its claim counts as held.

    Raises NotFoundError (unknown agent) and BadInputError (lease, too many claims).
    """
    lease = _lease(request.lease_seconds)
    if len(request.claims) > MAX_EXTENDED:
        raise BadInputError(f"At most {MAX_EXTENDED} claims can be extended at once, not {len(request.claims)}.")
    if not await agents.touch(database, caller.tenant_id, request.agent_id):
        raise NotFoundError(f"Agent {request.agent_id} is not registered; register it first.")
    held = await store.extend_claims(database, caller.tenant_id, request.claims, lease)
    lost = [run_id for run_id, _ in request.claims if run_id not in held]
    return ExtendedClaims(
        min((claim.lease_expires for claim in held.values()), default=None),
        lost,
        [run_id for run_id, claim in held.items() if claim.cancelling],
    )


async def runs_ready(database: Database, caller: Caller, labels: Sequence[str] | None) -> RunsReady:
    """Say what waits for an agent with these labels, and what the calling agent is to stop. Raises BadInputError."""
    return await store.ready(database, caller.tenant_id, caller.agent_id, normalized(labels or ()))


def _lease(seconds: int | None) -> int:
    lease = DEFAULT_LEASE_SECONDS if seconds is None else seconds
    if lease not in LEASE_SECONDS:
        raise BadInputError(
            f"A lease must be {LEASE_SECONDS.start} to {LEASE_SECONDS.stop - 1} seconds, but it is {lease}."
        )
    return lease


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
