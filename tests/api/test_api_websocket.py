"""The websocket side: graphql-transport-ws, who the caller is, and errors."""

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol


@pytest.fixture
def api(shared_api: Any) -> Any:
    """Most tests here leave the database alone."""
    return shared_api


async def test_queries_are_answered_over_a_websocket_too(api: Any) -> None:
    async with api.socket() as socket:
        await socket.init()
        await socket.subscribe("{ hello tenant { id slug } }")
        data = await socket.next()
        assert data == {"hello": "\N{WAVING HAND SIGN}", "tenant": [{"id": str(api.tenant_id), "slug": "default"}]}
        assert await socket.receive() == {"id": "1", "type": "complete"}


async def test_pings_are_answered(api: Any) -> None:
    async with api.socket() as socket:
        await socket.init()
        await socket.send({"type": "ping"})
        assert await socket.receive() == {"type": "pong"}


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([{"id": "1", "type": "subscribe", "payload": {"query": "{ hello }"}}], 4401),
        ([{"type": "connection_init"}, {"type": "connection_init"}], 4429),
        ([{"type": "nonsense"}], 4400),
        ([{"type": "connection_init", "payload": {"X-PREFECT-CLAIM-TOKEN": "nonsense"}}], 4403),
    ],
)
async def test_breaches_of_the_protocol_close_it(api: Any, messages: list[dict[str, Any]], code: int) -> None:
    async with api.socket() as socket:
        for message in messages:
            await socket.send(message)
        await asyncio.wait_for(socket.connection.wait_closed(), 10)
        assert socket.connection.close_code == code


async def test_text_that_is_no_json_closes_it(api: Any) -> None:
    async with api.socket() as socket:
        await socket.connection.send("{")
        with pytest.raises(ConnectionClosed):
            await socket.receive()


async def test_another_protocol_is_refused(api: Any) -> None:
    address = api.url.replace("http", "ws")
    with pytest.raises((ConnectionClosed, InvalidStatus)):
        async with connect(address, subprotocols=[Subprotocol("graphql-ws")]) as connection:
            await asyncio.wait_for(connection.recv(), 10)


@pytest.mark.parametrize(
    ("query", "variables", "code"),
    [
        ("{ hello", None, "GRAPHQL_PARSE_FAILED"),
        ("{ nothing_here }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("query($x: uuid!) { flow_by_pk(id: $x) { id } }", None, "BAD_USER_INPUT"),
        ("subscription($x: UUID!) { flow_run_events(flow_run_id: $x) { cursor } }", {"x": "x"}, "BAD_USER_INPUT"),
    ],
)
async def test_mistakes_come_as_errors_with_their_code(api: Any, query: str, variables: Any, code: str) -> None:
    async with api.socket() as socket:
        await socket.init()
        for ident in ("1", "2", "3"):
            await socket.subscribe(query, variables, ident)
            message = await socket.receive()
            errors = message["payload"] if message["type"] == "error" else message["payload"]["errors"]
            assert errors[0]["extensions"]["code"] == code
            if message["type"] == "next":
                assert await socket.receive() == {"id": ident, "type": "complete"}


async def test_internal_errors_are_masked(own_api: Any) -> None:
    await own_api.database.execute("alter table project rename to mislaid")
    async with own_api.socket() as socket:
        await socket.init()
        await socket.subscribe('mutation { create_project(input: {name: "p"}) { id } }')
        text = json.dumps(await socket.receive())
        assert "An internal API error occurred." in text
        assert "API_ERROR" in text
        assert "mislaid" not in text


@pytest.mark.parametrize(
    ("headers", "payload"),
    [
        ({"X-PREFECT-CORE-VERSION": "1.4.1"}, None),
        ({}, {"X-PREFECT-CORE-VERSION": "1.4.1"}),
        ({}, {"headers": {"x-prefect-core-version": "1.4.1"}}),
    ],
)
async def test_the_caller_is_known_by_the_handshake_or_the_first_message(
    api: Any, headers: dict[str, str], payload: dict[str, Any] | None
) -> None:
    async with api.socket(**headers) as socket:
        await socket.init(payload)
        await socket.subscribe('mutation { register_agent(input: {type: "LocalAgent"}) { id } }')
        agent_id = (await socket.next())["register_agent"]["id"]
    data = await api.data(f'{{ agent_by_pk(id: "{agent_id}") {{ core_version }} }}')
    assert data == {"agent_by_pk": {"core_version": "1.4.1"}}
