"""A real server in the test's own event loop, HTTP and websocket over a socket, and how tests ask it."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from flowstead_server.api.schema import api_schema
from flowstead_server.db import Database
from flowstead_server.orchestration.tenants import ensure_default_tenant
from flowstead_server.pubsub.hub import Hub
from flowstead_server.services.loop import Service
from flowstead_server.settings import Settings
from flowstead_server.web.app import WebApplication
from flowstead_server.web.metrics import Metrics
from flowstead_server.web.playground import built_playground
from flowstead_server.web.serving import WebServer, listening_socket, web_config

BODY_LIMIT = 200_000
DEADLINE = 15.0
PROTOCOL = Subprotocol("graphql-transport-ws")


class Socket:
    """A websocket that speaks graphql-transport-ws."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message."""
        await self.connection.send(json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        """Return the next message, which has to come soon."""
        return json.loads(await asyncio.wait_for(self.connection.recv(), DEADLINE))

    async def init(self, payload: dict[str, Any] | None = None) -> None:
        """Begin the conversation."""
        await self.send({"type": "connection_init", **({"payload": payload} if payload is not None else {})})
        assert await self.receive() == {"type": "connection_ack"}

    async def subscribe(self, query: str, variables: dict[str, Any] | None = None, ident: str = "1") -> None:
        """Begin a subscription."""
        payload = {"query": query, "variables": variables}
        await self.send({"id": ident, "type": "subscribe", "payload": payload})

    async def next(self) -> dict[str, Any]:
        """Return the data of the next result."""
        message = await self.receive()
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        data: dict[str, Any] = message["payload"]["data"]
        return data


@contextlib.asynccontextmanager
async def socket_to(url: str, **headers: str) -> AsyncIterator[Socket]:
    """Open a websocket to a server."""
    address = url.replace("http://", "ws://") + "/graphql"
    async with connect(address, subprotocols=[PROTOCOL], additional_headers=headers) as connection:
        yield Socket(connection)


@dataclass
class Api:
    """A server that runs, and how to ask it."""

    url: str
    http: httpx.AsyncClient
    database: Database
    hub: Hub
    tenant_id: UUID

    def socket(self, **headers: str) -> contextlib.AbstractAsyncContextManager[Socket]:
        """Open a websocket to the server."""
        return socket_to(self.url, **headers)

    async def post(self, query: str, variables: Any = None, **headers: str) -> httpx.Response:
        """Send an operation as 1.x programs do: with variables as a JSON string."""
        body = {"query": query, "variables": json.dumps(variables)}
        return await self.http.post("/", json=body, headers={"X-PREFECT-CORE-VERSION": "1.4.1", **headers})

    async def data(self, query: str, variables: Any = None, **headers: str) -> dict[str, Any]:
        """Send an operation that has to succeed; return its data."""
        response = await self.post(query, variables, **headers)
        content = response.json()
        assert response.status_code == 200, content
        assert list(content) == ["data"], content
        return content["data"]

    async def mutate(self, name: str, select: str = "id", /, **members: Any) -> Any:
        """Send a mutation that has to succeed; return its payload."""
        query = f"mutation($input: {name}_input!) {{ {name}(input: $input) {{ {select} }} }}"
        return (await self.data(query, {"input": members}))[name]

    async def errors(self, query: str, variables: Any = None, **headers: str) -> list[dict[str, Any]]:
        """Send an operation that has to fail; return its errors."""
        content = (await self.post(query, variables, **headers)).json()
        assert content.get("errors"), content
        return content["errors"]

    async def refusal(self, name: str, select: str = "id", /, **members: Any) -> tuple[str, str]:
        """Send a mutation that has to fail; return message and code of its only error."""
        query = f"mutation($input: {name}_input!) {{ {name}(input: $input) {{ {select} }} }}"
        (error,) = await self.errors(query, {"input": members})
        return error["message"], error["extensions"]["code"]


@contextlib.asynccontextmanager
async def serving(application: WebApplication) -> AsyncIterator[str]:
    """Serve an application on a free port, as a server process does; yields its URL."""
    server = WebServer(web_config(application, Settings(data_dir=Path(os.devnull))))
    with listening_socket("127.0.0.1", 0) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


@contextlib.asynccontextmanager
async def running_api(database: Database, services: Sequence[Service[Any]] = ()) -> AsyncIterator[Api]:
    """Run a server over a database, with hints that go in and out. It shows the figures of `services`."""
    tenant_id = await ensure_default_tenant(database)
    hub = Hub(database.open_connection)
    database.hints = hub
    await hub.start()
    try:
        await asyncio.wait_for(hub.wait_connected(), DEADLINE)
        application = WebApplication(
            schema=api_schema(),
            database=database,
            hub=hub,
            tenant_id=tenant_id,
            version="9.9.9",
            body_limit=BODY_LIMIT,
            playground=built_playground(),
            metrics=Metrics("9.9.9", database, services, hub),
        )
        # Without certificates, which take longer to load than most tests.
        async with serving(application) as url, httpx.AsyncClient(base_url=url, timeout=20, verify=False) as client:
            yield Api(url, client, database, hub, tenant_id)
    finally:
        await hub.stop()
