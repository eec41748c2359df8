"""The queue: claiming runs, extending claims, the polling of 1.4.1 agents."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from flowstead_server.db import json_text, load_statements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from flowstead_server.db.database import Executor

_SQL: Final = load_statements(__package__, "queue.sql")
# Claims of up to so many runs look at so many per label set, as literals in the text.
_WIDEST: Final = 116
_CLAIMS: Final = {
    wanted: _SQL["claim"].replace(f"limit {_WIDEST}", f"limit {width}")
    for wanted, width in ((4, 20), (24, 40), (100, _WIDEST))
}


@dataclass(frozen=True, slots=True)
class ClaimedFlowRun:
    """A run that an agent has to start at `start_time`. `parameters`, `run_config` and `storage` are JSON text.

    `restart`: the run was Running already and one of its task runs waited for this time.
    """

    id: UUID
    name: str | None
    version: int
    claim_token: UUID
    lease_expires: datetime
    start_time: datetime
    restart: bool
    parameters: str | None
    run_config: str | None
    flow_id: UUID
    flow_name: str
    storage: str | None
    core_version: str | None


@dataclass(frozen=True, slots=True)
class Claims:
    """What was claimed. `seen`: how many runs were due; `next_start_time`: when the next one is, null if none is known.

    Fewer runs than seen and wanted means that others were claiming at the same moment. `now`: the database's time.
    """

    flow_runs: list[ClaimedFlowRun]
    next_start_time: datetime | None
    seen: int
    now: datetime


@dataclass(frozen=True, slots=True)
class PolledRun:
    """A run handed to an agent that polls, and the name of its state."""

    id: UUID
    state: str


@dataclass(frozen=True, slots=True)
class RunsReady:
    """What waits for certain labels: how many runs now (counted up to 100), and when the next one is due.

    `cancelling`: runs that the agent has started and that are to be stopped.
    """

    waiting: int
    next_start_time: datetime | None
    label_set_ids: list[int]
    cancelling: list[UUID]


@dataclass(frozen=True, slots=True)
class HeldClaim:
    """A claim that still holds. `cancelling`: its run is to be stopped."""

    lease_expires: datetime
    cancelling: bool


async def claim(
    executor: Executor,
    tenant_id: UUID,
    agent_id: UUID,
    labels: Sequence[str],
    before: datetime | None,
    limit: int,
    lease_seconds: int,
) -> Claims | None:
    """Claim runs for an agent, in one statement that no other claim can overlap; notes that the agent asked.

    Null if the tenant has no such agent.
    """
    statement = next(text for wanted, text in _CLAIMS.items() if limit <= wanted)
    rows = await executor.fetch(
        statement, tenant_id, agent_id, list(labels), before, limit, timedelta(seconds=lease_seconds)
    )
    if not rows[0]["agent_known"]:
        return None
    claimed = [
        ClaimedFlowRun(*(row[name] for name in ClaimedFlowRun.__slots__)) for row in rows if row["id"] is not None
    ]
    return Claims(claimed, rows[0]["next_start_time"], rows[0]["seen"], rows[0]["now"])


async def extend_claims(
    executor: Executor, tenant_id: UUID, claims: Sequence[tuple[UUID, UUID]], lease_seconds: int
) -> dict[UUID, HeldClaim]:
    """Extend claims (run id, token); returns those that still hold, by run."""
    asked = [{"id": run_id, "claim_token": token} for run_id, token in claims]
    rows = await executor.fetch(_SQL["extend_claims"], tenant_id, json_text(asked), timedelta(seconds=lease_seconds))
    return {row["id"]: HeldClaim(row["lease_expires"], row["cancelling"]) for row in rows}


async def poll(
    executor: Executor, tenant_id: UUID, agent_id: UUID | None, labels: Sequence[str], before: datetime | None
) -> list[PolledRun]:
    """Hand out up to 25 runs, earliest first; notes that the agent asked."""
    rows = await executor.fetch(_SQL["poll"], tenant_id, agent_id, list(labels), before)
    return [PolledRun(row["id"], row["state"]) for row in rows]


async def ready(executor: Executor, tenant_id: UUID, agent_id: UUID | None, labels: Sequence[str]) -> RunsReady:
    """Say what waits for an agent with these labels."""
    row = await executor.fetch_row(_SQL["ready"], tenant_id, list(labels), agent_id)
    assert row is not None
    return RunsReady(row["waiting"], row["next_start_time"], row["label_set_ids"], row["cancelling"])
