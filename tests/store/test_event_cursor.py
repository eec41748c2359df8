"""read_events: order, pages, the end, and that a follower of concurrent writers misses and repeats nothing."""

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from seeds import Seed, seed, stranger

from flowstead_server.db import Database
from flowstead_server.domain.errors import BadInputError, NotFoundError
from flowstead_server.orchestration.events import Event, read_events
from flowstead_server.orchestration.logs import write_run_logs
from flowstead_server.orchestration.queue import ClaimFlowRuns, claim_flow_runs
from flowstead_server.orchestration.states import (
    SetFlowRunState,
    SetTaskRunState,
    set_flow_run_states,
    set_task_run_states,
)
from flowstead_server.orchestration.task_runs import get_or_create_task_run_info


async def set_flow(seeded: Seed, run_id: UUID, name: str, message: str | None = None) -> None:
    state = {"type": name, "message": message}
    (answer,) = await set_flow_run_states(seeded.database, seeded.caller, [SetFlowRunState(run_id, state)])
    if isinstance(answer, Exception):
        raise answer


async def test_events_of_all_kinds_in_order(database: Database) -> None:
    seeded = await seed(database, tasks=1)
    run_id = await seeded.run()
    await seeded.run()
    await set_flow(seeded, run_id, "Running", "Running flow.")
    (task_run_id,) = await seeded.task_run_ids(run_id)
    await set_task_run_states(database, seeded.caller, [SetTaskRunState(task_run_id, {"type": "Running"})])
    await write_run_logs(
        database,
        seeded.caller,
        [
            {"flow_run_id": run_id, "message": "flow", "level": "DEBUG", "name": "prefect.flow"},
            {"flow_run_id": run_id, "task_run_id": task_run_id, "message": "task"},
        ],
    )
    page = await read_events(database, seeded.caller, run_id)
    assert [(event.kind, event.state, event.message) for event in page.events] == [
        ("TASK_RUN_STATE", "Pending", "Task run created"),
        ("FLOW_RUN_STATE", "Scheduled", "Flow run scheduled."),
        ("FLOW_RUN_STATE", "Running", "Running flow."),
        ("TASK_RUN_STATE", "Running", None),
        ("LOG", None, "flow"),
        ("LOG", None, "task"),
    ] or [event.state for event in page.events[:2]] == ["Scheduled", "Pending"]
    running, flow_line, task_line = page.events[3:]
    assert (running.task_run_id, running.task_name, running.map_index, running.version) == (task_run_id, "t", -1, 2)
    assert (flow_line.level, flow_line.logger, flow_line.task_run_id) == ("DEBUG", "prefect.flow", None)
    assert (task_line.level, task_line.task_name, task_line.task_run_id) == ("INFO", "t", task_run_id)
    assert page.cursor == page.events[-1].cursor
    assert not page.finished


async def test_pages_follow_each_other_to_the_end(database: Database) -> None:
    seeded = await seed(database, tasks=3)
    run_id = await seeded.run()
    lines = [{"flow_run_id": run_id, "message": str(n)} for n in range(40)]
    await write_run_logs(database, seeded.caller, lines)
    await set_flow(seeded, run_id, "Success")
    cursor, events = 0, []
    while True:
        page = await read_events(database, seeded.caller, run_id, cursor, 7)
        events += page.events
        cursor = page.cursor
        if page.finished:
            break
        assert len(page.events) == 7
    whole = await read_events(database, seeded.caller, run_id)
    assert whole.finished
    assert events == whole.events
    assert [event.message for event in events if event.kind == "LOG"] == [str(n) for n in range(40)]
    end = await read_events(database, seeded.caller, run_id, cursor)
    assert (end.events, end.cursor, end.finished) == ([], cursor, True)


async def test_pages_of_large_messages_are_short(database: Database) -> None:
    seeded = await seed(database, tasks=0)
    run_id = await seeded.run()
    await set_flow(seeded, run_id, "Success")
    for n in range(9):
        await write_run_logs(database, seeded.caller, [{"flow_run_id": run_id, "message": str(n) * 1_000_000}])
    pages, cursor = [], 0
    while not (page := await read_events(database, seeded.caller, run_id, cursor)).finished:
        cursor = page.cursor
        pages.append(page)
    pages.append(page)
    assert [len(page.events) for page in pages] == [3, *[1] * 8]
    assert [(event.message or "")[:1] for page in pages for event in page.events[-1:]] == list("012345678")


async def test_unknown_and_foreign_runs_and_nonsense_cursors(database: Database) -> None:
    seeded = await seed(database)
    run_id = await seeded.run()
    for caller, unknown in ((seeded.caller, uuid4()), (await stranger(database), run_id)):
        with pytest.raises(NotFoundError):
            await read_events(database, caller, unknown)
    for after, limit in ((-1, 1), (2**63, 1), (0, 0), (0, 501)):
        with pytest.raises(BadInputError):
            await read_events(database, seeded.caller, run_id, after, limit)


async def follow(seeded: Seed, run_id: UUID, done: asyncio.Event) -> list[Event]:
    followed: list[Event] = []
    cursor = 0
    while True:
        last = done.is_set()
        page = await read_events(seeded.database, seeded.caller, run_id, cursor, 17)
        followed += page.events
        cursor = page.cursor
        if last and not page.events:
            return followed


async def test_follower_misses_and_repeats_nothing(database: Database, database_dsn: str) -> None:
    seeded = await seed(database, tasks=4)
    agent_id = await seeded.agent()
    run_id = await seeded.run()
    task_runs = await seeded.task_run_ids(run_id)
    task_id = (await seeded.task_ids())["t-1"]
    done = asyncio.Event()
    async with await Database.connect(database_dsn) as another_server:
        writers = [seeded, replace(seeded, database=another_server)]

        async def log(n: int) -> None:
            writer = writers[n % 2]
            for k in range(25):
                line = {"flow_run_id": run_id, "message": f"{n}/{k}"}
                await write_run_logs(writer.database, writer.caller, [line] * (1 + k % 3))

        async def change(n: int) -> None:
            writer = writers[n % 2]
            for _ in range(15):
                member = SetTaskRunState(task_runs[n % 4], {"type": "Running"})
                await set_task_run_states(writer.database, writer.caller, [member])

        async def grow(n: int) -> None:
            writer = writers[n % 2]
            for index in range(15):
                await get_or_create_task_run_info(writer.database, writer.caller, run_id, task_id, index)

        async def restart(_: int) -> None:
            for _ in range(5):
                await set_flow(seeded, run_id, "Scheduled")
                await claim_flow_runs(database, seeded.caller, ClaimFlowRuns(agent_id))
                await set_flow(seeded, run_id, "Running")

        followers = [asyncio.create_task(follow(seeded, run_id, done)) for _ in range(3)]
        await asyncio.gather(*(work(n) for work in (log, change, grow) for n in range(4)), restart(0))
        done.set()
        followed = await asyncio.gather(*followers)
    stored = await database.fetch(
        """
        select seq from flow_run_state where flow_run_id = $1
        union all select seq from task_run_state where flow_run_id = $1
        union all select seq from log where flow_run_id = $1
        order by seq
        """,
        run_id,
    )
    assert len(stored) > 200
    for events in followed:
        assert [event.cursor for event in events] == [row["seq"] for row in stored]


async def test_only_the_partitions_since_the_run_are_read(database: Database) -> None:
    from flowstead_server.orchestration.logs import ensure_log_partitions
    from flowstead_server.store import events as store

    seeded = await seed(database)
    await ensure_log_partitions(database)
    run_id = await seeded.run()
    await database.execute("update flow_run set created = now() + interval '5 days' where id = $1", run_id)
    async with database.transaction() as transaction:
        await transaction.execute("set local plan_cache_mode = force_generic_plan")
        rows = await transaction.fetch(
            f"explain (analyze) {store._SQL['read']}", seeded.caller.tenant_id, run_id, 0, 100
        )
    plan = "\n".join(row[0] for row in rows)
    executed = [line for line in plan.splitlines() if " on log_" in line and "never executed" not in line]
    assert len(executed) <= 4, plan
