"""create_flow_run: what names the flow, what the run gets, idempotency, many at once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from seeds import Seed, seed, serialized_flow, stranger

from flowstead_server.db import Database
from flowstead_server.domain.caller import Caller
from flowstead_server.domain.errors import BadInputError, FlowsteadError, NotFoundError, StaleWriteError
from flowstead_server.orchestration.flow_runs import (
    CreateFlowRun,
    create_flow_run,
    set_flow_run_name,
    set_task_run_name,
    update_flow_run_heartbeat,
)
from flowstead_server.orchestration.flows import CreateFlow, archive_flow, create_flow
from flowstead_server.orchestration.task_runs import (
    get_or_create_mapped_task_runs,
    get_or_create_task_run,
    get_or_create_task_run_info,
    get_task_run_info,
)


async def row_of(database: Database, flow_run_id: UUID) -> dict[str, Any]:
    row = await database.fetch_row("select * from flow_run where id = $1", flow_run_id)
    assert row is not None
    return dict(row)


async def create(seeded: Seed, **members: Any) -> UUID:
    return await create_flow_run(seeded.database, seeded.caller, CreateFlowRun(**members))


class Recorder:
    """Keeps the hints it gets."""

    def __init__(self) -> None:
        self.runs: list[UUID] = []
        self.queues: list[tuple[UUID, list[int]]] = []

    def runs_changed(self, flow_run_ids) -> None:
        self.runs.extend(flow_run_ids)

    def queue_changed(self, tenant_id, label_set_ids) -> None:
        self.queues.append((tenant_id, list(label_set_ids)))

    def slots_freed(self, tenant_id) -> None:
        pass


async def test_new_run_has_its_first_state_and_task_runs(database: Database) -> None:
    seeded = await seed(database, tasks=3)
    hints = Recorder()
    database.hints = hints
    flow_run_id = await seeded.run(context={"a": 1}, flow_run_name="mine")
    row = await row_of(database, flow_run_id)
    assert (row["name"], row["state"], row["version"], row["auto_scheduled"]) == ("mine", "Scheduled", 1, False)
    assert (row["state_message"], row["times_resurrected"]) == ("Flow run scheduled.", 0)
    assert row["scheduled_start_time"] == row["state_start_time"] == row["queue_time"]
    assert row["tenant_id"] == seeded.caller.tenant_id
    assert orjson.loads(row["context"]) == {"a": 1}
    state = orjson.loads(row["serialized_state"])
    assert (state["type"], state["message"]) == ("Scheduled", "Flow run scheduled.")
    assert datetime.fromisoformat(state["start_time"]) == row["state_start_time"]
    history = await database.fetch("select * from flow_run_state where flow_run_id = $1", flow_run_id)
    assert [(entry["state"], entry["version"], entry["start_time"]) for entry in history] == [
        ("Scheduled", 1, row["state_start_time"])
    ]
    task_runs = await database.fetch("select * from task_run where flow_run_id = $1", flow_run_id)
    assert len(task_runs) == 3
    for task_run in task_runs:
        assert (task_run["state"], task_run["version"], task_run["map_index"]) == ("Pending", 1, -1)
        assert orjson.loads(task_run["serialized_state"]) == {"type": "Pending", "message": "Task run created"}
    assert await database.fetch_value("select count(*) from task_run_state where flow_run_id = $1", flow_run_id) == 3
    assert hints.queues == [(seeded.caller.tenant_id, [row["label_set_id"]])]


async def test_flow_is_named_by_id_then_group_then_version_group(database: Database) -> None:
    seeded = await seed(database)
    newest = await create_flow(database, seeded.caller, CreateFlow(serialized_flow(), seeded.project_id))
    facts = await database.fetch_row("select flow_group_id, version_group_id from flow where id = $1", newest)
    assert facts is not None
    for members in (
        {"flow_group_id": facts["flow_group_id"]},
        {"version_group_id": facts["version_group_id"]},
        {"flow_id": newest, "flow_group_id": uuid4(), "version_group_id": "x"},
        {"flow_group_id": facts["flow_group_id"], "version_group_id": "x"},
    ):
        assert (await row_of(database, await create(seeded, **members)))["flow_id"] == newest


async def test_what_names_no_flow_is_explained(database: Database) -> None:
    seeded = await seed(database)
    unknown = uuid4()
    for members, text in (
        ({}, "A flow id or version group ID must be provided."),
        ({"flow_id": unknown}, f"Flow {unknown} not found"),
        ({"flow_group_id": unknown}, f"Flow group {unknown} has no unarchived flows."),
        ({"version_group_id": "x"}, "Version group x has no unarchived flows."),
    ):
        with pytest.raises(FlowsteadError) as raised:
            await create(seeded, **members)
        assert raised.value.message == text
    await archive_flow(database, seeded.caller, seeded.flow_id)
    with pytest.raises(BadInputError) as archived:
        await create(seeded, flow_id=seeded.flow_id)
    assert archived.value.message == f"Flow {seeded.flow_id} is archived."


async def test_foreign_flows_are_unknown(database: Database) -> None:
    seeded = await seed(database)
    facts = await database.fetch_row("select flow_group_id, version_group_id from flow")
    assert facts is not None
    other = await stranger(database)
    for members in (
        {"flow_id": seeded.flow_id},
        {"flow_group_id": facts["flow_group_id"]},
        {"version_group_id": facts["version_group_id"]},
    ):
        with pytest.raises(NotFoundError):
            await create_flow_run(database, other, CreateFlowRun(**members))


async def test_labels_run_config_and_parameters_are_resolved(database: Database) -> None:
    declared = [{"name": "a", "default": 1, "required": False}, {"name": "b", "required": True}]
    seeded = await seed(database, parameters=declared, run_config={"type": "LocalRun", "labels": ["flow"]})
    await database.execute('update flow_group set default_parameters = \'{"b": 2}\', run_config = \'{"type": "G"}\'')
    row = await row_of(database, await seeded.run(parameters={"c": 3}))
    assert orjson.loads(row["parameters"]) == {"a": 1, "b": 2, "c": 3}
    assert orjson.loads(row["run_config"]) == {"type": "G"}
    assert row["labels"] == "[]"
    row = await row_of(database, await seeded.run(labels=["z", "a", "z"]))
    assert row["labels"] == '["a", "z"]'
    assert await database.fetch_value("select labels from label_set where id = $1", row["label_set_id"]) == ["a", "z"]
    await database.execute("update flow_group set default_parameters = '{}'")
    with pytest.raises(BadInputError, match=r"Required parameters were not supplied: \{'b'\}"):
        await seeded.run()


@pytest.mark.parametrize(
    "members",
    [
        {"parameters": [1]},
        {"context": "x"},
        {"run_config": []},
        {"flow_run_name": "n" * 1001},
        {"flow_run_name": "\0"},
        {"idempotency_key": "k" * 2001},
        {"labels": [5]},
        {"parameters": {"a": "\0"}},
        {"parameters": {"a": {1}}},
        {"run_config": {"labels": 5}},
    ],
)
async def test_unusable_members_are_explained(database: Database, members: dict[str, Any]) -> None:
    seeded = await seed(database)
    with pytest.raises(BadInputError):
        await seeded.run(**members)
    assert await database.fetch_value("select count(*) from flow_run") == 0


async def test_start_time_is_kept(database: Database) -> None:
    seeded = await seed(database)
    start = datetime(2040, 1, 1, tzinfo=UTC)
    for given in (start, start.replace(tzinfo=None), start.astimezone(tz=None)):
        row = await row_of(database, await seeded.run(scheduled_start_time=given))
        assert row["scheduled_start_time"] == row["queue_time"] == start


async def test_key_belongs_to_its_flow(database: Database) -> None:
    seeded = await seed(database)
    first = await seeded.run(idempotency_key="k", parameters={"a": 1})
    assert await seeded.run(idempotency_key="k", parameters={"a": 2}) == first
    assert orjson.loads((await row_of(database, first))["parameters"]) == {"a": 1}
    assert await seeded.run(idempotency_key="other") != first
    flow_id = await create_flow(database, seeded.caller, CreateFlow(serialized_flow("two"), seeded.project_id))
    assert await create(seeded, flow_id=flow_id, idempotency_key="k") != first


async def test_many_with_one_key_make_one_run(database: Database, database_dsn: str) -> None:
    seeded = await seed(database)
    async with await Database.connect(database_dsn, max_connections=8) as another_server:
        ids = await asyncio.gather(
            *(
                create_flow_run(
                    (database, another_server)[n % 2],
                    seeded.caller,
                    CreateFlowRun(flow_id=seeded.flow_id, idempotency_key="k"),
                )
                for n in range(64)
            )
        )
    assert len(set(ids)) == 1
    assert await database.fetch_value("select count(*) from flow_run") == 1
    assert await database.fetch_value("select count(*) from task_run") == 2


async def test_each_of_many_at_once_gets_its_own_answer(database: Database) -> None:
    seeded = await seed(database)
    others = await stranger(database)

    async def attempt(n: int) -> UUID | str:
        caller = others if n % 10 == 7 else seeded.caller
        parameters = {"n": n} if n % 10 != 3 else {"n": "\0"}
        try:
            return await create_flow_run(
                database, caller, CreateFlowRun(flow_id=seeded.flow_id, parameters=parameters, labels=[str(n % 3)])
            )
        except FlowsteadError as error:
            return error.code

    answers = await asyncio.gather(*(attempt(n) for n in range(100)))
    for n, answer in enumerate(answers):
        if n % 10 == 7:
            assert answer == "NOT_FOUND"
        elif n % 10 == 3:
            assert answer == "BAD_USER_INPUT"
        else:
            assert isinstance(answer, UUID)
            row = await row_of(database, answer)
            assert orjson.loads(row["parameters"]) == {"n": n}
            assert orjson.loads(row["labels"]) == [str(n % 3)]
    assert await database.fetch_value("select count(*) from flow_run") == 80


async def test_caller_that_leaves_does_not_disturb_others(database: Database) -> None:
    seeded = await seed(database)
    calls = [asyncio.create_task(seeded.run()) for _ in range(30)]
    await asyncio.sleep(0)
    for call in calls[::2]:
        call.cancel()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(answer, UUID) for answer in answers[1::2])


async def test_names_can_be_changed(database: Database) -> None:
    seeded = await seed(database)
    other = await stranger(database)
    flow_run_id = await seeded.run()
    task_run_id = (await seeded.task_run_ids(flow_run_id))[0]
    assert await set_flow_run_name(database, seeded.caller, flow_run_id, "new")
    assert await set_task_run_name(database, seeded.caller, task_run_id, "newer")
    assert (await row_of(database, flow_run_id))["name"] == "new"
    assert await database.fetch_value("select name from task_run where id = $1", task_run_id) == "newer"
    for rename, run_id in ((set_flow_run_name, flow_run_id), (set_task_run_name, task_run_id)):
        assert not await rename(database, seeded.caller, uuid4(), "x")
        assert not await rename(database, other, run_id, "x")
        with pytest.raises(BadInputError, match="Invalid name"):
            await rename(database, seeded.caller, run_id, "")


async def test_heartbeats_move_forward_and_never_fail(database: Database) -> None:
    seeded = await seed(database)
    flow_run_id = await seeded.run()
    heartbeat = "select heartbeat from flow_run_heartbeat where flow_run_id = $1"
    await update_flow_run_heartbeat(database, await stranger(database), flow_run_id)
    await update_flow_run_heartbeat(database, seeded.caller, uuid4())
    assert await database.fetch_value("select count(*) from flow_run_heartbeat") == 0
    await update_flow_run_heartbeat(database, seeded.caller, flow_run_id)
    first = await database.fetch_value(heartbeat, flow_run_id)
    # They change one narrow row and notify nobody.
    written = "select xmin::text, ctid::text from flow_run where id = $1"
    before = await database.fetch_row(written, flow_run_id)
    database.hints = hints = Recorder()
    await update_flow_run_heartbeat(database, seeded.caller, flow_run_id)
    assert await database.fetch_value(heartbeat, flow_run_id) > first
    assert await database.fetch_row(written, flow_run_id) == before
    assert (hints.runs, hints.queues) == ([], [])


async def test_task_run_look_up_makes_mapped_ones_once(database: Database) -> None:
    seeded = await seed(database)
    flow_run_id = await seeded.run()
    task_id = (await seeded.task_ids())["t-1"]
    unmapped = await get_or_create_task_run_info(database, seeded.caller, flow_run_id, task_id, None)
    assert unmapped.id == (await seeded.task_run_ids(flow_run_id))[0]
    assert (unmapped.version, unmapped.state) == (1, "Pending")
    mapped = await asyncio.gather(
        *(get_or_create_task_run_info(database, seeded.caller, flow_run_id, task_id, n % 4) for n in range(64))
    )
    assert len({info.id for info in mapped}) == 4
    assert {(info.version, info.state) for info in mapped} == {(1, "Pending")}
    assert await database.fetch_value("select count(*) from task_run_state where flow_run_id = $1", flow_run_id) == 6
    assert await get_or_create_task_run(database, seeded.caller, flow_run_id, task_id, 3) == mapped[3].id
    assert await get_task_run_info(database, seeded.caller, mapped[3].id) == mapped[3]


async def test_mapped_children_are_made_together_and_once(database: Database) -> None:
    seeded = await seed(database)
    flow_run_id = await seeded.run()
    task_id = (await seeded.task_ids())["t-1"]
    single = await get_or_create_task_run_info(database, seeded.caller, flow_run_id, task_id, 7)

    async def children(first: int, count: int, caller: Caller = seeded.caller, task: UUID = task_id) -> list[UUID]:
        found = await get_or_create_mapped_task_runs(database, caller, flow_run_id, task, first, count)
        assert {(info.version, info.state) for info in found} <= {(1, "Pending")}
        return [info.id for info in found]

    made = await asyncio.gather(*(children(0, 50) for _ in range(16)))
    assert len({tuple(ids) for ids in made}) == 1
    assert len(set(made[0])) == 50
    assert made[0][7] == single.id
    assert (await children(40, 20))[:10] == made[0][40:]
    assert await children(3, 0) == []
    rows = "select count(*) from task_run_state where flow_run_id = $1"
    assert await database.fetch_value(rows, flow_run_id) == 60 + 2
    for attempt, kind in (
        (children(-1, 5), BadInputError),
        (children(0, 5001), BadInputError),
        (children(0, -1), BadInputError),
        (children(0, 1, await stranger(database)), NotFoundError),
        (children(0, 1, task=uuid4()), NotFoundError),
        (children(100, 1, Caller(seeded.caller.tenant_id, claim_token=uuid4())), StaleWriteError),
    ):
        with pytest.raises(kind):
            await attempt


async def test_unknown_parts_of_a_task_run_are_explained(database: Database) -> None:
    seeded = await seed(database)
    other = await stranger(database)
    flow_run_id = await seeded.run()
    task_id = (await seeded.task_ids())["t-1"]
    task_run_id = (await seeded.task_run_ids(flow_run_id))[0]

    async def look_up(caller: Caller, run: UUID, task: UUID, index: int = 0) -> None:
        await get_or_create_task_run_info(database, caller, run, task, index)

    for attempt, text in (
        (look_up(seeded.caller, flow_run_id, uuid4()), "Invalid task ID"),
        (look_up(seeded.caller, uuid4(), task_id), "Invalid flow run ID"),
        (look_up(other, flow_run_id, task_id), "Invalid task ID"),
        (look_up(seeded.caller, flow_run_id, task_id, -2), "A map index must be -1 or more, but this one is -2."),
        (get_task_run_info(database, seeded.caller, uuid4()), "Invalid task run ID"),
        (get_task_run_info(database, other, task_run_id), "Invalid task run ID"),
        (get_or_create_task_run(database, seeded.caller, uuid4(), task_id, 0), "Invalid ID"),
    ):
        with pytest.raises(FlowsteadError) as raised:
            await attempt
        assert raised.value.message == text


async def test_deleting_runs_deletes_what_is_theirs(database: Database) -> None:
    from flowstead_server.orchestration.logs import write_run_logs

    seeded = await seed(database)
    gone, kept = await seeded.run(), await seeded.run(scheduled_start_time=datetime.now(UTC) + timedelta(days=1))
    for run in (gone, kept):
        await write_run_logs(database, seeded.caller, [{"flow_run_id": run, "message": "line"}])
        await update_flow_run_heartbeat(database, seeded.caller, run)
    await database.execute("delete from flow_run where id = $1", gone)
    for table in ("log", "flow_run_heartbeat", "flow_run_state", "task_run", "task_run_state"):
        rows = await database.fetch(f"select distinct flow_run_id from {table}")
        assert [row["flow_run_id"] for row in rows] == [kept], table
