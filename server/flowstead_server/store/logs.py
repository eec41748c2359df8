"""Log lines: appended many at a time, in partitions by day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flowstead_server.db import load_statements

if TYPE_CHECKING:
    from datetime import timedelta
    from uuid import UUID

    from flowstead_server.db.database import Executor

_SQL: Final = load_statements(__package__, "logs.sql")


@dataclass(frozen=True, slots=True)
class Appended:
    """`complete`: every run exists. `current`: the claim is. Unless both are true, nothing was stored."""

    complete: bool
    current: bool


async def append(
    executor: Executor, tenant_id: UUID, lines: str, claim_token: UUID | None, batch_id: UUID | None
) -> Appended:
    """Append lines (JSON list of columns), unless a batch of this id was stored before."""
    row = await executor.fetch_row(_SQL["append"], tenant_id, lines, claim_token, batch_id)
    assert row is not None
    return Appended(row["complete"], row["current"])


async def forget_batches(executor: Executor, age: timedelta, limit: int) -> int:
    """Forget the ids of up to `limit` batches that were stored longer ago than `age`; returns how many."""
    return await executor.execute(_SQL["forget_batches"], age, limit)


async def ensure_partitions(executor: Executor, days_ahead: int) -> int:
    """Make the partitions of today and the days after it; returns how many were missing."""
    made: int = await executor.fetch_value(_SQL["ensure_partitions"], days_ahead)
    return made
