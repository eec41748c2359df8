"""set_flow_run_states, set_task_run_states, cancel_flow_run: rules, effects on the rows, fencing, races."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from seeds import Seed, seed, stranger

from flowstead_server.db import Database
from flowstead_server.domain.caller import Caller
from flowstead_server.domain.errors import BadInputError, FlowsteadError, NotFoundError, StaleWriteError
from flowstead_server.orchestration.cancellation import cancel_flow_run
from flowstead_server.orchestration.flow_runs import (
    CreateFlowRun,
    create_flow_run,
    set_flow_run_name,
    update_flow_run_heartbeat,
)
from flowstead_server.orchestration.logs import write_run_logs
from flowstead_server.orchestration.queue import ClaimFlowRuns, claim_flow_runs
from flowstead_server.orchestration.states import (
    SetFlowRunState,
    SetTaskRunState,
    StateResult,
    set_flow_run_states,
    set_task_run_states,
)
from flowstead_server.orchestration.task_runs import get_or_create_task_run_info


async def row_of(database: Database, table: str, run_id: UUID) -> dict[str, Any]:
    row = await database.fetch_row(f"select * from {table} where id = $1", run_id)
    assert row is not None
    return dict(row)


async def set_flow(
    seeded: Seed, run_id: UUID, name: str, *, caller: Caller | None = None, version: int | None = None, **members: Any
) -> None:
    member = SetFlowRunState(run_id, {"type": name, **members}, version)
    (answer,) = await set_flow_run_states(seeded.database, caller or seeded.caller, [member])
    if isinstance(answer, FlowsteadError):
        raise answer
    assert answer == StateResult(run_id, "SUCCESS", None)


async def set_task(
    seeded: Seed, run_id: UUID, name: str, *, caller: Caller | None = None, version: int | None = None, **members: Any
) -> None:
    member = SetTaskRunState(run_id, {"type": name, **members}, version)
    (answer,) = await set_task_run_states(seeded.database, caller or seeded.caller, [member])
    if isinstance(answer, FlowsteadError):
        raise answer


async def claimed(seeded: Seed) -> tuple[UUID, Caller]:
    """A run, and its claim's holder."""
    run_id = await seeded.run()
    agent_id = await seeded.agent()
    claims = await claim_flow_runs(seeded.database, seeded.caller, ClaimFlowRuns(agent_id))
    assert [claim.id for claim in claims.flow_runs] == [run_id]
    return run_id, replace(seeded.caller, claim_token=claims.flow_runs[0].claim_token)


async def warnings(seeded: Seed, run_id: UUID) -> list[str]:
    rows = await seeded.database.fetch("select message from log where flow_run_id = $1 and level = 'WARNING'", run_id)
    return [row["message"] for row in rows]


async def test_a_whole_life_is_written_to_row_and_history(database: Database) -> None:
    seeded = await seed(database)
    run_id = await seeded.run()
    agent_id = await seeded.agent()
    submitted = {"state": {"type": "Scheduled"}, "message": "Submitted for execution"}
    await set_flow(seeded, run_id, "Submitted", caller=replace(seeded.caller, agent_id=agent_id), **submitted)
    row = await row_of(database, "flow_run", run_id)
    assert (row["state"], row["version"], row["agent_id"], row["queue_time"]) == ("Submitted", 2, agent_id, None)
    await set_flow(seeded, run_id, "Running", message="Running flow.")
    row = await row_of(database, "flow_run", run_id)
    assert row["start_time"] == row["state_timestamp"]
    assert (row["state_start_time"], row["end_time"]) == (None, None)
    heartbeat = await database.fetch_value("select heartbeat from flow_run_heartbeat where flow_run_id = $1", run_id)
    assert heartbeat == row["state_timestamp"]
    await set_flow(seeded, run_id, "Success", message="done", extra=[1])
    row = await row_of(database, "flow_run", run_id)
    assert (row["state"], row["state_message"], row["version"]) == ("Success", "done", 4)
    assert row["end_time"] == row["state_timestamp"] > row["start_time"]
    assert orjson.loads(row["serialized_state"]) == {"type": "Success", "message": "done", "extra": [1]}
    history = await database.fetch("select * from flow_run_state where flow_run_id = $1 order by seq", run_id)
    assert [(entry["state"], entry["version"]) for entry in history] == [
        ("Scheduled", 1),
        ("Submitted", 2),
        ("Running", 3),
        ("Success", 4),
    ]
    assert [entry["timestamp"] for entry in history] == sorted(entry["timestamp"] for entry in history)


async def test_unknown_agents_are_not_noted(database: Database) -> None:
    seeded = await seed(database)
    run_id = await seeded.run()
    await set_flow(seeded, run_id, "Submitted", caller=replace(seeded.caller, agent_id=uuid4()))
    assert (await row_of(database, "flow_run", run_id))["agent_id"] is None


@pytest.mark.parametrize("name", ["Skipped", "TriggerFailed", "Mapped", "Finished"])
async def test_derived_finished_states_set_no_end_time(database: Database, name: str) -> None:
    seeded = await seed(database)
    run_id = await seeded.run()
    await set_flow(seeded, run_id, name)
    assert (await row_of(database, "flow_run", run_id))["end_time"] is None


async def test_start_and_end_time_span_a_restart(database: Database) -> None:
    seeded = await seed(database)
    run_id = await seeded.run()
    for name in ("Running", "Failed"):
        await set_flow(seeded, run_id, name)
    first = await row_of(database, "flow_run", run_id)
    for name in ("Scheduled", "Running"):
        await set_flow(seeded, run_id, name)
    second = await row_of(database, "flow_run", run_id)
    assert (second["start_time"], second["end_time"]) == (first["start_time"], first["end_time"])
    await set_flow(seeded, run_id, "Success")
    assert (await row_of(database, "flow_run", run_id))["end_time"] > first["end_time"]


async def test_waiting_states_put_the_run_into_the_queue(database: Database) -> None:
    seeded = await seed(database)
    run_id = await seeded.run()
    start = datetime(2040, 1, 1, tzinfo=UTC)
    for name in ("Scheduled", "Paused", "Resume", "Retrying", "Queued"):
        await set_flow(seeded, run_id, name, start_time=start.isoformat())
        row = await row_of(database, "flow_run", run_id)
        assert (row["queue_time"], row["state_start_time"]) == (start, start), name
    await set_flow(seeded, run_id, "Paused", start_time=None)
    assert (await row_of(database, "flow_run", run_id))["queue_time"] is None
    await set_flow(seeded, run_id, "Scheduled")
    row = await row_of(database, "flow_run", run_id)
    assert row["queue_time"] is not None
    assert "start_time" in orjson.loads(row["serialized_state"])


async def test_running_run_waits_for_its_earliest_task_run(database: Database) -> None:
    seeded = await seed(database, tasks=3)
    run_id = await seeded.run()
    await set_flow(seeded, run_id, "Running")
    first, second, third = await seeded.task_run_ids(run_id)
    early, late = datetime(2040, 1, 1, tzinfo=UTC), datetime(2041, 1, 1, tzinfo=UTC)

    async def queue_time() -> datetime | None:
        return (await row_of(database, "flow_run", run_id))["queue_time"]

    assert await queue_time() is None
    await set_task(seeded, first, "Retrying", start_time=late.isoformat())
    assert await queue_time() == late + timedelta(seconds=3)
    await set_task(seeded, second, "Retrying", start_time=early.isoformat())
    await set_task(seeded, third, "Paused", start_time=None)
    assert await queue_time() == early + timedelta(seconds=3)
    await set_flow(seeded, run_id, "Running")
    assert await queue_time() == early + timedelta(seconds=3)
    await set_task(seeded, second, "Running")
    assert await queue_time() == late + timedelta(seconds=3)
    await set_task(seeded, first, "Success")
    assert await queue_time() is None
    await set_task(seeded, third, "Resume", start_time=early.isoformat())
    assert await queue_time() == early + timedelta(seconds=3)
    await set_flow(seeded, run_id, "Failed")
    assert await queue_time() is None


async def test_no_waiting_task_run_is_missed_when_many_change_at_once(database: Database) -> None:
    seeded = await seed(database, tasks=12)
    run_id = await seeded.run()
    await set_flow(seeded, run_id, "Running")
    task_runs = await seeded.task_run_ids(run_id)
    starts = [datetime(2040, 1, n + 1, tzinfo=UTC).isoformat() for n in range(12)]
    await asyncio.gather(
        *(
            set_task(seeded, task_run, "Retrying", start_time=start)
            for task_run, start in zip(task_runs, starts, strict=True)
        ),
        *(set_flow(seeded, run_id, "Running") for _ in range(5)),
    )
    await asyncio.gather(*(set_task(seeded, task_run, "Success") for task_run in task_runs[:5]))
    row = await row_of(database, "flow_run", run_id)
    assert row["queue_time"] == datetime(2040, 1, 6, 0, 0, 3, tzinfo=UTC)


async def test_members_are_answered_one_by_one(database: Database) -> None:
    seeded = await seed(database)
    runs = [await seeded.run() for _ in range(2)]
    unknown = uuid4()
    answers = await set_flow_run_states(
        database,
        seeded.caller,
        [
            SetFlowRunState(runs[0], {"type": "Running"}),
            SetFlowRunState(unknown, {"type": "Running"}),
            SetFlowRunState(runs[1], {"type": "Nonsense"}),
            SetFlowRunState(runs[1], {"type": "Failed"}),
            SetFlowRunState(runs[0], {"type": "Success"}),
        ],
    )
    assert answers[0] == StateResult(runs[0])
    assert isinstance(answers[1], NotFoundError)
    assert answers[1].message == f"State update failed for flow run ID {unknown}"
    assert isinstance(answers[2], BadInputError)
    assert answers[3:] == [StateResult(runs[1]), StateResult(runs[0])]
    assert [(await row_of(database, "flow_run", run))["state"] for run in runs] == ["Success", "Failed"]


async def test_foreign_runs_are_unknown(database: Database) -> None:
    seeded = await seed(database)
    other = await stranger(database)
    run_id = await seeded.run()
    task_run_id = (await seeded.task_run_ids(run_id))[0]
    for attempt in (
        set_flow(seeded, run_id, "Failed", caller=other),
        set_task(seeded, task_run_id, "Failed", caller=other),
        cancel_flow_run(database, other, run_id),
    ):
        with pytest.raises(NotFoundError):
            await attempt
    # a foreign attempt in the same batch does not get in the owner's way
    await asyncio.gather(
        set_flow(seeded, run_id, "Failed", caller=other),
        set_flow(seeded, run_id, "Running"),
        set_flow(seeded, run_id, "Failed", caller=other),
        return_exceptions=True,
    )
    assert (await row_of(database, "flow_run", run_id))["state"] == "Running"


async def test_second_submission_is_refused(database: Database) -> None:
    seeded = await seed(database)
    run_id = await seeded.run()
    answers = await asyncio.gather(
        *(set_flow(seeded, run_id, "Submitted", version=1) for _ in range(8)), return_exceptions=True
    )
    failures = [answer for answer in answers if answer is not None]
    assert len(failures) == 7
    assert {str(answer) for answer in failures} == {"State update failed: this run has already been submitted."}
    assert (await row_of(database, "flow_run", run_id))["version"] == 2


async def test_finished_run_is_not_revived_and_the_attempt_is_in_its_log(database: Database) -> None:
    seeded = await seed(database)
    run_id = await seeded.run()
    await set_flow(seeded, run_id, "Success")
    with pytest.raises(StaleWriteError) as raised:
        await set_flow(seeded, run_id, "Running")
    assert raised.value.code == "VERSION_LOCKING_ERROR"
    assert raised.value.run_id == run_id
    assert (await row_of(database, "flow_run", run_id))["version"] == 2
    (line,) = await warnings(seeded, run_id)
    assert "Success does not become Running" in line
    await set_flow(seeded, run_id, "Scheduled")
    await set_flow(seeded, run_id, "Running")


async def test_what_is_never_kept_begins_anew(database: Database) -> None:
    seeded = await seed(database, tasks=3)
    run_id = await seeded.run()
    await set_flow(seeded, run_id, "Running")
    await database.execute("update task set type = 'prefect.tasks.core.resource_manager.' || $1", "ResourceSetupTask")
    await database.execute("update task set type = 'x.FunctionTask' where slug <> 't-1'")
    setup, secret, other = await seeded.task_run_ids(run_id)
    for task_run_id, result in ((setup, {}), (secret, {"type": "SecretResult", "location": "s"}), (other, {})):
        await set_task(seeded, task_run_id, "Success", _result=result)
    await set_task(seeded, setup, "Running")
    await set_task(seeded, secret, "Running")
    with pytest.raises(StaleWriteError, match="Success does not become Running"):
        await set_task(seeded, other, "Running")
    await set_task(seeded, setup, "Failed")
    await set_task(seeded, setup, "Running")
    with pytest.raises(StaleWriteError, match="Success does not become Submitted"):
        await set_task(seeded, other, "Submitted")


async def test_versions_count_only_where_locking_is_on(database: Database) -> None:
    seeded = await seed(database)
    run_id = await seeded.run()
    task_run_id = (await seeded.task_run_ids(run_id))[0]
    await set_flow(seeded, run_id, "Running", version=99)
    await database.execute("update flow_group set settings = settings || '{\"version_locking_enabled\": true}'")
    with pytest.raises(StaleWriteError, match="version 1, but the run is at version 2"):
        await set_flow(seeded, run_id, "Running", version=1)
    with pytest.raises(StaleWriteError, match="version 5, but the task run is at version 1"):
        await set_task(seeded, task_run_id, "Running", version=5)
    await set_flow(seeded, run_id, "Running", version=2)
    await set_task(seeded, task_run_id, "Running", version=1)
    await set_flow(seeded, run_id, "Running")


async def test_task_runs_start_only_in_a_running_flow_run(database: Database) -> None:
    seeded = await seed(database)
    run_id = await seeded.run()
    task_run_id = (await seeded.task_run_ids(run_id))[0]
    text = (
        f"State update failed for task run ID {task_run_id}: provided a running state but associated flow run {run_id} "
        "is not in a running state."
    )
    with pytest.raises(FlowsteadError) as raised:
        await set_task(seeded, task_run_id, "Running")
    assert raised.value.message == text
    await set_task(seeded, task_run_id, "Failed")
    await set_task(seeded, task_run_id, "Pending")
    await set_flow(seeded, run_id, "Running")
    await set_task(seeded, task_run_id, "Running")
    row = await row_of(database, "task_run", task_run_id)
    assert (row["state"], row["version"]) == ("Running", 4)
    assert row["heartbeat"] == row["start_time"] == row["state_timestamp"]
    await cancel_flow_run(database, seeded.caller, run_id)
    with pytest.raises(FlowsteadError, match="is not in a running state"):
        await set_task(seeded, task_run_id, "Running")


async def test_finished_task_run_does_not_run_again_but_a_loop_does(database: Database) -> None:
    seeded = await seed(database)
    run_id = await seeded.run()
    await set_flow(seeded, run_id, "Running")
    first, second = await seeded.task_run_ids(run_id)
    for name in ("Running", "Looped", "Running", "Success"):
        await set_task(seeded, first, name)
    with pytest.raises(StaleWriteError):
        await set_task(seeded, first, "Running")
    assert len(await warnings(seeded, run_id)) == 1
    await set_task(seeded, second, "Mapped", n_map_states=3)
    history = await database.fetch("select version from task_run_state where task_run_id = $1 order by seq", first)
    assert [entry["version"] for entry in history] == [1, 2, 3, 4, 5]


async def test_cached_inputs_are_carried_over(database: Database) -> None:
    seeded = await seed(database)
    run_id = await seeded.run()
    await set_flow(seeded, run_id, "Running")
    task_run_id = (await seeded.task_run_ids(run_id))[0]

    async def stored() -> Any:
        return orjson.loads((await row_of(database, "task_run", task_run_id))["serialized_state"]).get("cached_inputs")

    await set_task(seeded, task_run_id, "Running", cached_inputs={"x": 1})
    await set_task(seeded, task_run_id, "Retrying", cached_inputs={})
    assert await stored() == {"x": 1}
    await set_task(seeded, task_run_id, "Running", cached_inputs={"y": 2})
    assert await stored() == {"y": 2}


async def test_cancelling_a_waiting_run_ends_it_and_its_task_runs(database: Database) -> None:
    seeded = await seed(database)
    run_id = await seeded.run()
    first, second = await seeded.task_run_ids(run_id)
    await set_task(seeded, first, "Success")
    assert (await cancel_flow_run(database, seeded.caller, run_id)).state == "Cancelled"
    row = await row_of(database, "flow_run", run_id)
    assert (row["state"], row["state_message"], row["queue_time"]) == ("Cancelled", "Flow run is cancelled", None)
    assert (await row_of(database, "task_run", first))["state"] == "Success"
    task_run = await row_of(database, "task_run", second)
    assert (task_run["state"], task_run["version"]) == ("Cancelled", 2)
    assert task_run["end_time"] is not None
    history = await database.fetch("select state from task_run_state where task_run_id = $1 order by seq", second)
    assert [entry["state"] for entry in history] == ["Pending", "Cancelled"]
    assert (await cancel_flow_run(database, seeded.caller, run_id)).state == "Cancelled"
    assert (await row_of(database, "flow_run", run_id))["version"] == 2


async def test_cancelling_a_running_run_asks_its_process(database: Database) -> None:
    seeded = await seed(database)
    run_id = await seeded.run()
    await set_flow(seeded, run_id, "Running")
    assert (await cancel_flow_run(database, seeded.caller, run_id)).state == "Cancelling"
    assert (await row_of(database, "flow_run", run_id))["state_message"] == "Flow run is cancelling"
    # a process that did not hear of it does not undo it
    with pytest.raises(StaleWriteError):
        await set_flow(seeded, run_id, "Running")
    await set_flow(seeded, run_id, "Cancelled")
    with pytest.raises(NotFoundError, match=r"Invalid flow run ID: .*\."):
        await cancel_flow_run(database, seeded.caller, uuid4())


async def test_cancelling_races_with_starting(database: Database) -> None:
    seeded = await seed(database)
    for _ in range(10):
        run_id = await seeded.run()
        answers = await asyncio.gather(
            cancel_flow_run(database, seeded.caller, run_id),
            set_flow(seeded, run_id, "Running"),
            return_exceptions=True,
        )
        state = (await row_of(database, "flow_run", run_id))["state"]
        assert answers[0].state == state
        # either the process starts and is asked to end, or it is not let in
        assert (state == "Cancelling") == (answers[1] is None)


async def test_every_change_of_a_contended_run_is_in_its_history(database: Database, database_dsn: str) -> None:
    seeded = await seed(database)
    run_id = await seeded.run()
    async with await Database.connect(database_dsn) as another_server:
        other = replace(seeded, database=another_server)
        await asyncio.gather(*(set_flow((seeded, other)[n % 2], run_id, "Running", message=str(n)) for n in range(30)))
    history = await database.fetch(
        "select version, message from flow_run_state where flow_run_id = $1 order by seq", run_id
    )
    assert [entry["version"] for entry in history] == list(range(1, 32))
    assert {entry["message"] for entry in history[1:]} == {str(n) for n in range(30)}
    assert (await row_of(database, "flow_run", run_id))["version"] == 31


async def test_writes_of_the_claim_holder_pass_and_of_a_fenced_copy_do_not(database: Database) -> None:
    seeded = await seed(database)
    run_id, holder = await claimed(seeded)
    task_run_id = (await seeded.task_run_ids(run_id))[0]
    task_id = (await seeded.task_ids())["t-1"]

    async def writes(caller: Caller) -> list[Any]:
        return [
            set_flow(seeded, run_id, "Running", caller=caller),
            set_task(seeded, task_run_id, "Running", caller=caller),
            write_run_logs(database, caller, [{"flow_run_id": run_id, "message": "x"}]),
            update_flow_run_heartbeat(database, caller, run_id),
            set_flow_run_name(database, caller, run_id, "named"),
            get_or_create_task_run_info(database, caller, run_id, task_id, len(caller.core_version or "")),
        ]

    for write in await writes(replace(holder, core_version="1")):
        await write
    # somebody sets it back: whoever ran it is fenced
    await set_flow(seeded, run_id, "Scheduled")
    before = await row_of(database, "flow_run", run_id)
    assert before["claim_token"] is None
    for write in await writes(replace(holder, core_version="12")):
        with pytest.raises(StaleWriteError):
            await write
    assert await row_of(database, "flow_run", run_id) == before
    task_run = await row_of(database, "task_run", task_run_id)
    # what it left Running is to run again
    assert (task_run["state"], task_run["version"]) == ("Pending", 3)
    assert any("claim" in line for line in await warnings(seeded, run_id))
    # people and 1.4.1 processes have no token
    await set_flow(seeded, run_id, "Running")


async def test_stale_task_write_is_refused_by_the_statement_itself(database: Database) -> None:
    from flowstead_server.store import states as store

    seeded = await seed(database)
    run_id, holder = await claimed(seeded)
    await set_flow(seeded, run_id, "Running", caller=holder)
    task_run_id = (await seeded.task_run_ids(run_id))[0]

    def change(token: UUID | None, *, is_live: bool) -> store.TaskRunChange:
        return store.TaskRunChange(
            task_run_id, seeded.caller.tenant_id, run_id, 1, "Running", None, None, "{}", False, is_live, token
        )

    assert await store.write_task_runs(database, [change(uuid4(), is_live=False)]) == {}
    await set_flow(seeded, run_id, "Cancelling")
    assert await store.write_task_runs(database, [change(holder.claim_token, is_live=True)]) == {}
    assert await store.write_task_runs(database, [change(holder.claim_token, is_live=False)]) == {
        task_run_id: store.TaskWritten(task_run_id, 2)
    }


async def test_large_state_is_refused_with_the_text_of_1x(database: Database) -> None:
    seeded = await seed(database)
    run_id = await seeded.run()
    with pytest.raises(BadInputError) as raised:
        await set_flow(seeded, run_id, "Success", message="x" * 1_000_000)
    assert raised.value.message == "State payload is too large."


async def test_hints_follow_changes(database: Database) -> None:
    seen: list[Any] = []

    class Hints:
        def runs_changed(self, flow_run_ids) -> None:
            seen.append(("runs", set(flow_run_ids)))

        def queue_changed(self, tenant_id, label_set_ids) -> None:
            seen.append(("queue", tenant_id))

        def slots_freed(self, tenant_id) -> None:
            pass

    seeded = await seed(database)
    run_id = await seeded.run()
    database.hints = Hints()
    await set_flow(seeded, run_id, "Running")
    assert seen == [("runs", {run_id})]
    await set_flow(seeded, run_id, "Scheduled")
    assert seen[1:] == [("runs", {run_id}), ("queue", seeded.caller.tenant_id)]
    await update_flow_run_heartbeat(database, seeded.caller, run_id)
    assert len(seen) == 3


async def test_the_children_of_a_cancelled_run_go_on_or_are_cancelled_too(database: Database) -> None:
    seeded = await seed(database)
    parent = await seeded.run()
    child = await create_flow_run(
        database, seeded.caller, CreateFlowRun(flow_id=seeded.flow_id, parent_flow_run_id=parent)
    )
    request = CreateFlowRun(flow_id=seeded.flow_id, parent_flow_run_id=child)
    grandchild, done = [await create_flow_run(database, seeded.caller, request) for _ in range(2)]
    await set_flow(seeded, child, "Running")
    await set_flow(seeded, done, "Success")
    cancelled = await cancel_flow_run(database, seeded.caller, parent)
    assert (cancelled.state, cancelled.children) == ("Cancelled", [])
    cancelled = await cancel_flow_run(database, seeded.caller, parent, cascade=True)
    assert (cancelled.state, cancelled.children) == ("Cancelled", [child, grandchild])
    rows = await database.fetch("select id, state from flow_run order by id")
    states = {row["id"]: row["state"] for row in rows}
    assert states == {parent: "Cancelled", child: "Cancelling", grandchild: "Cancelled", done: "Success"}


async def test_a_run_without_a_living_agent_says_so_when_it_is_cancelled(database: Database) -> None:
    seeded = await seed(database)
    run = await seeded.run()
    agent_id = await seeded.agent("gone")
    await set_flow(seeded, run, "Submitted", caller=replace(seeded.caller, agent_id=agent_id))
    await set_flow(seeded, run, "Running")
    await database.execute("update agent set last_queried = now() - interval '2 minutes'")
    assert (await cancel_flow_run(database, seeded.caller, run)).state == "Cancelling"
    message = await database.fetch_value("select message from log where flow_run_id = $1", run)
    assert message.startswith("The agent 'gone' that started this run was last heard of at ")


async def test_a_parent_must_be_a_run_of_the_same_tenant(database: Database) -> None:
    seeded = await seed(database)
    with pytest.raises(NotFoundError, match="does not exist"):
        await create_flow_run(
            database, seeded.caller, CreateFlowRun(flow_id=seeded.flow_id, parent_flow_run_id=uuid4())
        )


async def test_what_is_cancelled_before_its_start_stays_cancelled(database: Database) -> None:
    """Its agent may start the process all the same; whatever that one writes, the run has not run."""
    seeded = await seed(database)
    run_id, holder = await claimed(seeded)
    assert (await cancel_flow_run(database, seeded.caller, run_id)).state == "Cancelled"
    assert await database.fetch_value("select claim_token from flow_run") is None
    for name in ("Running", "Success", "Failed"):
        (answer,) = await set_flow_run_states(database, holder, [SetFlowRunState(run_id, {"type": name})])
        assert isinstance(answer, StaleWriteError)
    assert await database.fetch_value("select state from flow_run") == "Cancelled"


async def test_who_stops_a_run_may_report_that_it_is_cancelled(database: Database) -> None:
    seeded = await seed(database)
    run_id, holder = await claimed(seeded)
    for caller, name in ((holder, "Running"), (seeded.caller, "Cancelling"), (holder, "Cancelled")):
        await set_flow_run_states(database, caller, [SetFlowRunState(run_id, {"type": name})])
    assert await database.fetch_value("select state from flow_run") == "Cancelled"
    # its last lines may still come
    await write_run_logs(database, holder, [{"flow_run_id": run_id, "message": "ended"}])


async def test_the_holder_of_a_claim_may_repeat_itself(database: Database) -> None:
    """As a client does whose answer got lost (§1.6): nothing is stored again, with version locking too."""
    seeded = await seed(database)
    run_id, holder = await claimed(seeded)
    await database.execute("update flow_group set settings = settings || '{\"version_locking_enabled\": true}'")
    task_run_id = (await seeded.task_run_ids(run_id))[0]
    await set_flow(seeded, run_id, "Running", caller=holder, version=2, message="m")
    for name, version in (("Running", 1), ("Retrying", 2), ("Running", 3), ("Success", 4)):
        members = {"start_time": "2030-01-01T00:00:00", "cached_inputs": {"x": 1}} if name == "Retrying" else {}
        for _ in range(3):
            await set_task(seeded, task_run_id, name, caller=holder, version=version, **members)
        assert (await row_of(database, "task_run", task_run_id))["version"] == version + 1
    for _ in range(3):
        await set_flow(seeded, run_id, "Running", caller=holder, version=2, message="m")
    await set_flow(seeded, run_id, "Success", caller=holder)
    await set_flow(seeded, run_id, "Success", caller=holder)
    assert (await row_of(database, "flow_run", run_id))["version"] == 4
    # what differs, and what anybody else sends, counts
    await set_flow(seeded, run_id, "Success", caller=holder, message="other")
    await set_flow(seeded, run_id, "Success", message="other")
    assert (await row_of(database, "flow_run", run_id))["version"] == 6
    history = await database.fetch("select version from flow_run_state where flow_run_id = $1 order by seq", run_id)
    assert [entry["version"] for entry in history] == [1, 2, 3, 4, 5, 6]
