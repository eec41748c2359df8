"""What retention would delete now, counted without deleting anything.

The same decisions as those of a round, over the same cutoffs. Rows are exact as long as nobody changes them; bytes are
estimated from the size of the tables, and the space is given back to the disk only where whole days of the log go.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowstead_server.domain.retention import Action, days_to_look_at, decide, unowned
from flowstead_server.orchestration.retention import Retention
from flowstead_server.store import retention as store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime
    from uuid import UUID

    from flowstead_server.db import Database


@dataclass(frozen=True, slots=True)
class GoingRows:
    """Rows of one kind that would go, of runs in one state of one project; `bytes` is an estimate.

    Null `project` and `state`: messages, and log lines that belong to no run.
    """

    project: str | None
    state: str | None
    kind: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Report:
    """All that would go, by project, state and kind; `log_days`: how many days of the log go whole."""

    rows: Sequence[GoingRows]
    log_days: int


async def report(database: Database, now: datetime | None = None) -> Report:
    """Count what would go at `now` (default: the database's clock)."""
    limits = store.Limits(await database.part(Retention).cutoffs(now))
    counts: Counter[tuple[UUID | None, str | None, str]] = Counter()
    sizes: Counter[tuple[UUID | None, str | None, str]] = Counter()
    dropped = 0
    for day in days_to_look_at(await store.days_of_log(database), limits.cutoffs):
        action = decide((await store.look_at_day(database, day, limits)).facts)
        if action is Action.KEEP:
            continue
        dropped += action is Action.DROP
        going = await _lines(database, day, limits, action)
        per_line = await store.line_bytes(database, day) if going else 0.0
        for one in going:
            counts[one.project_id, one.state, "log"] += one.rows
            sizes[one.project_id, one.state, "log"] += round(one.rows * per_line)
    if messages := await store.count_messages(database, unowned(limits.cutoffs).runs_before):
        counts[None, None, "message"] += messages
    per_row = await store.row_bytes(database)
    for one in await store.runs_with_all(database, limits):
        counts[one.project_id, one.state, one.kind] += one.rows
        sizes[one.project_id, one.state, one.kind] += round(one.rows * per_row.get(one.kind, 0.0))
    sizes[None, None, "message"] = round(counts[None, None, "message"] * per_row.get("message", 0.0))
    names = await store.names_of_projects(database, {project for project, _, _ in counts if project is not None})
    rows = [
        GoingRows(None if key[0] is None else names.get(key[0], str(key[0])), key[1], key[2], count, sizes[key])
        for key, count in counts.items()
        if count
    ]
    return Report(sorted(rows, key=lambda row: (row.project or "", row.state or "", row.kind)), dropped)


async def _lines(database: Database, day: date, limits: store.Limits, action: Action) -> list[store.Going]:
    if action is Action.DROP:
        return await store.lines_of_day(database, day, limits, everything=True)
    if action is Action.DELETE:
        return await store.lines_of_day(database, day, limits)
    # A day that waits still loses the lines of runs that go.
    return await store.lines_of_day(database, day, limits, with_runs=True)
