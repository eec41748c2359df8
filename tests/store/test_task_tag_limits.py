"""Concurrency limits of task runs, by the tags of their tasks."""

import asyncio
from dataclasses import replace
from uuid import UUID

import orjson
from seeds import Seed, seed

from flowstead_server.db import Database
from flowstead_server.domain.errors import FlowsteadError
from flowstead_server.orchestration import limits
from flowstead_server.orchestration.cancellation import cancel_flow_run
from flowstead_server.orchestration.deletions import delete_flow_run
from flowstead_server.orchestration.states import (
    SetFlowRunState,
    SetTaskRunState,
    StateResult,
    set_flow_run_states,
    set_task_run_states,
)


async def tagged(database: Database, tasks: int = 4, tags: tuple[str, ...] = ("db",)) -> Seed:
    seeded = await seed(database, tasks=tasks)
    await database.execute("update task set tags = $1::jsonb", orjson.dumps(tags).decode())
    return seeded


async def running(seeded: Seed) -> tuple[UUID, list[UUID]]:
    run_id = await seeded.run()
    await flow_state(seeded, run_id, "Running")
    return run_id, await seeded.task_run_ids(run_id)


async def flow_state(seeded: Seed, run_id: UUID, name: str) -> None:
    (answer,) = await set_flow_run_states(seeded.database, seeded.caller, [SetFlowRunState(run_id, {"type": name})])
    assert isinstance(answer, StateResult)


async def put(seeded: Seed, name: str, *task_run_ids: UUID) -> list[str]:
    members = [SetTaskRunState(task_run_id, {"type": name}) for task_run_id in task_run_ids]
    answers = await set_task_run_states(seeded.database, seeded.caller, members)
    return [answer.code if isinstance(answer, FlowsteadError) else answer.status for answer in answers]


async def test_a_tag_has_as_many_slots_as_its_limit(database: Database) -> None:
    seeded = await tagged(database)
    run_id, (first, second, third, fourth) = await running(seeded)
    # what ran before there was a limit counts
    assert await put(seeded, "Running", first) == ["SUCCESS"]
    await limits.update_task_tag_limit(database, seeded.caller, "db", 2)
    assert await put(seeded, "Running", second, third, fourth) == ["SUCCESS", "QUEUED", "QUEUED"]
    row = await database.fetch_row("select * from task_run where id = $1", third)
    assert row is not None
    assert (row["state"], row["version"]) == ("Queued", 2)
    assert row["state_message"] == "Waits for a free slot: tag 'db' (2)."
    state = orjson.loads(row["serialized_state"])
    assert (state["type"], state["state"]["type"]) == ("Queued", "Pending")
    # asking on is free, and so is saying again that it runs
    assert await put(seeded, "Running", third, first) == ["QUEUED", "SUCCESS"]
    assert await database.fetch_value("select count(*) from task_run_state where task_run_id = $1", third) == 2
    assert await put(seeded, "Success", first) == ["SUCCESS"]
    assert await put(seeded, "Running", third, fourth) == ["SUCCESS", "QUEUED"]
    assert await database.fetch_value("select start_time from task_run where id = $1", fourth) is None
    # the flow run ends without its task runs
    await flow_state(seeded, run_id, "Failed")
    _, others = await running(seeded)
    assert await put(seeded, "Running", *others) == ["SUCCESS", "SUCCESS", "QUEUED", "QUEUED"]


async def test_slots_are_free_after_cancelling_deleting_and_rescheduling(database: Database) -> None:
    seeded = await tagged(database, tasks=1)
    await limits.update_task_tag_limit(database, seeded.caller, "db", 1)
    runs = [await running(seeded) for _ in range(4)]
    (cancelled, [a]), (deleted, [b]), (rescheduled, [c]), (_, [d]) = runs
    assert await put(seeded, "Running", a) == ["SUCCESS"]
    assert await put(seeded, "Running", b) == ["QUEUED"]
    await cancel_flow_run(database, seeded.caller, cancelled)
    assert await put(seeded, "Running", b) == ["QUEUED"]
    await flow_state(seeded, cancelled, "Cancelled")
    assert await put(seeded, "Running", b) == ["SUCCESS"]
    assert await database.fetch_value("select array_agg(task_run_id) from task_run_tag") == [b]
    await delete_flow_run(database, seeded.caller, deleted)
    assert await put(seeded, "Running", c, d) == ["SUCCESS", "QUEUED"]
    await flow_state(seeded, rescheduled, "Scheduled")
    assert await put(seeded, "Running", d) == ["SUCCESS"]
    assert await database.fetch_value("select array_agg(task_run_id) from task_run_tag") == [d]


async def test_a_task_run_needs_a_slot_of_each_tag(database: Database) -> None:
    seeded = await tagged(database, tags=("db", "big", "unlimited"))
    _, (first, second, third, _) = await running(seeded)
    await limits.update_task_tag_limit(database, seeded.caller, "db", 2)
    limit_id = await limits.update_task_tag_limit(database, seeded.caller, "big", 1)
    assert await put(seeded, "Running", first, second) == ["SUCCESS", "QUEUED"]
    await limits.delete_task_tag_limit(database, seeded.caller, limit_id)
    assert await put(seeded, "Running", second, third) == ["SUCCESS", "QUEUED"]
    await limits.update_task_tag_limit(database, seeded.caller, "db", 0)
    await put(seeded, "Success", first, second)
    assert await put(seeded, "Running", third) == ["QUEUED"]


async def test_parallel_starts_never_exceed_a_tag_limit(database: Database, database_dsn: str) -> None:
    seeded = await tagged(database, tasks=5)
    await limits.update_task_tag_limit(database, seeded.caller, "db", 3)
    runs = [await running(seeded) for _ in range(8)]
    async with await Database.connect(database_dsn) as another_server:
        servers = [seeded, replace(seeded, database=another_server)]

        async def work(n: int, task_run_ids: list[UUID]) -> None:
            for task_run_id in task_run_ids:
                while await put(servers[n % 2], "Running", task_run_id) == ["QUEUED"]:
                    pass
                assert await put(servers[n % 2], "Success", task_run_id) == ["SUCCESS"]

        async with asyncio.timeout(60):
            await asyncio.gather(*(work(n, task_run_ids) for n, (_, task_run_ids) in enumerate(runs)))
    most = await database.fetch_value(
        """
        with changes as (
            select timestamp, (state = 'Running')::integer - coalesce(
                lag((state = 'Running')::integer) over (partition by task_run_id order by seq), 0
            ) as change
            from task_run_state
        )
        select max(live) from (select sum(change) over (order by timestamp, change) as live from changes) counted
        """
    )
    assert most == 3
    assert await database.fetch_value("select count(*) from task_run where state = 'Success'") == 40
    assert await database.fetch_value("select count(*) from task_run_tag") == 0


async def test_tags_that_can_have_no_limit_are_no_obstacle(database: Database) -> None:
    seeded = await tagged(database, tasks=1)
    long = "".join(map(chr, range(0x4E00, 0x4E00 + 3000)))
    await database.execute(
        "update task set tags = $1::jsonb", orjson.dumps(["db", "db", None, 7, {}, [], "", long]).decode()
    )
    _, task_runs = await running(seeded)
    assert await put(seeded, "Running", *task_runs) == ["SUCCESS"]
    assert [row[0] for row in await database.fetch("select tag from task_run_tag")] == ["db"]
