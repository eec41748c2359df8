"""flow_run_events and runs_ready over websockets: live, complete, resumable."""

import asyncio
import contextlib
import json
import logging
import random
from typing import Any
from uuid import UUID, uuid4

import pytest
from eventually import eventually
from serialized_flows import serialized_flow
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from flowstead_server.api import streams
from flowstead_server.db import Database
from flowstead_server.domain.caller import Caller
from flowstead_server.orchestration.flow_runs import CreateFlowRun, create_flow_run
from flowstead_server.orchestration.logs import write_run_logs
from flowstead_server.pubsub.hub import Hub
from flowstead_server.web import websocket

EVENTS = """
subscription($id: UUID!, $after: String) {
  flow_run_events(flow_run_id: $id, after: $after) {
    cursor finished
    events { cursor kind timestamp task_run_id task_name map_index state version start_time level logger message }
  }
}
"""
READY = "subscription($labels: [String!]) { runs_ready(labels: $labels) { waiting next_start_time } }"
PROTOCOL = Subprotocol("graphql-transport-ws")
DEADLINE = 30.0


async def new_flow(api: Any) -> str:
    project = await api.mutate("create_project", name=f"project {uuid4()}")
    flow = await api.mutate("create_flow", project_id=project["id"], serialized_flow=serialized_flow())
    return flow["id"]


async def new_run(api: Any, **members: Any) -> str:
    return (await api.mutate("create_flow_run", flow_id=await new_flow(api), **members))["id"]


async def set_state(api: Any, run_id: str, kind: str) -> None:
    await api.mutate("set_flow_run_states", "states { id }", states=[{"flow_run_id": run_id, "state": {"type": kind}}])


async def log(api: Any, run_id: str, *messages: str) -> None:
    lines = [{"flow_run_id": run_id, "message": message, "name": "prefect"} for message in messages]
    await api.mutate("write_run_logs", "success", logs=lines)


async def page(socket: Any) -> dict[str, Any]:
    return (await socket.next())["flow_run_events"]


async def has_followers(api: Any, count: int) -> None:
    await eventually(lambda: api.hub.follower_count == count)


async def test_a_run_is_told_from_its_creation_to_its_end(api: Any) -> None:
    run_id = await new_run(api)
    async with api.socket() as socket:
        await socket.init()
        await socket.subscribe(EVENTS, {"id": run_id})
        first = await page(socket)
        states = [(event["kind"], event["state"], event["task_name"]) for event in first["events"]]
        assert ("FLOW_RUN_STATE", "Scheduled", None) in states
        assert ("TASK_RUN_STATE", "Pending", "first-1") in states
        assert not first["finished"]
        await set_state(api, run_id, "Running")
        second = await page(socket)
        assert [event["state"] for event in second["events"]] == ["Running"]
        assert second["events"][0]["version"] == 2
        await log(api, run_id, "one", "two")
        third = await page(socket)
        assert [(event["kind"], event["message"], event["level"], event["logger"]) for event in third["events"]] == [
            ("LOG", "one", "INFO", "prefect"),
            ("LOG", "two", "INFO", "prefect"),
        ]
        await set_state(api, run_id, "Success")
        fourth = await page(socket)
        assert [event["state"] for event in fourth["events"]] == ["Success"]
        await log(api, run_id, "the last words come late")
        fifth = await page(socket)
        assert [event["message"] for event in fifth["events"]] == ["the last words come late"]
        last = await page(socket)
        assert (last["events"], last["finished"]) == ([], True)
        assert await socket.receive() == {"id": "1", "type": "complete"}


async def test_a_cursor_goes_on_where_it_was(api: Any) -> None:
    run_id = await new_run(api)
    await log(api, run_id, *(f"line {number}" for number in range(450)))
    async with api.socket() as socket:
        await socket.init()
        await socket.subscribe(EVENTS, {"id": run_id})
        first = await page(socket)
        assert 0 < len(first["events"]) <= 500
        middle = first["events"][len(first["events"]) // 2]["cursor"]
    seen: list[str] = []
    async with api.socket() as socket:
        await socket.init()
        await socket.subscribe(EVENTS, {"id": run_id, "after": middle})
        while "line 449" not in seen:
            seen += [event["message"] for event in (await page(socket))["events"] if event["kind"] == "LOG"]
    assert len(seen) == len(set(seen))
    assert seen == [f"line {number}" for number in range(450 - len(seen), 450)]


async def test_pages_that_are_full_of_long_lines_follow_one_another(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "POLL_SECONDS", 3_600.0)
    run_id = await new_run(api)
    await api.database.execute(
        "insert into log (tenant_id, flow_run_id, level, message)"
        " select $1, $2, 'INFO', n || repeat('x', 900000) from generate_series(1, 12) n",
        api.tenant_id,
        UUID(run_id),
    )
    seen: list[int] = []
    pages = 0
    async with connect(api.url.replace("http", "ws"), subprotocols=[PROTOCOL], max_size=None) as connection:
        await connection.send(json.dumps({"type": "connection_init"}))
        payload = {"query": EVENTS, "variables": {"id": run_id}}
        await connection.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        while len(seen) < 12:
            message = json.loads(await asyncio.wait_for(connection.recv(), DEADLINE))
            if message["type"] == "next":
                pages += 1
                events = message["payload"]["data"]["flow_run_events"]["events"]
                seen += [int(event["message"].rstrip("x")) for event in events if event["kind"] == "LOG"]
    assert seen == list(range(1, 13))
    assert pages >= 3


async def test_a_run_that_ended_long_ago_is_told_at_once(api: Any) -> None:
    run_id = await new_run(api)
    await set_state(api, run_id, "Success")
    for table in ("flow_run_state", "task_run_state"):
        await api.database.execute(f"update {table} set timestamp = now() - interval '1 hour'")
    async with api.socket() as socket:
        await socket.init()
        await socket.subscribe(EVENTS, {"id": run_id})
        only = await page(socket)
        assert only["finished"]
        assert "Success" in {event["state"] for event in only["events"]}
        assert await socket.receive() == {"id": "1", "type": "complete"}
    assert api.hub.follower_count == 0


async def test_unknown_runs_and_cursors_of_somebody_else(api: Any) -> None:
    run_id = await new_run(api)
    cases = [({"id": str(uuid4())}, "NOT_FOUND"), ({"id": run_id, "after": "elsewhere"}, "BAD_USER_INPUT")]
    async with api.socket() as socket:
        await socket.init()
        for variables, code in cases:
            await socket.subscribe(EVENTS, variables)
            message = await socket.receive()
            assert message["payload"]["errors"][0]["extensions"]["code"] == code
            assert await socket.receive() == {"id": "1", "type": "complete"}


async def test_followers_that_leave_are_forgotten(api: Any) -> None:
    run_id = await new_run(api)
    async with api.socket() as socket:
        await socket.init()
        await socket.subscribe(EVENTS, {"id": run_id}, "1")
        await socket.subscribe(READY, {}, "2")
        await socket.receive()
        await socket.receive()
        assert api.hub.follower_count == 2
        await socket.send({"id": "2", "type": "complete"})
        await socket.send({"type": "ping"})
        assert await socket.receive() == {"type": "pong"}
        assert api.hub.follower_count == 1
    await has_followers(api, 0)


async def test_nothing_is_lost_or_repeated_through_restarts_of_everything(api: Any) -> None:
    """Writers write; the follower's socket breaks now and then, and the connection for hints is killed."""
    run_id = await new_run(api)
    await set_state(api, run_id, "Running")
    chance = random.Random(7)
    written = [f"line {number}" for number in range(600)]
    seen: list[str] = []
    cursors: list[int] = []

    async def write() -> None:
        rest = list(written)
        while rest:
            size = chance.randint(1, 20)
            await log(api, run_id, *rest[:size])
            del rest[:size]
            if chance.random() < 0.2:
                await api.database.fetch(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where datname = current_database() and application_name = 'flowstead hints'"
                )
        await set_state(api, run_id, "Success")

    async def follow() -> None:
        after = None
        finished = False
        while not finished:
            async with api.socket() as socket:
                await socket.init()
                await socket.subscribe(EVENTS, {"id": run_id, "after": after})
                for _ in range(chance.randint(1, 4)):
                    got = await page(socket)
                    after, finished = got["cursor"], got["finished"]
                    cursors.extend(int(event["cursor"]) for event in got["events"])
                    seen.extend(event["message"] for event in got["events"] if event["kind"] == "LOG")
                    if finished:
                        break

    async with asyncio.timeout(DEADLINE * 2):
        await asyncio.gather(write(), follow())
    assert seen == written
    assert cursors == sorted(set(cursors))


async def test_a_stream_outlives_a_database_that_goes_away_for_a_while(api: Any) -> None:
    run_id = await new_run(api)
    async with api.socket() as socket:
        await socket.init()
        await socket.subscribe(EVENTS, {"id": run_id})
        await page(socket)
        name = await api.database.fetch_value("select current_database()")
        with contextlib.suppress(Exception):
            await api.database.fetch(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
        assert name
        await log(api, run_id, "still there")
        assert [event["message"] for event in (await page(socket))["events"]] == ["still there"]


async def test_an_agent_hears_of_runs_that_it_may_take(api: Any) -> None:
    flow_id = await new_flow(api)
    async with api.socket() as socket:
        await socket.init()
        await socket.subscribe(READY, {"labels": ["a", "b"]})
        assert (await socket.next())["runs_ready"] == {"waiting": 0, "next_start_time": None}
        await api.mutate("create_flow_run", flow_id=flow_id, labels=["elsewhere"])
        await api.mutate("create_flow_run", flow_id=flow_id, labels=[])
        await api.mutate("create_flow_run", flow_id=flow_id, labels=["a"])
        assert (await socket.next())["runs_ready"] == {"waiting": 1, "next_start_time": None}
        await api.mutate(
            "create_flow_run", flow_id=flow_id, labels=["b"], scheduled_start_time="2100-01-01T00:00:00+00:00"
        )
        hint = (await socket.next())["runs_ready"]
        assert hint["waiting"] == 1
        assert hint["next_start_time"].startswith("2100-01-01T00:00:00")


async def test_an_agent_hears_when_a_start_time_arrives(api: Any) -> None:
    flow_id = await new_flow(api)
    soon = await api.database.fetch_value("select to_char(now() + interval '700 ms', 'YYYY-MM-DD\"T\"HH24:MI:SS.US')")
    async with api.socket() as socket:
        await socket.init()
        await socket.subscribe(READY)
        await socket.next()
        await api.mutate("create_flow_run", flow_id=flow_id, scheduled_start_time=soon)
        async with asyncio.timeout(4):
            hint = (await socket.next())["runs_ready"]
            while not hint["waiting"]:
                hint = (await socket.next())["runs_ready"]
        assert hint["waiting"] == 1


async def test_hints_for_another_tenant_are_refused(api: Any) -> None:
    async with api.socket() as socket:
        await socket.init()
        await socket.subscribe("subscription($t: UUID) { runs_ready(tenant_id: $t) { waiting } }", {"t": str(uuid4())})
        message = await socket.receive()
        assert message["payload"]["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_reader_that_does_not_read_is_told_and_goes_on_from_its_cursor(
    api: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(websocket, "SLOW_READER_SECONDS", 1.0)
    caplog.set_level(logging.INFO)
    run_id = await new_run(api)
    await api.database.execute(
        "insert into log (tenant_id, flow_run_id, level, message)"
        " select $1, $2, 'INFO', n || repeat('x', 10000) from generate_series(1, 2000) n",
        api.tenant_id,
        UUID(run_id),
    )
    seen: list[int] = []
    codes: list[int] = []
    after = None
    address = api.url.replace("http://", "ws://")
    while len(seen) < 2_000:
        async with connect(address, subprotocols=[PROTOCOL], max_queue=1, max_size=None) as connection:
            await connection.send(json.dumps({"type": "connection_init"}))
            payload = {"query": EVENTS, "variables": {"id": run_id, "after": after}}
            await connection.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
            if not codes:
                await eventually(lambda: "reads too slowly" in caplog.text)
            try:
                while len(seen) < 2_000:
                    message = json.loads(await asyncio.wait_for(connection.recv(), DEADLINE))
                    if message["type"] == "next":
                        got = message["payload"]["data"]["flow_run_events"]
                        after = got["cursor"]
                        seen += [int(e["message"].rstrip("x")) for e in got["events"] if e["kind"] == "LOG"]
            except ConnectionClosed as closed:
                codes.append(closed.rcvd.code if closed.rcvd else 0)
    assert codes == [websocket.SLOW_READER_CODE]
    assert seen == list(range(1, 2_001))
    await has_followers(api, 0)


async def test_what_one_process_stores_is_told_by_another_at_once(
    api: Any, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "POLL_SECONDS", 3_600.0)
    run_id = await new_run(api)
    async with await Database.connect(database_dsn) as database:
        hub = Hub(database.open_connection)
        database.hints = hub
        await hub.start()
        await asyncio.wait_for(hub.wait_connected(), DEADLINE)
        caller = Caller(api.tenant_id)
        async with api.socket() as socket:
            await socket.init()
            await socket.subscribe(EVENTS, {"id": run_id}, "1")
            await socket.subscribe(READY, {}, "2")
            await socket.receive()
            await socket.receive()
            await write_run_logs(database, caller, [{"flow_run_id": UUID(run_id), "message": "from elsewhere"}])
            assert [event["message"] for event in (await page(socket))["events"]] == ["from elsewhere"]
            await create_flow_run(database, caller, CreateFlowRun(flow_id=UUID(await new_flow(api))))
            assert (await socket.next())["runs_ready"]["waiting"] == 2
        await hub.stop()
