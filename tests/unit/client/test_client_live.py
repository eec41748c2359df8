"""Following a run: nothing lost or repeated over broken connections, and polling where websockets are refused."""

import pytest
from starlette.responses import Response

from prefect.client import live
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


def polled(*numbers, finished=False):
    return {"data": {"flow_run_event_page": page(*numbers, finished=finished)["data"]["flow_run_events"]}}


def cursors(api):
    return [body["variables"].get("after") for _, body in api.requests if "event_page" in body["query"]]


async def test_polls_where_websockets_are_refused(api):
    api.streams = ["refuse"]
    # the last line comes just after the last state
    api.answers = [polled(1, 2), polled(3, finished=True), polled(4, finished=True), polled(finished=True)]
    async with AsyncSession(api.url) as session:
        found = [item async for item in flow_run_pages(session, "run", "0")]
    assert messages(found) == [["line 1", "line 2"], ["line 3"], ["line 4"], []]
    assert [item.finished for item in found] == [False, False, False, True]
    assert cursors(api) == ["0", "2", "3", "4"]


async def test_polling_tells_of_an_outage_and_goes_on_from_its_cursor(api):
    api.streams = ["refuse"]
    away = Response("away", 503)
    api.answers = [polled(1), away, away, polled(2, finished=True), polled(finished=True)]
    async with AsyncSession(api.url) as session:
        found = [item async for item in flow_run_pages(session, "run")]
    assert messages(found) == [["line 1"], "lost", ["line 2"], []]
    assert cursors(api) == [None, "1", "1", "1", "2"]


async def test_polls_where_websockets_never_come_about_although_the_api_answers(api):
    api.streams = [[1012], [1012], [1012]]
    api.answers = [{"data": {"hello": "hi"}}, polled(1, finished=True), polled(finished=True)]
    async with AsyncSession(api.url) as session:
        found = [item async for item in flow_run_pages(session, "run")]
    assert messages(found) == ["lost", ["line 1"], []]


async def test_polls_from_its_cursor_when_websockets_are_refused_for_good(api, monkeypatch):
    monkeypatch.setattr(live, "_TRIES_AGAIN", 2)
    api.streams = [[page(1, 2), 1012], *["refuse"] * 3]
    api.answers = [{"data": {"hello": "hi"}}, polled(3, finished=True), polled(finished=True)]
    async with AsyncSession(api.url) as session:
        found = [item async for item in flow_run_pages(session, "run")]
    assert messages(found) == [["line 1", "line 2"], "lost", ["line 3"], []]
    assert cursors(api) == ["2", "3"]


async def test_polling_an_unknown_run(api):
    api.streams = ["refuse"]
    api.answers = [{"errors": [{"message": "no run", "extensions": {"code": "NOT_FOUND"}}], "data": None}]
    async with AsyncSession(api.url) as session:
        with pytest.raises(ObjectNotFoundError, match="no run"):
            async for _ in flow_run_pages(session, "run"):
                pass
