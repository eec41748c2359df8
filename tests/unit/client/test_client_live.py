"""Following a run: nothing lost or repeated over broken connections, and polling where websockets are refused."""

import pytest

from prefect.client.errors import ApiUnreachable
from prefect.client.live import Reconnecting, flow_run_events, flow_run_pages, follow_flow_run
from prefect.client.session import AsyncSession, Session
from prefect.exceptions import ObjectNotFoundError

AT = "2026-01-01T00:00:00+00:00"


def event(number, kind="LOG", **values):
    unknown = dict.fromkeys(
        ["task_run_id", "task_name", "map_index", "state", "version", "start_time", "level", "logger", "message"]
    )
    return {**unknown, "cursor": str(number), "kind": kind, "timestamp": AT, "message": f"line {number}", **values}


def page(*numbers, finished=False):
    cursor = str(numbers[-1]) if numbers else "end"
    events = [event(number) for number in numbers]
    return {"data": {"flow_run_events": {"cursor": cursor, "finished": finished, "events": events}}}


def messages(items):
    return [
        [event.message for event in item.events] if not isinstance(item, Reconnecting) else "lost" for item in items
    ]


async def test_goes_on_from_the_cursor_after_every_kind_of_loss(api):
    api.streams = [
        [page(1, 2), page(3), 1012],
        [page(4)],  # completes although the run is not finished
        "refuse",  # refused later on: no reason to change the way
        [page(5), page(finished=True)],
    ]
    async with AsyncSession(api.url) as session:
        found = [item async for item in flow_run_pages(session, "run")]
    assert messages(found) == [["line 1", "line 2"], ["line 3"], "lost", ["line 4"], "lost", ["line 5"], []]
    assert [payload["variables"].get("after") for _, payload in api.subscriptions] == [None, "3", "4"]


async def test_starts_after_a_given_cursor_and_flattens(api):
    api.streams = [[page(8, 9, finished=True)]]
    async with AsyncSession(api.url) as session:
        found = [item.cursor async for item in flow_run_events(session, "run", "7")]
    assert found == ["8", "9"]
    assert api.subscriptions[0][1]["variables"] == {"flow_run_id": "run", "after": "7"}


async def test_an_unknown_run_is_no_reason_to_reconnect(api):
    api.streams = [[[{"message": "no such run", "extensions": {"code": "NOT_FOUND"}}]]]
    async with AsyncSession(api.url) as session:
        with pytest.raises(ObjectNotFoundError, match="no such run"):
            async for _ in flow_run_pages(session, "run"):
                pass


async def test_gives_up_after_its_patience(unused_tcp_port_url):
    async with AsyncSession(unused_tcp_port_url) as session:
        stream = flow_run_pages(session, "run", patience=0.3)
        assert isinstance(await anext(stream), Reconnecting)
        with pytest.raises(ApiUnreachable):
            await anext(stream)


def test_synchronous_readers_get_the_same(api):
    api.streams = [[page(1), 1012], [page(2, finished=True)]]
    with Session(api.url) as session:
        found = list(follow_flow_run(session, "run"))
    assert messages(found) == [["line 1"], "lost", ["line 2"]]
    assert str(found[1]) == found[1].reason.args[0]


def row(row_id, second, **values):
    created = f"2026-01-01T00:00:{second:02}+00:00"
    return {"id": row_id, "created": created, "timestamp": created, **values}


def log(row_id, second):
    return row(row_id, second, level="INFO", message=row_id, name="prefect", task_run_id=None)


def state(row_id, second, name):
    return row(row_id, second, state=name, message=row_id, version=1, start_time=None)


def happenings(run_state, states=(), logs=(), changes=()):
    run = {"state": run_state, "states": list(states), "logs": list(logs)}
    return {"data": {"flow_run_by_pk": run, "task_run_state": list(changes)}}


async def test_polls_where_websockets_are_refused(api):
    task_run = {"id": "tr", "map_index": -1, "task": {"name": "t"}}
    change = {**state("c1", 3, "Running"), "task_run": task_run}
    api.streams = ["refuse"]
    api.answers = [
        happenings("Running", [state("s1", 1, "Running")], [log("l2", 4), log("l1", 2)], [change]),
        # a row of an older transaction that became visible late, and everything else again
        happenings("Running", [state("s1", 1, "Running")], [log("l1", 2), log("late", 3), log("l2", 4)], [change]),
        happenings("Success", [state("s2", 9, "Success")], [log("l2", 4)]),
        happenings("Success", [state("s2", 9, "Success")], [log("l2", 4)]),
    ]
    async with AsyncSession(api.url) as session:
        found = [item async for item in flow_run_pages(session, "run")]
    assert messages(found) == [["s1", "l1", "c1", "l2"], ["late"], ["s2"], []]
    assert [item.finished for item in found] == [False, False, False, True]
    assert found[0].events[2].task_name == "t"
    assert [body["variables"].get("since") for _, body in api.requests] == [
        None,
        "2025-12-31T23:59:54+00:00",
        "2025-12-31T23:59:54+00:00",
        "2025-12-31T23:59:59+00:00",
    ]


async def test_polling_reads_full_pages_to_their_end(api):
    logs = [log(f"l{number:04}", number // 20) for number in range(700)]

    def answer(body):
        variables = body["variables"]
        offset, limit = variables["offset"], variables["limit"]
        wanted = [item for item in logs if item["created"] >= variables.get("since", "")]
        return happenings("Success", logs=wanted[offset : offset + limit])

    api.streams = ["refuse"]
    api.answers = [answer]
    async with AsyncSession(api.url) as session:
        found = [item async for item in flow_run_pages(session, "run")]
    assert [event.message for item in found for event in item.events] == [item["id"] for item in logs]


async def test_polling_an_unknown_run(api):
    api.streams = ["refuse"]
    api.answers = [{"data": {"flow_run_by_pk": None, "task_run_state": []}}]
    async with AsyncSession(api.url) as session:
        with pytest.raises(ObjectNotFoundError, match="'run'"):
            async for _ in flow_run_pages(session, "run"):
                pass
