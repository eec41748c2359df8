"""The one door for callers, over HTTP and websockets, and what one connection may hold."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID

import httpx
import pytest
from api_world import serving, socket_to
from eventually import eventually
from websockets.exceptions import ConnectionClosed

from flowstead_server.api.schema import api_schema
from flowstead_server.domain.caller import Caller
from flowstead_server.domain.errors import ApiUnavailableError, UnauthenticatedError
from flowstead_server.web import websocket
from flowstead_server.web.app import WebApplication

DEADLINE = 15.0
TENANT = "{ tenant { id } }"
READY = "subscription { runs_ready { waiting } }"


@pytest.fixture(scope="module")
async def guarded(shared_api: Any) -> AsyncIterator[str]:
    """The address of a server that wants a key."""

    async def authenticate(headers: Mapping[str, str]) -> Caller:
        match headers.get("authorization"):
            case "Bearer right":
                return Caller(shared_api.tenant_id)
            case "Bearer other":
                return Caller(UUID(int=7))
            case "Bearer later":
                raise ApiUnavailableError("The keys cannot be read now.")
            case "Bearer broken":
                raise RuntimeError("a secret detail")
            case _:
                raise UnauthenticatedError("This API key is not known; create one and set it with prefect auth login.")

    application = WebApplication(
        schema=api_schema(),
        database=shared_api.database,
        hub=shared_api.hub,
        tenant_id=shared_api.tenant_id,
        version="9.9.9",
        body_limit=200_000,
        authenticate=authenticate,
    )
    async with serving(application) as url:
        yield url


async def ask(url: str, key: str | None) -> tuple[int, dict[str, Any]]:
    async with httpx.AsyncClient(base_url=url) as client:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        response = await client.post("/", json={"query": TENANT}, headers=headers)
        return response.status_code, response.json()


async def test_http_callers_are_known_by_their_key(guarded: str, shared_api: Any) -> None:
    assert await ask(guarded, "right") == (200, {"data": {"tenant": [{"id": str(shared_api.tenant_id)}]}})
    assert await ask(guarded, "other") == (200, {"data": {"tenant": []}})


@pytest.mark.parametrize(
    ("key", "code", "text"),
    [
        (None, "UNAUTHENTICATED", "is not known"),
        ("wrong", "UNAUTHENTICATED", "is not known"),
        ("later", "API_ERROR", "cannot be read now"),
        ("broken", "API_ERROR", "internal API error"),
    ],
)
async def test_refused_http_callers_get_200_and_a_code(guarded: str, key: str | None, code: str, text: str) -> None:
    status, content = await ask(guarded, key)
    assert status == 200
    assert list(content) == ["errors"]
    (error,) = content["errors"]
    assert error["extensions"]["code"] == code
    assert text in error["message"]
    assert "secret" not in str(content)


@pytest.mark.parametrize(
    ("headers", "payload"),
    [
        ({"Authorization": "Bearer right"}, None),
        ({}, {"Authorization": "Bearer right"}),
        ({}, {"headers": {"authorization": "Bearer right"}}),
        ({"Authorization": "Bearer wrong"}, {"authorization": "Bearer right"}),
    ],
)
async def test_websocket_callers_are_known_by_handshake_or_first_message(
    guarded: str, shared_api: Any, headers: dict[str, str], payload: dict[str, Any] | None
) -> None:
    async with socket_to(guarded, **headers) as socket:
        await socket.init(payload)
        await socket.subscribe(TENANT)
        assert await socket.next() == {"tenant": [{"id": str(shared_api.tenant_id)}]}


@pytest.mark.parametrize(
    ("key", "code", "reason"),
    [
        ("wrong", 4403, "is not known"),
        ("later", 1013, "cannot be read now"),
        ("broken", 1013, "internal API error"),
    ],
)
async def test_refused_websockets_are_closed_with_the_reason(guarded: str, key: str, code: int, reason: str) -> None:
    async with socket_to(guarded) as socket:
        await socket.send({"type": "connection_init", "payload": {"Authorization": f"Bearer {key}"}})
        await socket.send({"id": "1", "type": "subscribe", "payload": {"query": TENANT}})
        await asyncio.wait_for(socket.connection.wait_closed(), DEADLINE)
        assert socket.connection.close_code == code
        assert reason in (socket.connection.close_reason or "")
        with contextlib.suppress(Exception):
            assert "tenant" not in str(await socket.receive())


@pytest.mark.parametrize(
    "message",
    [
        [],
        "text",
        7,
        {},
        {"type": 7},
        {"type": "subscribe"},
        {"type": "subscribe", "id": 7, "payload": {"query": "{ hello }"}},
        {"type": "subscribe", "id": "1", "payload": "{ hello }"},
        {"type": "subscribe", "id": "1", "payload": {"query": None}},
        {"type": "subscribe", "id": "1", "payload": {"query": "{ hello }", "variables": []}},
        {"type": "subscribe", "id": "1", "payload": {"query": "{ hello }", "operationName": 7}},
        {"type": "complete"},
    ],
)
async def test_messages_that_are_none_close_the_connection(shared_api: Any, message: Any) -> None:
    async with shared_api.socket() as socket:
        await socket.init()
        await socket.send(message)
        await asyncio.wait_for(socket.connection.wait_closed(), DEADLINE)
        assert socket.connection.close_code == 4400


async def test_a_connection_has_a_bounded_number_of_operations(
    shared_api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "MAX_OPERATIONS", 3)
    async with shared_api.socket() as socket:
        await socket.init()
        for number in range(3):
            await socket.subscribe(READY, ident=str(number))
            await socket.next()
        await socket.subscribe(READY, ident="one too many")
        refused = await socket.receive()
        assert (refused["id"], refused["type"]) == ("one too many", "error")
        assert "3 operations at a time" in refused["payload"][0]["message"]
        assert refused["payload"][0]["extensions"] == {"code": "BAD_USER_INPUT"}
        await socket.send({"id": "1", "type": "complete"})
        await socket.subscribe(READY, ident="instead")
        await socket.next()


async def test_a_message_beyond_the_limit_ends_the_connection(shared_api: Any) -> None:
    async with shared_api.socket() as socket:
        await socket.init()
        with contextlib.suppress(ConnectionClosed):
            await socket.subscribe("{ hello }" + " " * 6_000_000)
        await asyncio.wait_for(socket.connection.wait_closed(), DEADLINE)
        assert socket.connection.close_code == 1009


async def test_pings_keep_connections_alive_and_find_dead_ones(
    shared_api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowstead_server.web.serving._PING_SECONDS", 0.3)
    application = WebApplication(
        schema=api_schema(),
        database=shared_api.database,
        hub=shared_api.hub,
        tenant_id=shared_api.tenant_id,
        version="9.9.9",
        body_limit=200_000,
    )
    async with serving(application) as url, socket_to(url) as alive, socket_to(url) as dead:
        for socket in (alive, dead):
            await socket.init()
            await socket.subscribe(READY)
            await socket.next()
        followers = shared_api.hub.follower_count
        # neither sees pings nor answers them
        dead.connection.transport.pause_reading()
        await eventually(lambda: shared_api.hub.follower_count == followers - 1)
        await alive.send({"type": "ping"})
        assert await alive.receive() == {"type": "pong"}
        dead.connection.transport.resume_reading()
