"""Forgetting on a real database: what goes and what stays, whole days and lines, busy locks, two at once."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from seeds import Seed, seed, serialized_flow, stranger

from flowstead_server.db import Database, Lease, load_statements
from flowstead_server.domain.caller import Caller
from flowstead_server.domain.ids import new_id
from flowstead_server.domain.retention import Rule
from flowstead_server.orchestration import retention as module
from flowstead_server.orchestration.artifacts import CreateArtifact, create_task_run_artifact
from flowstead_server.orchestration.events import read_events
from flowstead_server.orchestration.flow_runs import CreateFlowRun, create_flow_run
from flowstead_server.orchestration.flows import CreateFlow, create_flow
from flowstead_server.orchestration.logs import ensure_log_partitions, write_run_logs
from flowstead_server.orchestration.projects import CreateProject, create_project, set_project_retention
from flowstead_server.orchestration.retention import Forgotten, Pace, Retention
from flowstead_server.orchestration.retention_report import report
from flowstead_server.services.retention import RetentionService
from flowstead_server.store import retention as store

# A moment in the middle of a day, so that a day's lines are on one side of every cutoff.
NOW = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
RULES = (Rule("Finished", 10, 30), Rule("Failed", 20, 60))
KINDS = ("log", "flow_run", "flow_run_state", "task_run", "task_run_state", "task_run_artifact", "message")


@pytest.fixture
def retention(database: Database) -> Retention:
    part = database.part(Retention)
    part.rules = RULES
    part.pace = Pace(lines=7, rows=5, rest=0.0, least=0.0)
    return part


async def old_run(
    seeded: Seed, state: str | None, days: float, lines: int = 3, caller: Caller | None = None, **members: Any
) -> UUID:
    """Make a run that has been in a state for so many days, with as many log lines of that time."""
    run_id = await create_flow_run(
        seeded.database, caller or seeded.caller, CreateFlowRun(**{"flow_id": seeded.flow_id, **members})
    )
    await age(seeded.database, run_id, state, days)
    await add_lines(seeded.database, run_id, days, lines)
    return run_id


async def age(database: Database, run_id: UUID, state: str | None, days: float) -> None:
    moment = NOW - timedelta(days=days)
    await database.execute(
        "update flow_run set created = $2, state_timestamp = $2, state = coalesce($3, state), "
        "queue_time = case when $3 is null then queue_time end where id = $1",
        run_id,
        moment,
        state,
    )


async def add_lines(database: Database, run_id: UUID | None, days: float, lines: int) -> None:
    await database.execute(
        "insert into log (tenant_id, flow_run_id, created, message) "
        "select (select id from tenant order by created limit 1), $1, $2, 'line ' || n from generate_series(1, $3) n",
        run_id,
        NOW - timedelta(days=days),
        lines,
    )
    await ensure_log_partitions(database)


async def lines_of(database: Database) -> Counter[UUID | None]:
    rows = await database.fetch("select flow_run_id, count(*) from log group by 1")
    return Counter({row[0]: row[1] for row in rows})


async def runs_of(database: Database) -> set[UUID]:
    return {row["id"] for row in await database.fetch("select id from flow_run")}


async def sizes(database: Database) -> dict[str, int]:
    return {kind: await database.fetch_value(f"select count(*) from {kind}") for kind in KINDS}


async def old_days(database: Database) -> int:
    """How many days before the last five have a table of their own."""
    return await database.fetch_value(
        "select count(*) from pg_inherits i join pg_class c on c.oid = i.inhrelid "
        "where i.inhparent = 'log'::regclass and c.relname ~ '^log_p' "
        "and substr(c.relname, 6) < to_char(current_date - 5, 'YYYYMMDD')"
    )


async def test_logs_go_first_and_failed_runs_last(database: Database, retention: Retention) -> None:
    seeded = await seed(database)
    fresh = await old_run(seeded, "Success", 9)
    without_log = await old_run(seeded, "Success", 12)
    gone = await old_run(seeded, "Success", 31)
    failed = await old_run(seeded, "Failed", 12)
    failed_without_log = await old_run(seeded, "TimedOut", 31)
    failed_gone = await old_run(seeded, "Failed", 61)
    waiting = await old_run(seeded, None, 400)
    running = await old_run(seeded, "Running", 400)
    done = await retention.forget(NOW)
    assert await runs_of(database) == {fresh, without_log, failed, failed_without_log, waiting, running}
    assert await lines_of(database) == {fresh: 3, failed: 3, waiting: 3, running: 3}
    # the days 31 and 61 hold nothing else; day 12 still has a log that is kept
    assert done == Forgotten(log_lines=12, log_days=2, flow_runs=2, task_runs=4)
    assert gone != failed_gone
    assert await retention.forget(NOW) == Forgotten()


async def test_projects_have_rules_of_their_own(database: Database, retention: Retention) -> None:
    seeded = await seed(database)
    short = await create_project(database, seeded.caller, CreateProject("short"))
    long = await create_project(database, seeded.caller, CreateProject("long"))
    await set_project_retention(database, seeded.caller, short, [Rule("Finished", 1, 2)])
    await set_project_retention(database, seeded.caller, long, [Rule("Success", 36500, 36500)])
    flows = {
        project: await create_flow(database, seeded.caller, CreateFlow(serialized_flow(), project))
        for project in (short, long)
    }
    usual = await old_run(seeded, "Success", 3)
    await old_run(seeded, "Failed", 3, flow_id=flows[short])
    kept = await old_run(seeded, "Success", 400, flow_id=flows[long])
    await old_run(seeded, "Failed", 400, flow_id=flows[long])
    done = await retention.forget(NOW)
    assert done.flow_runs == 2
    assert await runs_of(database) == {usual, kept}
    assert await lines_of(database) == {usual: 3, kept: 3}
    await set_project_retention(database, seeded.caller, long, [])
    assert (await retention.forget(NOW)).flow_runs == 1


async def test_what_hangs_on_a_run_goes_with_it_and_the_dry_run_says_so(
    database: Database, retention: Retention
) -> None:
    seeded = await seed(database)
    other = await stranger(database)
    project = await create_project(database, other, CreateProject("theirs"))
    theirs = await create_flow(database, other, CreateFlow(serialized_flow(tasks=1), project))
    for days in (12, 31, 31.3, 70):
        run_id = await old_run(seeded, "Success", days)
        (task_run_id, _) = await seeded.task_run_ids(run_id)
        await create_task_run_artifact(
            database, seeded.caller, CreateArtifact(task_run_id=task_run_id, kind="link", data={"link": "x"})
        )
    await old_run(seeded, "Failed", 31, lines=4)
    await old_run(seeded, "Success", 31, caller=other, flow_id=theirs)
    # a day that waits: the log of one of its runs is kept for some hours yet, that of another goes with its run
    await age(database, await old_run(seeded, "Success", 11), "Success", 9.9)
    # lines without a run, and of a run that is gone
    await add_lines(database, None, 40, 2)
    await add_lines(database, new_id(), 31, 2)
    await database.execute(
        "insert into message (tenant_id, created) select $1, $2::timestamptz - n * interval '1 day' "
        "from generate_series(29, 40) n",
        other.tenant_id,
        NOW,
    )
    await database.execute("analyze")
    before = await sizes(database)
    told = await report(database, NOW)
    assert await sizes(database) == before, "nothing was deleted"
    done = await retention.forget(NOW)
    after = await sizes(database)
    expected: Counter[str] = Counter()
    for row in told.rows:
        expected[row.kind] += row.rows
        assert row.bytes > 0
    assert {kind: before[kind] - after[kind] for kind in KINDS} == dict(expected)
    assert (done.log_lines, done.log_days, done.flow_runs) == (expected["log"], told.log_days, expected["flow_run"])
    by_key = {(row.project, row.state, row.kind): row.rows for row in told.rows}
    slug = await database.fetch_value("select slug from tenant where id = $1", seeded.caller.tenant_id)
    assert by_key[f"{slug}/project", "Success", "flow_run"] == 3
    assert by_key["stranger/theirs", "Success", "task_run"] == 1
    assert by_key[f"{slug}/project", "Failed", "log"] == 4
    assert by_key[None, None, "log"] == 4
    assert (by_key[None, None, "message"], done.messages) == (10, 10)
    assert (await report(database, NOW)).rows == []


async def test_a_parent_that_runs_keeps_its_children(database: Database, retention: Retention) -> None:
    seeded = await seed(database)
    parent = await old_run(seeded, "Running", 400, lines=0)
    child = await old_run(seeded, "Success", 390, lines=0, parent_flow_run_id=parent)
    assert (await retention.forget(NOW)).flow_runs == 0
    await age(database, parent, "Success", 1)
    assert (await retention.forget(NOW)).flow_runs == 1
    assert await runs_of(database) == {parent}
    assert child not in await runs_of(database)


async def test_a_run_that_goes_on_meanwhile_stays(
    database: Database, retention: Retention, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was found while it had ended long ago, and was started again before its turn came."""
    seeded = await seed(database)
    run_id = await old_run(seeded, "Success", 31, lines=0)
    await add_lines(database, run_id, 1, 3)
    other = await old_run(seeded, "Success", 32, lines=0)
    find = module.store.expired_runs

    async def find_and_restart(*arguments: Any) -> Any:
        found = await find(*arguments)
        await age(database, run_id, "Scheduled", 0)
        return found

    monkeypatch.setattr(module.store, "expired_runs", find_and_restart)
    done = await retention.forget(NOW)
    assert (done.flow_runs, done.postponed) == (1, 1)
    assert await runs_of(database) == {run_id}
    assert await lines_of(database) == {run_id: 3}
    assert other != run_id


async def test_the_log_of_a_run_that_goes_on_meanwhile_stays(
    database: Database, retention: Retention, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeded = await seed(database)
    run_id, other = await old_run(seeded, "Success", 12), await old_run(seeded, "Success", 12)
    await add_lines(database, await old_run(seeded, "Success", 1, lines=0), 12, 1)
    look = module.store.look_at_day

    async def look_and_restart(*arguments: Any) -> Any:
        found = await look(*arguments)
        await age(database, run_id, "Scheduled", 0)
        return found

    monkeypatch.setattr(module.store, "look_at_day", look_and_restart)
    assert (await retention.forget(NOW)).log_lines == 3
    assert (await lines_of(database))[run_id] == 3
    assert other not in await lines_of(database)


async def test_a_message_that_somebody_reads_is_left_to_the_next_round(
    database: Database, retention: Retention, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeded = await seed(database)
    monkeypatch.setattr(module, "_ROW_LOCK_WAIT", timedelta(milliseconds=10))
    await database.execute(
        "insert into message (tenant_id, type, text, content, created) values ($1, 'X', 'old', '{}', $2)",
        seeded.caller.tenant_id,
        NOW - timedelta(days=31),
    )
    async with database.transaction() as transaction:
        await transaction.execute("update message set read = true")
        done = await retention.forget(NOW)
    assert (done.messages, done.postponed) == (0, 1)
    assert (await retention.forget(NOW)).messages == 1


async def test_a_run_that_somebody_changes_is_left_to_the_next_round(database: Database, retention: Retention) -> None:
    seeded = await seed(database)
    run_id = await old_run(seeded, "Success", 31)
    async with database.transaction() as transaction:
        await transaction.execute("update flow_run set name = 'held' where id = $1", run_id)
        done = await retention.forget(NOW)
        assert (done.flow_runs, done.postponed) == (0, 1)
    assert (await retention.forget(NOW)).flow_runs == 1


async def test_a_busy_log_is_not_waited_for(
    database: Database, retention: Retention, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody reads the log for long: its day is emptied, its table stays until the next round, and nobody waits."""
    seeded = await seed(database)
    await old_run(seeded, "Success", 12)
    current = await old_run(seeded, "Running", 0, lines=1)
    monkeypatch.setattr(module, "_DROP_TRIES", 2)
    monkeypatch.setattr(module, "_DROP_PAUSE", 0.0)
    async with database.transaction() as reader:
        await reader.fetch("select from only log")
        done = await retention.forget(NOW)
        assert done == Forgotten(log_lines=3, postponed=1)
        await write_run_logs(database, seeded.caller, [{"flow_run_id": current, "message": "still works"}])
    assert await old_days(database) == 1
    assert await retention.forget(NOW) == Forgotten(log_days=1)
    assert await old_days(database) == 0


async def test_a_follower_goes_on_after_its_cursor_was_deleted(database: Database, retention: Retention) -> None:
    """A run that is started again after its log has gone: whoever follows it from before sees what comes next."""
    seeded = await seed(database)
    run_id = await old_run(seeded, "Success", 12, lines=5)
    page = await read_events(database, seeded.caller, run_id, 0)
    assert sum(event.kind == "LOG" for event in page.events) == 5
    assert (await retention.forget(NOW)).log_lines == 5
    again = await read_events(database, seeded.caller, run_id, page.cursor)
    assert (again.events, again.finished) == ([], True)
    await write_run_logs(database, seeded.caller, [{"flow_run_id": run_id, "message": "late"}])
    again = await read_events(database, seeded.caller, run_id, page.cursor)
    assert [event.message for event in again.events] == ["late"]
    from_start = await read_events(database, seeded.caller, run_id, 0)
    assert [event.message for event in from_start.events if event.kind == "LOG"] == ["late"]


async def test_two_at_once_are_one(database: Database, retention: Retention) -> None:
    seeded = await seed(database)
    for number in range(12):
        await old_run(seeded, "Success", 31 + number % 3)
    async with await Database.connect(database.dsn) as elsewhere:
        elsewhere.part(Retention).rules = RULES
        services = [RetentionService(each, 3600) for each in (database, elsewhere)]
        done = await asyncio.gather(*(service.run_once(NOW) for service in services))
        assert sum(one.flow_runs for one in done) == 12
        assert sum(one.log_lines for one in done) == 36
        async with Lease(database, module.LEASE):
            assert await services[1].run_once(NOW) == Forgotten(elsewhere=1)
        assert await services[1].run_once(NOW) == Forgotten()


async def test_a_stopped_service_leaves_the_rest_to_the_next_round(
    database: Database, retention: Retention, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeded = await seed(database)
    for _ in range(6):
        await old_run(seeded, "Success", 31, lines=0)
    retention.pace = Pace(lines=7, rows=1)
    begun = asyncio.Event()
    monkeypatch.setattr(database.hints, "runs_changed", lambda _ids: begun.set())
    service = RetentionService(database, 3600)
    monkeypatch.setattr(service, "run_once", partial(service.run_once, NOW))
    monkeypatch.setattr(RetentionService, "first_wait", 0.0)
    service.start()
    async with asyncio.timeout(20):
        await begun.wait()
        await service.stop()
    assert 1 <= len(await runs_of(database)) < 6
    await retention.forget(NOW)
    assert await runs_of(database) == set()


async def test_lines_that_fell_into_the_default_partition_get_their_day(database: Database) -> None:
    seeded = await seed(database)
    run_id = await old_run(seeded, "Running", 15)
    assert await database.fetch_value("select count(*) from log_default") == 0
    assert await lines_of(database) == {run_id: 3}
    assert await old_days(database) == 1
    assert await ensure_log_partitions(database) == 0


async def test_runs_that_may_go_are_found_by_their_index(database: Database, retention: Retention) -> None:
    """However many runs there are that stay, of which the oldest have failed and are kept longer."""
    seeded = await seed(database)
    run_id = await seeded.run()
    await database.execute(
        "insert into flow_run (tenant_id, flow_id, label_set_id, created, version, state, state_timestamp, "
        "serialized_state) select tenant_id, flow_id, label_set_id, $2::timestamptz, 1, "
        "case when n % 2 = 0 then 'Success' else 'Failed' end, $2 - n * interval '1 minute', serialized_state "
        "from flow_run, generate_series(1, 20000) n where id = $1",
        run_id,
        NOW - timedelta(days=29),
    )
    await database.execute("analyze flow_run")
    limits = store.Limits(await retention.cutoffs(NOW))
    statement = f"explain {load_statements('flowstead_server.store', 'retention.sql')['expired_runs']}"
    plan = "\n".join(row[0] for row in await database.read(statement, limits.text, limits.own, 200, []))
    assert "flow_run_finished_idx" in plan
    assert "Seq Scan on flow_run x" not in plan
    assert len(await store.expired_runs(database, limits, 200, [])) == 200
