"""The database room: errors, retries, leases, read-only reads, coordination by database."""

import asyncio
import re
from pathlib import Path

import pytest

from flowstead_server.db import Database, Lease, Transaction
from flowstead_server.domain.errors import (
    ApiUnavailableError,
    BadInputError,
    ForeignKeyViolationError,
    UniquenessViolationError,
)


async def test_errors_of_postgresql_come_as_ours(database: Database) -> None:
    await database.execute("create table t (id int primary key, parent int references t, n int check (n > 0))")
    await database.execute("insert into t values (1)")
    for statement, kind in (
        ("insert into t values (1)", UniquenessViolationError),
        ("insert into t values (2, 9)", ForeignKeyViolationError),
        ("insert into t values (2, 1, -1)", BadInputError),
        ("select 'x'::uuid", BadInputError),
        ("select 1/0", BadInputError),
    ):
        with pytest.raises(kind):
            await database.execute(statement)
        with pytest.raises(kind):
            await database.transact(lambda transaction, statement=statement: transaction.execute(statement))
    assert await database.fetch_value("select count(*) from t") == 1


async def test_defects_are_not_dressed_up(database: Database) -> None:
    import asyncpg

    with pytest.raises(asyncpg.UndefinedTableError):
        await database.fetch("select * from nowhere")


async def test_transactions_roll_back(database: Database) -> None:
    await database.execute("create table t (id int)")

    async def work(transaction: Transaction) -> None:
        assert await transaction.execute("insert into t values (1), (2)") == 2
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await database.transact(work)
    assert await database.fetch("select * from t") == []


async def test_loser_of_a_deadlock_runs_again(database: Database) -> None:
    await database.execute("create table t (id int primary key, n int)")
    await database.execute("insert into t values (1, 0), (2, 0)")
    both = asyncio.Barrier(2)
    runs = 0

    async def work(transaction: Transaction, first: int, second: int) -> None:
        nonlocal runs
        runs += 1
        await transaction.execute("set local deadlock_timeout = '10ms'")
        await transaction.execute("update t set n = n + 1 where id = $1", first)
        if runs <= 2:
            await both.wait()
        await transaction.execute("update t set n = n + 1 where id = $1", second)

    await asyncio.gather(
        database.transact(lambda transaction: work(transaction, 1, 2)),
        database.transact(lambda transaction: work(transaction, 2, 1)),
    )
    # once more for each time that one of them was chosen to give way, which on a busy machine may be more than once
    assert runs >= 3
    assert [row["n"] for row in await database.fetch("select n from t order by id")] == [2, 2]


async def test_slow_statements_are_stopped(database_dsn: str) -> None:
    async with await Database.connect(database_dsn, statement_timeout=0.05) as database:
        with pytest.raises(ApiUnavailableError, match="took too long"):
            await database.fetch("select pg_sleep(10)")
        assert await database.fetch_value("select 1") == 1


async def test_reads_cannot_write_and_know_their_settings(database: Database) -> None:
    assert await database.read_value("show plan_cache_mode") == "force_custom_plan"
    assert await database.read_value("show timezone") == "UTC"
    assert [row[0] for row in await database.read("select 1")] == [1]
    with pytest.raises(Exception, match="read-only transaction"):
        await database.read("create table t (id int)")


async def test_lease_has_one_holder(database: Database, database_dsn: str) -> None:
    async with await Database.connect(database_dsn) as another:
        first, second, unrelated = Lease(database, "a"), Lease(another, "a"), Lease(another, "b")
        assert await first.acquire()
        assert await first.acquire()
        assert not await second.acquire()
        assert await unrelated.acquire()
        await first.release()
        await first.release()
        assert await second.acquire()
        await second.release()
        await unrelated.release()


async def test_parts_are_one_per_database(database: Database, database_dsn: str) -> None:
    class Part:
        def __init__(self, _database: Database) -> None:
            pass

    async with await Database.connect(database_dsn) as another:
        assert database.part(Part) is database.part(Part)
        assert database.part(Part) is not another.part(Part)


async def test_close_does_not_wait_for_ever(database_dsn: str) -> None:
    database = await Database.connect(database_dsn)
    busy = asyncio.create_task(database.fetch("select pg_sleep(60)"))
    while await database.fetch_value("select count(*) from pg_stat_activity where query like '%pg_sleep(60)%'") < 2:
        pass
    await database.close(timeout=0.1)
    with pytest.raises(ApiUnavailableError):
        await busy


async def test_statement_files_hold_all_sql() -> None:
    import flowstead_server

    root = Path(next(iter(flowstead_server.__path__)))
    for folder in ("store", "orchestration", "domain"):
        for file in (root / folder).glob("*.py"):
            text = file.read_text("utf-8").lower()
            assert not re.search(r'(?<!")"(select|insert into|update \w+ set|delete from|with) ', text), file
