"""Signs of life of flow runs: who may be dead, and what is known of them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import orjson

from flowstead_server.db import load_statements
from flowstead_server.domain.liveness import FOLLOWED_FOR, Reception, RunningTask, RunSigns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flowstead_server.db import Transaction
    from flowstead_server.db.database import Executor

_SQL: Final = load_statements(__package__, "liveness.sql")


async def receive(executor: Executor, gap: timedelta) -> None:
    """Note that a server receives heartbeats; after `gap` without such a note, reception counts as begun now."""
    await executor.execute(_SQL["receive"], gap)


async def find_dead(executor: Executor, limit: timedelta, count: int) -> list[UUID]:
    """Return up to `count` runs that are silent while their tasks run or while they are being cancelled."""
    return [row["id"] for row in await executor.fetch(_SQL["find_dead"], limit, count)]


async def find_lost(executor: Executor, limit: timedelta, count: int) -> list[UUID]:
    """Return up to `count` runs that are silent and have no task run that waits or runs."""
    return [row["id"] for row in await executor.fetch(_SQL["find_lost"], limit, count, FOLLOWED_FOR)]


async def lock(transaction: Transaction, ids: Sequence[UUID]) -> list[UUID]:
    """Take the locks of those runs that nobody else is changing; returns which these are."""
    return [row["id"] for row in await transaction.fetch(_SQL["lock"], ids)]


async def signs(executor: Executor, ids: Sequence[UUID]) -> list[RunSigns]:
    """Return what is known of these runs now; those that are gone are missing."""
    return [_signs(row) for row in await executor.fetch(_SQL["signs"], ids)]


async def fence(executor: Executor, ids: Iterable[UUID]) -> None:
    """End the claims of these runs: nothing that carries them is taken any more."""
    await executor.execute(_SQL["fence"], list(ids))


async def count_resurrection(executor: Executor, ids: Iterable[UUID]) -> None:
    """Count one more revival of these runs."""
    await executor.execute(_SQL["count_resurrection"], list(ids))


def _signs(row: Any) -> RunSigns:
    since = row["receiving_since"]
    other = {name: row[name] for name in RunSigns.__slots__ if name not in {"running_tasks", "reception"}}
    return RunSigns(
        **other,
        running_tasks=[_task(task) for task in orjson.loads(row["running_tasks"])],
        reception=None if since is None else Reception(since, row["last_seen"]),
    )


def _task(task: dict[str, Any]) -> RunningTask:
    inputs = task["cached_inputs"]
    return RunningTask(
        UUID(task["id"]),
        task["version"],
        task["name"],
        task["retries"],
        task["max_retries"],
        timedelta(seconds=float(task["retry_seconds"])),
        None if inputs is None else orjson.dumps(inputs).decode(),
    )
