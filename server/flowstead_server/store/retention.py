"""What may be forgotten, and forgetting it in small pieces. Every piece is for a transaction of its own (`hurry`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson

from flowstead_server.db import json_text, load_statements
from flowstead_server.domain.retention import Cutoff, DayOfLog, Rule, end_of, start_of, unowned

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date, datetime, timedelta
    from uuid import UUID

    from flowstead_server.db import Database, Transaction
    from flowstead_server.db.database import Executor

_SQL: Final = load_statements(__package__, "retention.sql")
_MOST_NAMED: Final = 100_000
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Limits:
    """The cutoffs of one round, as statements take them."""

    cutoffs: Sequence[Cutoff]

    @property
    def text(self) -> str:
        """JSON text of the cutoffs."""
        return json_text([{name: getattr(one, name) for name in Cutoff.__slots__} for one in self.cutoffs])

    @property
    def own(self) -> list[UUID]:
        """The projects with rules of their own."""
        return sorted({one.project_id for one in self.cutoffs if one.project_id is not None})


@dataclass(frozen=True, slots=True)
class FoundDay:
    """A day of the log. `expired_ids`: runs that lose it, at most 100,000; `unowned`: so do lines without a run."""

    facts: DayOfLog
    expired_ids: Sequence[UUID]
    unowned: bool


@dataclass(frozen=True, slots=True)
class ExpiredRun:
    """A run to delete if it is still in `state` since a moment before `before`. `task_runs`: how many go with it."""

    id: UUID
    state: str
    created: datetime
    before: datetime
    task_runs: int


async def hurry(transaction: Transaction, lock_wait: timedelta, *, one_day: bool) -> None:
    """Let the rest of a transaction wait for others no longer than `lock_wait`, and not for the disk.

    `one_day`: it is about one day of the log, otherwise about runs.
    """
    plans = "force_custom_plan" if one_day else "auto"
    await transaction.fetch_row(_SQL["hurry"], f"{round(lock_wait.total_seconds() * 1000)}ms", plans)


async def clock(executor: Executor) -> datetime:
    """Return the database's time."""
    now: datetime = await executor.fetch_value(_SQL["now"])
    return now


async def own_rules(executor: Executor) -> dict[UUID, list[Rule]]:
    """Return the rules of the projects that have some."""
    return {
        row["id"]: [Rule(**rule) for rule in orjson.loads(row["retention"])]
        for row in await executor.fetch(_SQL["own_rules"])
    }


async def days_of_log(executor: Executor) -> list[date]:
    """Return the days that have a partition of the log."""
    return [row["day"] for row in await executor.fetch(_SQL["days_of_log"])]


async def look_at_day(database: Database, day: date, limits: Limits) -> FoundDay:
    """Find out whose lines a day holds."""
    before = unowned(limits.cutoffs).logs_before
    (row,) = await database.read(
        _SQL["day_of_log"], start_of(day), end_of(day), limits.text, limits.own, before, _MOST_NAMED
    )
    facts = DayOfLog(row["runs"], row["expired"], row["soon"])
    return FoundDay(facts, row["expired_ids"], row["unowned_expired"])


async def count_day(database: Database, day: date) -> int:
    """Count the lines of a day."""
    count: int = await database.read_value(_SQL["count_day"], start_of(day), end_of(day))
    return count


async def delete_lines(transaction: Transaction, day: date, runs: Sequence[UUID], limit: int) -> int:
    """Delete up to `limit` lines that a day holds of some runs; returns how many."""
    return await transaction.execute(_SQL["delete_lines"], start_of(day), end_of(day), runs, limit)


async def delete_unowned_lines(transaction: Transaction, day: date, limit: int) -> int:
    """Delete up to `limit` lines of a day that belong to no run; returns how many."""
    return await transaction.execute(_SQL["delete_unowned_lines"], start_of(day), end_of(day), limit)


async def empty_day(transaction: Transaction, day: date) -> None:
    """Delete all lines of a day at once. Raises ConflictError if somebody reads it for too long."""
    await transaction.execute(_SQL["empty_day"], day)


async def drop_day(transaction: Transaction, day: date) -> bool:
    """Remove the table of an empty day; false if it is not empty. Raises ConflictError if the log is busy."""
    return bool(await transaction.fetch_value(_SQL["drop_day"], day))


async def expired_runs(database: Database, limits: Limits, count: int, without: Iterable[UUID]) -> list[ExpiredRun]:
    """Return up to `count` runs that may go, none of `without`."""
    rows = await database.read(_SQL["expired_runs"], limits.text, limits.own, count, list(without))
    return [ExpiredRun(**row) for row in rows]


async def delete_lines_of_runs(
    transaction: Transaction, runs: Sequence[ExpiredRun], since: datetime, count: int
) -> int:
    """Delete up to `count` log lines that runs have since a moment; returns how many."""
    return await transaction.execute(_SQL["delete_lines_of_runs"], [run.id for run in runs], since, count)


async def delete_runs(transaction: Transaction, runs: Sequence[ExpiredRun]) -> list[UUID]:
    """Delete runs with all that hangs on them; returns which. The others have changed or are being changed."""
    rows: list[dict[str, Any]] = [{"id": run.id, "state": run.state, "before": run.before} for run in runs]
    return [row["id"] for row in await transaction.fetch(_SQL["delete_runs"], json_text(rows))]


async def delete_messages(transaction: Transaction, before: datetime, limit: int) -> int:
    """Delete up to `limit` messages that are older than a moment; returns how many."""
    return await transaction.execute(_SQL["delete_messages"], before, limit)


async def count_messages(database: Database, before: datetime) -> int:
    """Count the messages that are older than a moment."""
    count: int = await database.read_value(_SQL["count_messages"], before)
    return count


@dataclass(frozen=True, slots=True)
class Going:
    """Rows that would go: of one kind (`log`, `flow_run`, …), of runs in one state of one project.

    Null `project_id` and `state`: messages, and log lines that belong to no run.
    """

    project_id: UUID | None
    state: str | None
    kind: str
    rows: int


async def lines_of_day(
    database: Database, day: date, limits: Limits, *, everything: bool = False, with_runs: bool = False
) -> list[Going]:
    """Count the lines of a day that would go: those that may, all, or those whose run goes."""
    before = unowned(limits.cutoffs).logs_before
    bounds = (start_of(day), end_of(day))
    rows = await database.read(
        _SQL["lines_by_project"], *bounds, limits.text, limits.own, before, everything, with_runs
    )
    return [Going(row["project_id"], row["state"], "log", row["rows"]) for row in rows]


async def runs_with_all(database: Database, limits: Limits) -> list[Going]:
    """Count the runs that would go, and what hangs on them but their log."""
    return [Going(**row) for row in await database.read(_SQL["runs_by_project"], limits.text, limits.own)]


async def row_bytes(database: Database) -> dict[str, float]:
    """Return about how many bytes a row of each table takes; a table that was never looked at is missing."""
    return {row["kind"]: row["bytes"] for row in await database.read(_SQL["row_bytes"])}


async def line_bytes(database: Database, day: date) -> float:
    """Return about how many bytes a line of a day takes; 0 if there is none."""
    (row,) = await database.read(_SQL["day_size"], start_of(day), end_of(day), day)
    return (row["bytes"] or 0) / row["lines"] if row["lines"] else 0.0


async def names_of_projects(database: Database, ids: Iterable[UUID]) -> dict[UUID, str]:
    """Return the names of projects, with their tenants in front if there are several."""
    rows = await database.read(_SQL["names_of_projects"], list(ids))
    return {row["id"]: f"{row['tenant']}/{row['name']}" if row["many_tenants"] else row["name"] for row in rows}
