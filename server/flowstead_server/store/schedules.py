"""What the scheduler remembers of flows: which are due, and up to which time their runs have been made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flowstead_server.db import json_text, load_statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from flowstead_server.db.database import Executor

_SQL: Final = load_statements(__package__, "schedules.sql")


@dataclass(frozen=True, slots=True)
class DueFlow:
    """A flow to look at, leased. `schedule`: JSON text of the group's or else the flow's own, null if neither has one.

    `through`: up to which tick runs have been made, null if none were since the schedule was set. `now`: UTC.
    """

    id: UUID
    tenant_id: UUID
    name: str
    schedule: str | None
    through: datetime | None
    lease: UUID
    now: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is noted of a flow that was looked at. `due`: when to look again, null for never."""

    flow_id: UUID
    lease: UUID
    due: datetime | None
    through: datetime | None


async def lease(
    executor: Executor, now: datetime | None, limit: int, duration: timedelta, flow_ids: Sequence[UUID] | None = None
) -> list[DueFlow]:
    """Take up to `limit` due flows, of `flow_ids` only if given; nobody else gets them for `duration`."""
    ids = None if flow_ids is None else list(flow_ids)
    rows = await executor.fetch(_SQL["lease"], now, limit, duration, ids)
    return [
        DueFlow(
            row["flow_id"], row["tenant_id"], row["name"], row["schedule"], row["through"], row["lease"], row["now"]
        )
        for row in rows
    ]


async def finish(executor: Executor, outcomes: Iterable[Outcome]) -> int:
    """Note outcomes and give the leases back; returns how many were still held."""
    rows = [
        {"flow_id": item.flow_id, "lease": item.lease, "due": item.due, "through": item.through} for item in outcomes
    ]
    return await executor.execute(_SQL["finish"], json_text(rows))


async def begin(executor: Executor, tenant_id: UUID, flow_id: UUID) -> None:
    """Make an active flow due, as one whose schedule is new. Do it before its waiting runs are deleted."""
    await executor.execute(_SQL["begin"], tenant_id, flow_id)


async def begin_group(executor: Executor, tenant_id: UUID, flow_group_id: UUID) -> list[UUID]:
    """Do as `begin` for the active flows of a group; returns their ids."""
    return [row["flow_id"] for row in await executor.fetch(_SQL["begin_group"], tenant_id, flow_group_id)]


async def end(executor: Executor, flow_ids: Sequence[UUID]) -> None:
    """Look at these flows no more. Do it before their waiting runs are deleted."""
    await executor.execute(_SQL["end"], list(flow_ids))


async def oldest_due(executor: Executor) -> float:
    """Return for how many seconds the flow has been due that waits longest, 0 if none is."""
    seconds: float = await executor.fetch_value(_SQL["oldest_due"])
    return seconds
