"""flow_runs over websockets: what changes about the runs that match, and nothing else."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from eventually import eventually
from seeds import stranger
from serialized_flows import serialized_flow

from flowstead_server.api import streams, streams_flow_runs
from flowstead_server.db import Database
from flowstead_server.domain.caller import Caller
from flowstead_server.orchestration.flow_runs import CreateFlowRun, create_flow_run
from flowstead_server.orchestration.flows import CreateFlow, create_flow
from flowstead_server.orchestration.projects import CreateProject, create_project
from flowstead_server.pubsub import topics
from flowstead_server.pubsub.hub import Hub

CHANGES = """
subscription($where: flow_run_bool_exp, $initial: Int) {
  flow_runs(where: $where, initial: $initial) {
    flow_runs { id name flow_id version state state_message state_timestamp created scheduled_start_time start_time
      end_time agent_id labels }
    left missed
  }
}
"""
NOTHING = {"flow_runs": [], "left": [], "missed": False}
DEADLINE = 15.0


async def new_flow(api: Any) -> str:
    project = await api.mutate("create_project", name=f"project {uuid4()}")
    flow = await api.mutate("create_flow", project_id=project["id"], serialized_flow=serialized_flow())
    return str(flow["id"])


async def set_state(api: Any, run_id: str, kind: str) -> None:
    await api.mutate("set_flow_run_states", "states { id }", states=[{"flow_run_id": run_id, "state": {"type": kind}}])


async def follow(api: Any, socket: Any, **variables: Any) -> dict[str, Any]:
    await socket.init()
    await socket.subscribe(CHANGES, variables)
    return await page(socket)


async def page(socket: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await socket.next())["flow_runs"]
    return found


def briefly(found: dict[str, Any]) -> list[tuple[str, str, int]]:
    return [(row["id"], row["state"], row["version"]) for row in found["flow_runs"]]


async def test_runs_are_told_from_creation_to_end(api: Any) -> None:
    flow_id = await new_flow(api)
    async with api.socket() as socket:
        assert await follow(api, socket) == NOTHING
        run = (await api.mutate("create_flow_run", flow_id=flow_id, flow_run_name="one", labels=["a"]))["id"]
        first = await page(socket)
        assert briefly(first) == [(run, "Scheduled", 1)]
        row = first["flow_runs"][0]
        asked = f'{{ flow_run_by_pk(id: "{run}") {{ {" ".join(row)} }} }}'
        assert row == (await api.data(asked))["flow_run_by_pk"]
        await set_state(api, run, "Running")
        assert briefly(await page(socket)) == [(run, "Running", 2)]
        await api.mutate("set_flow_run_name", "success", flow_run_id=run, name="two")
        assert (await page(socket))["flow_runs"][0]["name"] == "two"
        # a log line is a hint too, but no change of the row
        await api.mutate("write_run_logs", "success", logs=[{"flow_run_id": run, "message": "line"}])
        await set_state(api, run, "Success")
        assert briefly(await page(socket)) == [(run, "Success", 3)]


async def test_only_runs_that_match_are_told_and_those_that_leave(api: Any) -> None:
    flow_id, other = await new_flow(api), await new_flow(api)
    where = {"flow_id": {"_eq": flow_id}, "state": {"_in": ["Running", "Scheduled"]}, "name": {"_eq": None}}
    async with api.socket() as socket:
        assert await follow(api, socket, where=where) == NOTHING
        await api.mutate("create_flow_run", flow_id=other)
        run = (await api.mutate("create_flow_run", flow_id=flow_id))["id"]
        assert briefly(await page(socket)) == [(run, "Scheduled", 1)]
        await set_state(api, run, "Success")
        assert await page(socket) == {"flow_runs": [], "left": [run], "missed": False}
        await set_state(api, run, "Scheduled")
        assert briefly(await page(socket)) == [(run, "Scheduled", 3)]
        await api.mutate("delete_flow_run", "success", flow_run_id=run)
        assert await page(socket) == {"flow_runs": [], "left": [run], "missed": False}


async def test_filters_may_be_written_in_the_document_and_reach_through_relationships(api: Any) -> None:
    flow_id = await new_flow(api)
    text = """subscription { flow_runs(
        where: {flow: {project: {name: {_ilike: "PROJECT%"}}}, _or: {state: {_eq: "Scheduled"}}}, initial: 10)
        { flow_runs { name } } }"""
    await api.mutate("create_flow_run", flow_id=flow_id, flow_run_name="one")
    async with api.socket() as socket:
        await socket.init()
        await socket.subscribe(text)
        assert await socket.next() == {"flow_runs": {"flow_runs": [{"name": "one"}]}}
        await api.mutate("create_flow_run", flow_id=flow_id, flow_run_name="two")
        assert await socket.next() == {"flow_runs": {"flow_runs": [{"name": "two"}]}}


async def test_the_newest_runs_come_first_if_wanted(api: Any) -> None:
    flow_id = await new_flow(api)
    runs = [(await api.mutate("create_flow_run", flow_id=flow_id))["id"] for _ in range(4)]
    async with api.socket() as socket:
        first = await follow(api, socket, initial=3)
        assert [row["id"] for row in first["flow_runs"]] == runs[:0:-1]
        # what was told is not told again unless it changes
        await api.mutate("write_run_logs", "success", logs=[{"flow_run_id": runs[3], "message": "line"}])
        await set_state(api, runs[2], "Running")
        assert briefly(await page(socket)) == [(runs[2], "Running", 2)]


async def test_a_burst_is_merged(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams_flow_runs, "_GAP_SECONDS", 1.0)
    flow_id = await new_flow(api)
    seen: dict[str, str] = {}
    pages = 0
    async with api.socket() as socket:
        await follow(api, socket)
        created = await asyncio.gather(*(api.mutate("create_flow_run", flow_id=flow_id) for _ in range(100)))
        runs = {one["id"] for one in created}
        for kind in ("Running", "Success"):
            await asyncio.gather(*(set_state(api, run, kind) for run in runs))
        while set(seen) != runs or set(seen.values()) != {"Success"}:
            found = await page(socket)
            pages += 1
            seen |= {row["id"]: row["state"] for row in found["flow_runs"]}
    assert pages < 10


async def test_lost_hints_are_owned_up_to(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "_MAX_PENDING_RUNS", 5)
    async with api.socket() as socket:
        await follow(api, socket)
        api.hub.runs_changed([uuid4() for _ in range(6)])
        assert await page(socket) == {**NOTHING, "missed": True}
        await api.database.fetch(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and application_name = 'flowstead hints'"
        )
        assert await page(socket) == {**NOTHING, "missed": True}


async def test_what_another_process_stores_is_told(
    api: Any, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "POLL_SECONDS", 3_600.0)
    flow_id = UUID(await new_flow(api))
    async with await Database.connect(database_dsn) as database:
        hub = Hub(database.open_connection)
        database.hints = hub
        await hub.start()
        await asyncio.wait_for(hub.wait_connected(), DEADLINE)
        async with api.socket() as socket:
            await follow(api, socket)
            run = await create_flow_run(database, Caller(api.tenant_id), CreateFlowRun(flow_id=flow_id))
            assert briefly(await page(socket)) == [(str(run), "Scheduled", 1)]
        await hub.stop()


async def test_runs_of_other_tenants_are_never_told(api: Any) -> None:
    other = await stranger(api.database)
    project_id = await create_project(api.database, other, CreateProject("theirs"))
    theirs = await create_flow(api.database, other, CreateFlow(serialized_flow(), project_id))
    flow_id = await new_flow(api)
    await create_flow_run(api.database, other, CreateFlowRun(flow_id=theirs))
    async with api.socket() as socket:
        assert await follow(api, socket, initial=500, where={}) == NOTHING
        await create_flow_run(api.database, other, CreateFlowRun(flow_id=theirs))
        ours = (await api.mutate("create_flow_run", flow_id=flow_id))["id"]
        assert briefly(await page(socket)) == [(ours, "Scheduled", 1)]


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"initial": -1}, "must be 0 to 500, but it is -1"),
        ({"initial": 501}, "must be 0 to 500, but it is 501"),
        ({"where": {"id": {"_eq": "nonsense"}}}, "'nonsense' is not a uuid"),
        ({"where": {"created": {"_gt": "nonsense"}}}, "nonsense"),
        ({"where": {"name": {"_regex": "("}}}, "regular expression"),
        ({"where": {"nothing": {"_eq": 1}}}, "nothing"),
    ],
)
async def test_filters_that_cannot_be_used_are_refused_at_once(
    api: Any, variables: dict[str, Any], sentence: str
) -> None:
    async with api.socket() as socket:
        await socket.init()
        await socket.subscribe(CHANGES, variables)
        message = await socket.receive()
        (error,) = message["payload"] if message["type"] == "error" else message["payload"]["errors"]
        assert sentence in error["message"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
    await eventually(lambda: api.hub.follower_count == 0)


async def test_what_is_remembered_is_bounded(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams_flow_runs, "_MAX_REMEMBERED", 2)
    memory = streams_flow_runs._Memory()
    rows = [{"id": str(number)} for number in range(5)]
    assert memory.changed(rows) == rows
    assert memory.changed(rows[3:]) == []
    assert memory.changed(rows[:1]) == rows[:1]
    assert memory.left(["0", "3", "4"], []) == ["0", "4"]
