"""A run's events: state changes, task-run changes and log lines, in the order they were committed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flowstead_server.db import load_statements

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from flowstead_server.db.database import Executor

_SQL: Final = load_statements(__package__, "events.sql")


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `kind` is FLOW_RUN_STATE, TASK_RUN_STATE or LOG; members that a kind does not have are null."""

    cursor: int
    kind: str
    timestamp: datetime
    task_run_id: UUID | None
    task_name: str | None
    map_index: int | None
    state: str | None
    version: int | None
    start_time: datetime | None
    level: str | None
    logger: str | None
    message: str | None


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events after a cursor.

    `finished`: the run is in a finished state and no event is missing after this page. `more`: the page was full, so
    the next one need not be waited for.
    """

    cursor: int
    events: list[Event]
    finished: bool
    more: bool = False


async def read(executor: Executor, tenant_id: UUID, flow_run_id: UUID, after: int, limit: int) -> EventPage | None:
    """Return the events after a cursor, at most `limit`; null if the tenant has no such run."""
    rows = await executor.fetch(_SQL["read"], tenant_id, flow_run_id, after, limit)
    if not rows:
        return None
    events = [
        Event(row["seq"], *(row[name] for name in Event.__slots__ if name != "cursor"))
        for row in rows
        if row["kind"] is not None
    ]
    cursor = events[-1].cursor if events else after
    available = rows[0]["available"] or 0
    is_end = len(events) == available and available < limit
    return EventPage(cursor, events, bool(rows[0]["finished"]) and is_end, more=not is_end)
