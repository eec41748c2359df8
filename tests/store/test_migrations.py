"""Migrations: from empty, by several servers at once, on a database that is newer or different, and the dump."""

import asyncio
from dataclasses import replace

import asyncpg
import pytest

from flowstead_server.db import Database
from flowstead_server.db.migrator import Migration, load_migrations, migrate
from flowstead_server.domain.caller import Caller
from flowstead_server.domain.errors import StartupError
from flowstead_server.orchestration.agents import RegisterAgent, register_agent
from flowstead_server.orchestration.limits import update_flow_concurrency_limit
from flowstead_server.orchestration.logs import ensure_log_partitions
from flowstead_server.orchestration.queue import ClaimFlowRuns, claim_flow_runs
from flowstead_server.orchestration.tenants import ensure_default_tenant


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


OLD = """
insert into tenant (id, name, slug) values ('00000000-0000-4000-8000-000000000001', 'Default', 'default');
insert into project (id, tenant_id, name)
values ('00000000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-000000000001', 'p');
insert into flow_group (id, tenant_id, name)
values ('00000000-0000-4000-8000-000000000003', '00000000-0000-4000-8000-000000000001', 'g');
insert into flow (id, tenant_id, project_id, flow_group_id, name, version, version_group_id)
values (
    '00000000-0000-4000-8000-000000000004', '00000000-0000-4000-8000-000000000001',
    '00000000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-000000000003', 'f', 1, 'v'
);
insert into task (id, tenant_id, flow_id, slug, tags)
select
    ('00000000-0000-4000-8000-00000000010' || n)::uuid, '00000000-0000-4000-8000-000000000001',
    '00000000-0000-4000-8000-000000000004', 't' || n,
    case n
        when 1 then '["db", "db", null, 7, [], ""]'::jsonb
        else jsonb_build_array((select string_agg(md5(i::text), '') from generate_series(1, 300) i))
    end
from generate_series(1, 2) n;
insert into label_set (tenant_id, labels) values ('00000000-0000-4000-8000-000000000001', '{db}');
insert into flow_run (
    id, tenant_id, flow_id, label_set_id, labels, version, state, serialized_state, state_timestamp, state_start_time,
    queue_time
)
select
    ('00000000-0000-4000-8000-00000000020' || n)::uuid, '00000000-0000-4000-8000-000000000001',
    '00000000-0000-4000-8000-000000000004', (select id from label_set), '["db"]', 1, state,
    jsonb_build_object('type', state), now() - interval '1 hour',
    case when state = 'Scheduled' then now() - interval '1 hour' end,
    case when state = 'Scheduled' then now() - interval '1 hour' end
from unnest(array['Running', 'Scheduled', 'Scheduled', 'Success', 'Queued']) with ordinality r (state, n);
insert into task_run (tenant_id, flow_run_id, task_id, version, state, serialized_state, state_timestamp)
select tenant_id, '00000000-0000-4000-8000-000000000201', id, 1, 'Running', '{"type": "Running"}', now() from task;
insert into cloud_hook (tenant_id, type, states)
values ('00000000-0000-4000-8000-000000000001', 'PREFECT_MESSAGE', '["SUBMITTED"]');
insert into log (tenant_id, flow_run_id, message, created)
select
    '00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000204', 'line', now() - d * interval '1 day'
from generate_series(0, 3) d;
"""


async def test_a_database_of_the_first_release_goes_on(empty_database_dsn: str) -> None:
    await migrate(empty_database_dsn, migrations=load_migrations()[:8])
    connection = await asyncpg.connect(empty_database_dsn)
    try:
        await connection.execute(OLD)
    finally:
        await connection.close()
    assert len(await migrate(empty_database_dsn)) == len(load_migrations()) - 8
    async with await Database.connect(empty_database_dsn) as database:
        caller = Caller(await ensure_default_tenant(database))
        # of a task run that runs, by each tag that may have a limit
        assert [row[0] for row in await database.fetch("select tag from task_run_tag")] == ["db"]
        assert await ensure_log_partitions(database) > 3
        assert await database.fetch_value("select count(*) from log") == 4
        assert await database.fetch_value("select count(*) from log_default") == 0
        # one runs, so that of two that wait one is claimed
        await update_flow_concurrency_limit(database, caller, "db", 2)
        agent = await register_agent(database, caller, RegisterAgent("LocalAgent", "a", ["db"]))
        claims = await claim_flow_runs(database, caller, ClaimFlowRuns(agent, ["db"], 10))
        assert len(claims.flow_runs) == 1
        assert await database.fetch_value("select hook_ids is not null from cloud_hook_event") is True
        assert await database.fetch_value("select retention from project") == "[]"
