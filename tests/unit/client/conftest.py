"""A real server on a socket whose answers a test writes down beforehand."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

Answer = Response | dict[str, Any] | Callable[[dict[str, Any]], Any]


class ScriptedApi:
    """Answers requests from `answers` in order, repeating the last; streams `streams` in order, one per connection.

    A stream is a list of payloads for the subscription: an int in it closes the connection with that code, "hold" waits
    for the client to go.  "refuse" as a stream refuses the websocket.  Whatever arrived is in `requests` and
    `subscriptions`.
    """

    def __init__(self) -> None:
        self.url = ""
        self.reset()

    def reset(self) -> None:
        self.answers: list[Answer] = []
        self.streams: list[Any] = []
        self.requests: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.subscriptions: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.connections: set[Any] = set()
        self.all_sent = threading.Event()

    async def post(self, request: Request) -> Response:
        body = json.loads(await request.body())
        self.requests.append((dict(request.headers), body))
        self.connections.add(request.client)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer) and not isinstance(answer, Response):
            answer = answer(body)
        return answer if isinstance(answer, Response) else JSONResponse(answer)

    async def websocket(self, socket: WebSocket) -> None:
        stream = self.streams.pop(0)
        if stream == "refuse":
            await socket.close()
            return
        await socket.accept("graphql-transport-ws")
        try:
            assert (await socket.receive_json())["type"] == "connection_init"
            await socket.send_json({"type": "connection_ack"})
            started = await socket.receive_json()
            self.subscriptions.append((dict(socket.headers), started["payload"]))
            for item in stream:
                if item == "hold":
                    await socket.receive()
                    return
                if isinstance(item, int):
                    await socket.close(item)
                    return
                kind = "error" if isinstance(item, list) else "next"
                await socket.send_json({"id": started["id"], "type": kind, "payload": item})
            self.all_sent.set()
            await socket.send_json({"id": started["id"], "type": "complete"})
            await socket.receive()
        except WebSocketDisconnect:
            return


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@pytest.fixture(scope="session")
def _running_api() -> Iterator[ScriptedApi]:
    scripted = ScriptedApi()
    app = Starlette(
        routes=[Route("/", scripted.post, methods=["POST"]), WebSocketRoute("/", scripted.websocket)],
    )
    server = _Server(
        uvicorn.Config(
            app,
            host="127.0.0.1",
            port=0,
            log_level="critical",
            timeout_graceful_shutdown=1,
            # a reader that is slow on purpose is not to be taken for one that is gone
            ws_ping_interval=None,
        )
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    assert server.listening.wait(10)
    port = server.servers[0].sockets[0].getsockname()[1]
    scripted.url = f"http://127.0.0.1:{port}"
    yield scripted
    server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def api(_running_api: ScriptedApi) -> ScriptedApi:
    _running_api.reset()
    return _running_api


@pytest.fixture
def unused_tcp_port_url() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
