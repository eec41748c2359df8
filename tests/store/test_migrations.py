"""Migrations: from empty, by several servers at once, on a database that is newer or different, and the dump."""

import asyncio
from dataclasses import replace

import asyncpg
import pytest

from flowstead_server.db import Database
from flowstead_server.db.migrator import Migration, load_migrations, migrate
from flowstead_server.domain.errors import StartupError


async def test_empty_database_gets_every_migration_once(empty_database_dsn: str) -> None:
    names = [migration.name for migration in load_migrations()]
    assert await migrate(empty_database_dsn) == names
    assert await migrate(empty_database_dsn) == []


async def test_servers_starting_together_apply_each_migration_once(empty_database_dsn: str) -> None:
    applied = await asyncio.gather(*(migrate(empty_database_dsn) for _ in range(4)))
    assert sorted(len(names) for names in applied) == [0, 0, 0, len(load_migrations())]


async def test_newer_database_is_refused(empty_database_dsn: str) -> None:
    newer = Migration(9999, "9999_from_the_future.sql", "select 1", "x")
    await migrate(empty_database_dsn, migrations=[*load_migrations(), newer])
    with pytest.raises(StartupError, match=r"newer Flowstead.*9999_from_the_future\.sql"):
        await migrate(empty_database_dsn)


async def test_changed_migration_is_refused(empty_database_dsn: str) -> None:
    first, *others = load_migrations()
    await migrate(empty_database_dsn, migrations=[replace(first, checksum="other"), *others])
    with pytest.raises(StartupError, match="made by another 0001_initial"):
        await migrate(empty_database_dsn)


async def test_failing_migration_leaves_nothing(empty_database_dsn: str) -> None:
    broken = Migration(1, "0001_broken.sql", "create table half (id int); select nonsense", "x")
    with pytest.raises(StartupError):
        await migrate(empty_database_dsn, migrations=[broken])
    connection = await asyncpg.connect(empty_database_dsn)
    try:
        assert await connection.fetchval("select to_regclass('half')") is None
    finally:
        await connection.close()
    assert await migrate(empty_database_dsn) != []


async def test_without_upgrade_a_database_that_is_behind_is_refused(empty_database_dsn: str) -> None:
    with pytest.raises(StartupError, match="lacks the migration 0001_initial"):
        await migrate(empty_database_dsn, apply=False)
    await migrate(empty_database_dsn)
    assert await migrate(empty_database_dsn, apply=False) == []


@pytest.mark.parametrize(
    ("dsn", "reason"),
    [
        ("postgresql://user:secret@127.0.0.1:1/nowhere", "nobody answers"),
        ("mysql://user:secret@127.0.0.1/x", "URL is not valid"),
        ("nonsense", "URL is not valid"),
    ],
)
async def test_wrong_urls_are_explained_without_the_password(dsn: str, reason: str) -> None:
    for attempt in (migrate(dsn), Database.connect(dsn)):
        with pytest.raises(StartupError, match=reason) as raised:
            await attempt
        assert "secret" not in str(raised.value)


async def test_unknown_database_is_explained(database_dsn: str) -> None:
    with pytest.raises(StartupError, match="no database of that name"):
        await migrate(database_dsn.replace("/test_", "/none_"))


async def test_time_ordered_uuid_is_version_7_and_ordered(database: Database) -> None:
    ids = [await database.fetch_value("select time_ordered_uuid() from pg_sleep(0.002)") for _ in range(3)]
    assert ids == sorted(ids)
    assert {id_.version for id_ in ids} == {7}
    assert {id_.variant for id_ in ids} == {"specified in RFC 4122"}
