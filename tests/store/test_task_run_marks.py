"""Marks of task runs: kept by PostgreSQL, and free for the states that every task run goes through."""

from typing import Any
from uuid import UUID

from seeds import Seed, seed

from flowstead_server.compiler.catalog import CATALOG
from flowstead_server.db import Database
from flowstead_server.db.database import Transaction
from flowstead_server.domain.states import STATE_NAMES
from flowstead_server.store.states import TaskRunChange, TaskWritten, write_task_runs

MARKS = CATALOG.tables["task_run"].marks
assert MARKS is not None


async def _write(transaction: Transaction, seeded: Seed, row: Any, seen_version: int, state: str) -> None:
    change = TaskRunChange(
        id=row["id"],
        tenant_id=row["tenant_id"],
        flow_run_id=row["flow_run_id"],
        seen_version=seen_version,
        state=state,
        message="m",
        start_time=None,
        payload=f'{{"type": "{state}"}}',
        is_ending=False,
        is_live=False,
        claim_token=None,
    )
    assert await write_task_runs(transaction, [change]) == {row["id"]: TaskWritten(row["id"], seen_version + 1)}


async def _task_run(seeded: Seed) -> Any:
    run_id: UUID = await seeded.run()
    return await seeded.database.fetch_row("select * from task_run where flow_run_id = $1 limit 1", run_id)


async def test_database_and_compiler_mark_the_same_states(database: Database) -> None:
    rows = await database.fetch("select s from unnest($1::text[]) as s where is_marked_state(s)", sorted(STATE_NAMES))
    assert {row["s"] for row in rows} == MARKS.values


async def test_marks_repeat_the_state_and_end_with_it(database: Database) -> None:
    seeded = await seed(database)
    row = await _task_run(seeded)
    columns = "state, state_timestamp, marked_state, marked_time"
    async with database.transaction() as transaction:
        for version, state in enumerate(("Running", "Failed", "Pending", "Cached"), start=1):
            await _write(transaction, seeded, row, version, state)
            now = await transaction.fetch_row(f"select {columns} from task_run where id = $1", row["id"])
            assert now is not None
            expected = (state, now["state_timestamp"]) if state in MARKS.values else (None, None)
            assert (now["marked_state"], now["marked_time"]) == expected


async def test_ordinary_states_touch_no_index(database: Database) -> None:
    """PostgreSQL rewrites the row within its page (a heap-only tuple) if no indexed column gets another value."""
    seeded = await seed(database)
    row = await _task_run(seeded)
    statistic = "select pg_stat_get_xact_tuples_hot_updated('task_run'::regclass)"
    async with database.transaction() as transaction:
        for version, state in enumerate(("Running", "Retrying", "Running", "Success"), start=1):
            await _write(transaction, seeded, row, version, state)
            assert await transaction.fetch_value(statistic) == version
        await _write(transaction, seeded, row, 5, "Cached")
        assert await transaction.fetch_value(statistic) == 4
