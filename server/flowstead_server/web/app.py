"""The ASGI application: GraphQL on every path for POST and websocket, health and a page for browsers for GET.

Every answer is whole, and small or made beforehand or by PostgreSQL; nothing is streamed. A request that cannot be
understood is answered with status 400 and one sentence. Failures inside never end a connection without an answer.
"""

import asyncio
import logging
import time
from uuid import UUID

from starlette.types import Receive, Scope, Send

from flowstead_server.api.context import RequestContext
from flowstead_server.api.errors import BAD_USER_INPUT, WireError, internal_error, wire_error
from flowstead_server.api.execution import BAD_REQUEST, OK, execute
from flowstead_server.api.schema import ApiSchema
from flowstead_server.db.database import Database
from flowstead_server.domain.caller import Caller
from flowstead_server.domain.errors import BadInputError, FlowsteadError
from flowstead_server.pubsub.hub import Hub
from flowstead_server.web.callers import Authenticate, everybody
from flowstead_server.web.metrics import CONTENT_TYPE, Metrics, Traffic
from flowstead_server.web.pages import HTML, start_page
from flowstead_server.web.playground import Playground, send_asset
from flowstead_server.web.requests import BadRequest, read_body, read_headers, read_operation
from flowstead_server.web.responses import send_bytes, send_json
from flowstead_server.web.websocket import GraphQLWebSocket

logger = logging.getLogger(__name__)
access_logger = logging.getLogger("flowstead_server.access")

_HEALTH_SECONDS = 3.0
_NOT_FOUND = 404
_METHOD_NOT_ALLOWED = 405
_NO_CONTENT = 204
_UNAVAILABLE = 503
_CLOSE = [(b"connection", b"close")]
_ALLOW = [(b"allow", b"GET, HEAD, POST, OPTIONS")]
_VARY = [(b"vary", b"accept")]


class WebApplication:
    """Routes requests to the schema. Stateless but for the parts that it is given."""

    def __init__(
        self,
        *,
        schema: ApiSchema,
        database: Database,
        hub: Hub,
        tenant_id: UUID,
        version: str,
        body_limit: int,
        access_log: bool = False,
        authenticate: Authenticate | None = None,
        playground: Playground | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        """Take the parts that requests use. `body_limit` in bytes; `tenant_id` of callers without a key.

        `authenticate` says who asks and may refuse, over HTTP as over websockets; None lets everybody in.
        `playground` is what browsers get; None shows them a page that only says what is here. `metrics` counts
        requests and answers at `/metrics`; None leaves that address empty.
        """
        self._schema = schema
        self._database = database
        self._hub = hub
        self._authenticate = authenticate or everybody(tenant_id)
        self._version = version
        self._body_limit = body_limit
        self._access_log = access_log
        self._page = start_page(version)
        self._playground = playground
        self._metrics = metrics
        self._traffic = Traffic() if metrics is None else metrics.traffic
        self._websocket = GraphQLWebSocket(schema, self._context, self._authenticate)

    def answer_who_waits(self) -> None:
        """Answer requests that wait for something to happen: the server is about to stop."""
        self._hub.release()

    def _context(self, caller: Caller) -> RequestContext:
        return RequestContext(self._database, caller, self._hub)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or serve one websocket connection."""
        if scope["type"] == "websocket":
            self._traffic.websockets += 1
            try:
                await self._websocket(scope, receive, send)
            finally:
                self._traffic.websockets -= 1
        elif scope["type"] == "http":
            if self._access_log:
                send = _logged(scope, send)
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        if method == "POST":
            begin = time.perf_counter()
            await self._graphql(scope, receive, send)
            self._traffic.graphql += 1
            self._traffic.graphql_seconds += time.perf_counter() - begin
            return
        self._traffic.other += 1
        if method in {"GET", "HEAD"}:
            await self._get(scope, send)
        elif method == "OPTIONS":
            await _preflight(scope, send)
        else:
            error = wire_error(f"The method {method} is not used here; send GraphQL with POST.", BAD_USER_INPUT)
            await send_json(send, _METHOD_NOT_ALLOWED, {"errors": [error]}, _ALLOW)

    async def _graphql(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            operation = read_operation(await read_body(receive, self._body_limit))
            caller = await self._authenticate(read_headers(scope))
        except BadRequest as error:
            self._traffic.graphql_errors += 1
            body = {"errors": [wire_error(str(error), BAD_USER_INPUT)]}
            await send_json(send, BAD_REQUEST, body, _CLOSE if error.close else None)
            return
        except Exception as error:
            self._traffic.graphql_errors += 1
            status = BAD_REQUEST if isinstance(error, BadInputError) else OK
            await send_json(send, status, {"errors": [_refusal(error)]})
            return
        answer = await execute(self._schema, operation, self._context(caller))
        self._traffic.graphql_errors += "errors" in answer.body
        try:
            await send_json(send, answer.status, answer.body)
        except TypeError as error:
            # orjson refused a value: a mistake of ours, found before anything was sent.
            await send_json(send, OK, {"errors": [internal_error(error)], "data": None})

    async def _get(self, scope: Scope, send: Send) -> None:
        path = scope["path"]
        if path == "/health":
            await self._health(send)
        elif path == "/healthz":
            await send_json(send, OK, {"status": "ok"})
        elif path == "/metrics" and self._metrics is not None:
            await send_bytes(send, OK, CONTENT_TYPE, await self._metrics.text())
        elif path == "/.well-known/apollo/server-health":
            await send_json(send, OK, {"status": "pass"})
        elif self._playground is not None and (asset := self._playground.find(scope)) is not None:
            await send_asset(scope, send, asset)
        elif path in {"/", "/graphql", "/graphql/"}:
            await send_bytes(send, OK, HTML, self._page, _VARY)
        else:
            error = wire_error(f"There is nothing at {path[:200]}; the API is at / and /graphql.", "NOT_FOUND")
            await send_json(send, _NOT_FOUND, {"errors": [error]})

    async def _health(self, send: Send) -> None:
        try:
            async with asyncio.timeout(_HEALTH_SECONDS):
                await self._database.fetch_value("select 1")
        except Exception as error:
            logger.warning("Health: the database does not answer (%s)", error or type(error).__name__)
            body = {"status": "unavailable", "version": self._version, "reason": "The database does not answer."}
            await send_json(send, _UNAVAILABLE, body)
        else:
            await send_json(send, OK, {"status": "ok", "version": self._version})


def _refusal(error: Exception) -> WireError:
    # A status such as 401 would be a bare HTTP error for 1.x programs, which look for the code in a 200.
    return wire_error(str(error), error.code) if isinstance(error, FlowsteadError) else internal_error(error)


async def _preflight(scope: Scope, send: Send) -> None:
    wanted = next((value for name, value in scope["headers"] if name == b"access-control-request-headers"), b"*")
    headers = [
        (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
        (b"access-control-allow-headers", wanted),
        (b"access-control-max-age", b"86400"),
    ]
    await send_bytes(send, _NO_CONTENT, b"text/plain", b"", headers)


def _logged(scope: Scope, send: Send) -> Send:
    begin = time.perf_counter()

    async def send_and_log(message: object) -> None:
        if isinstance(message, dict) and message["type"] == "http.response.start":
            milliseconds = (time.perf_counter() - begin) * 1000
            access_logger.info("%s %s %d %.1f ms", scope["method"], scope["path"], message["status"], milliseconds)
        await send(message)  # type: ignore[arg-type]

    return send_and_log
