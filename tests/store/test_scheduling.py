"""Runs by schedules (§5.6.3): how many, when, once; what happens after an outage, and to schedules that are no good."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from seeds import Seed, seed, serialized_flow

from flowstead_server.db import Database
from flowstead_server.domain.errors import BadInputError, ConflictError
from flowstead_server.domain.ids import new_id
from flowstead_server.domain.scheduling import MissedRuns, SchedulingRules
from flowstead_server.orchestration.flow_groups import (
    IntervalClock,
    delete_flow_group_schedule,
    set_default_parameters,
    set_flow_group_schedule,
)
from flowstead_server.orchestration.flow_runs import CreateFlowRun, create_flow_run
from flowstead_server.orchestration.flows import CreateFlow, archive_flow, create_flow, set_schedule_inactive
from flowstead_server.services.scheduler import Scheduler
from flowstead_server.store import schedules

MINUTE = timedelta(minutes=1)
EVERY_MINUTE = {"type": "IntervalClock", "interval": 60_000_000}


async def register(seeded: Seed, *clocks: dict[str, Any], name: str = "scheduled", **members: Any) -> UUID:
    flow = serialized_flow(name, schedule={"type": "Schedule", "clocks": list(clocks)}, **members)
    return await create_flow(seeded.database, seeded.caller, CreateFlow(flow, seeded.project_id))


async def runs_of(database: Database, flow_id: UUID) -> list[dict[str, Any]]:
    rows = await database.fetch("select * from flow_run where flow_id = $1 order by scheduled_start_time", flow_id)
    return [dict(row) for row in rows]


async def times_of(database: Database, flow_id: UUID) -> list[datetime]:
    return [run["scheduled_start_time"] for run in await runs_of(database, flow_id)]


def next_minutes(after: datetime, count: int) -> list[datetime]:
    first = after.replace(second=0, microsecond=0) + MINUTE
    return [first + MINUTE * number for number in range(count)]


def scheduler_of(database: Database, policy: MissedRuns = MissedRuns.SKIP) -> Scheduler:
    return Scheduler(database, SchedulingRules(missed_runs=policy))


async def test_registration_makes_the_next_ten_runs_and_the_scheduler_those_after_them(database: Database) -> None:
    seeded = await seed(database)
    flow_id = await register(seeded, EVERY_MINUTE | {"parameter_defaults": {"x": 1}, "labels": ["gpu"]})
    runs = await runs_of(database, flow_id)
    start = runs[0]["scheduled_start_time"]
    assert [run["scheduled_start_time"] for run in runs] == [start + MINUTE * number for number in range(10)]
    assert datetime.now(UTC) - MINUTE < start <= datetime.now(UTC) + MINUTE
    assert {(run["state"], run["auto_scheduled"], run["parameters"], run["labels"]) for run in runs} == {
        ("Scheduled", True, '{"x": 1}', '["gpu"]')
    }
    scheduler = scheduler_of(database)
    assert (await scheduler.run_once(start)).flows == 0, "nine still wait"
    done = await scheduler.run_once(start + MINUTE * 6)
    assert (done.flows, done.runs, done.missed) == (1, 7, 0)
    assert await times_of(database, flow_id) == [start + MINUTE * number for number in range(17)]


async def test_clocks_with_different_wishes_both_run_at_one_time(database: Database) -> None:
    seeded = await seed(database)
    clocks = [EVERY_MINUTE | {"parameter_defaults": {"x": number}} for number in (1, 2, 2)]
    flow_id = await register(seeded, *clocks)
    times = await times_of(database, flow_id)
    assert len(times) == 10
    assert [times.count(moment) for moment in sorted(set(times))] == [2] * 5


async def test_many_schedulers_at_once_make_no_run_twice(database: Database) -> None:
    seeded = await seed(database)
    flow_ids = [await register(seeded, EVERY_MINUTE, name=f"flow-{number}") for number in range(30)]
    # a minute may have passed while they were registered
    now = max([(await times_of(database, flow_id))[-1] for flow_id in flow_ids]) + timedelta(seconds=30)
    others = [await Database.connect(database.dsn, max_connections=4) for _ in range(3)]
    try:
        done = await asyncio.gather(*(scheduler_of(each).run_once(now) for each in (database, *others)))
    finally:
        for other in others:
            await other.close()
    assert sum(each.runs for each in done) == 30 * 10
    for flow_id in flow_ids:
        times = await times_of(database, flow_id)
        assert len(times) == len(set(times)) == 20
        assert times[10:] == next_minutes(now, 10)


@pytest.mark.parametrize(
    ("policy", "made", "says"),
    [
        (MissedRuns.SKIP, 0, "skipped (missed runs: skip)."),
        (MissedRuns.LATEST, 1, "1 of them made late (missed runs: latest)."),
        (MissedRuns.ALL, 60, "60 of them made late (missed runs: all)."),
    ],
)
async def test_runs_missed_in_an_outage_are_dealt_with_and_told(
    database: Database, policy: MissedRuns, made: int, says: str
) -> None:
    seeded = await seed(database)
    flow_id = await register(seeded, EVERY_MINUTE)
    through = (await times_of(database, flow_id))[-1]
    now = through + timedelta(hours=1, seconds=20)
    done = await scheduler_of(database, policy).run_once(now)
    assert (done.missed, done.runs) == (60, made + 10)
    later = (await runs_of(database, flow_id))[10:]
    wanted = [through + MINUTE * number for number in range(61 - made, 61)] + next_minutes(now, 10)
    assert [run["scheduled_start_time"] for run in later] == wanted
    logs = await database.fetch("select flow_run_id, level, message from log")
    assert [(row["flow_run_id"], row["level"]) for row in logs] == [(later[made]["id"], "WARNING")]
    assert logs[0]["message"].startswith("60 scheduled runs from ")
    assert logs[0]["message"].endswith(says)
    assert (await scheduler_of(database, policy).run_once(now)).flows == 0


async def test_the_schedule_of_the_group_replaces_the_runs_of_the_flows_own(database: Database) -> None:
    seeded = await seed(database)
    flow_id = await register(seeded, EVERY_MINUTE)
    group_id = await database.fetch_value("select flow_group_id from flow where id = $1", flow_id)
    await set_flow_group_schedule(database, seeded.caller, group_id, [], [IntervalClock(7200)], None)
    times = await times_of(database, flow_id)
    assert [after - before for before, after in pairwise(times)] == [timedelta(hours=2)] * 9
    await delete_flow_group_schedule(database, seeded.caller, group_id)
    times = await times_of(database, flow_id)
    assert [after - before for before, after in pairwise(times)] == [MINUTE] * 9
    await set_schedule_inactive(database, seeded.caller, flow_id)
    assert await times_of(database, flow_id) == []
    assert (await scheduler_of(database).run_once(datetime.now(UTC) + timedelta(days=1))).flows == 0


async def test_a_new_version_takes_over_and_an_archived_flow_has_no_runs(database: Database) -> None:
    seeded = await seed(database)
    first = await register(seeded, EVERY_MINUTE)
    second = await register(seeded, EVERY_MINUTE)
    assert (len(await times_of(database, first)), len(await times_of(database, second))) == (0, 10)
    await archive_flow(database, seeded.caller, second)
    assert await times_of(database, second) == []
    assert (await scheduler_of(database).run_once(datetime.now(UTC) + timedelta(days=1))).flows == 0


async def test_schedules_that_are_no_good_are_told_once_and_hold_up_nobody(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    seeded = await seed(database)
    await register(seeded, {"type": "SunClock"}, name="unreadable")
    await register(seeded, {"type": "CronClock", "cron": "0 0 30 2 *"}, name="never")
    required = [{"name": "x", "slug": "x", "required": True, "default": None}]
    needy = await register(seeded, EVERY_MINUTE | {"parameter_defaults": {"x": 1}}, name="needy", parameters=required)
    await database.execute("""update flow set schedule = '{"clocks": [{"type": "IntervalClock", "interval": 6e7}]}'
        where name = 'needy'""")
    good = await register(seeded, EVERY_MINUTE, name="good")
    scheduler = scheduler_of(database)
    now = datetime.now(UTC) + timedelta(days=2)
    with caplog.at_level(logging.WARNING):
        done = await scheduler.run_once(now)
        await scheduler.run_once(now + timedelta(days=2))
    assert (done.flows, done.unreadable, done.refused) == (3, 1, 1)
    assert len(await times_of(database, good)) == 30
    told = [record.message for record in caplog.records if "is not run by its schedule" in record.message]
    assert sorted(message.partition(": ")[2] for message in told) == [
        "Required parameters were not supplied: {'x'}",
        "There is no clock of type 'SunClock'.",
        "it has no time that is still to come. Give it another schedule.",
    ]
    group_id = await database.fetch_value("select flow_group_id from flow where id = $1", needy)
    await set_default_parameters(database, seeded.caller, group_id, {"x": 5})
    done = await scheduler.run_once(now + timedelta(days=2, minutes=5))
    assert (len(await times_of(database, needy)), done.missed) == (20, 0)


async def test_nothing_is_made_for_a_schedule_that_was_changed_meanwhile(database: Database) -> None:
    seeded = await seed(database)
    flow_id = await register(seeded, EVERY_MINUTE)
    stale = CreateFlowRun(flow_id=flow_id, idempotency_key="k", schedule_lease=new_id())
    with pytest.raises(ConflictError):
        await create_flow_run(database, seeded.caller, stale)
    (due,) = await schedules.lease(database, datetime.now(UTC) + timedelta(days=1), 1, MINUTE)
    late = CreateFlowRun(flow_id=flow_id, idempotency_key="k", schedule_lease=due.lease)
    async with database.transaction() as transaction:
        await schedules.begin(transaction, seeded.caller.tenant_id, flow_id)
        creating = asyncio.create_task(create_flow_run(database, seeded.caller, late))
        waiting = "select count(*) from pg_locks where not granted"
        while not await database.fetch_value(waiting):  # noqa: ASYNC110 - nothing sets an event for it
            await asyncio.sleep(0)
    with pytest.raises(ConflictError):
        await creating
    assert len(await times_of(database, flow_id)) == 10


async def test_a_server_that_stops_leaves_no_flow_leased(database: Database) -> None:
    seeded = await seed(database)
    flow_id = await register(seeded, EVERY_MINUTE)
    now = (await times_of(database, flow_id))[-1]
    async with database.transaction() as transaction:
        # The runs wait for this lock.
        await transaction.execute("select from flow where id = $1 for update", flow_id)
        leased = "select lease is not null from flow_schedule where flow_id = $1"
        round_ = asyncio.create_task(scheduler_of(database).run_once(now))
        while not await database.fetch_value(leased, flow_id):  # noqa: ASYNC110 - nothing sets an event for it
            await asyncio.sleep(0)
        round_.cancel()
    with pytest.raises(asyncio.CancelledError):
        await round_
    assert not await database.fetch_value(leased, flow_id)
    assert len(await times_of(database, flow_id)) == 20


async def test_the_schedule_of_a_group_may_have_a_policy_of_its_own(database: Database) -> None:
    seeded = await seed(database)
    flow_id = await register(seeded, EVERY_MINUTE)
    group_id = await database.fetch_value("select flow_group_id from flow where id = $1", flow_id)
    with pytest.raises(BadInputError, match="Missed runs can be skip, latest, all, not 'some'"):
        await set_flow_group_schedule(database, seeded.caller, group_id, [], [IntervalClock(60)], None, "some")
    await set_flow_group_schedule(database, seeded.caller, group_id, [], [IntervalClock(60)], None, "latest")
    now = (await times_of(database, flow_id))[-1] + timedelta(minutes=5, seconds=1)
    done = await scheduler_of(database).run_once(now)
    assert (done.missed, done.runs) == (5, 11)
