"""Subscriptions over websockets, with the subprotocol graphql-transport-ws.

Strawberry speaks the protocol; this module says who the caller is and keeps connections bounded. Results are produced
only as fast as the client reads them, so a slow reader costs one page of memory. A client that reads nothing for
`SLOW_READER_SECONDS` is told so with close code `SLOW_READER_CODE` and let go: it continues from its last cursor. One
that does not even answer pings is dropped by the web server.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from strawberry.asgi import ASGIWebSocketAdapter, GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler
from strawberry.types.unset import UnsetType

from flowstead_server.api.context import RequestContext
from flowstead_server.api.schema import ApiSchema
from flowstead_server.web.callers import headers_of_connection
from flowstead_server.web.requests import BadRequest, read_headers

logger = logging.getLogger(__name__)

SLOW_READER_SECONDS = 30.0
SLOW_READER_CODE = 4413
_SLOW_READER_REASON = "The client reads too slowly; connect again and continue from the last cursor."
_INIT_TIMEOUT = timedelta(seconds=10)


class _BoundedAdapter(ASGIWebSocketAdapter):
    """Sends with a deadline: the transport accepts nothing more while the client does not read."""

    async def send_json(self, message: Mapping[str, object]) -> None:
        try:
            async with asyncio.timeout(SLOW_READER_SECONDS):
                await super().send_json(message)
        except TimeoutError:
            logger.info("A client reads too slowly; its connection is closed")
            with suppress(TimeoutError):
                async with asyncio.timeout(SLOW_READER_SECONDS):
                    await self.close(SLOW_READER_CODE, _SLOW_READER_REASON)
            raise WebSocketDisconnected from None


class _QuietHandler(BaseGraphQLTransportWSHandler[RequestContext, None]):
    """Does not log that a client went away as if it were a failure."""

    async def handle_task_exception(self, error: Exception) -> None:
        if not isinstance(error, WebSocketDisconnected):
            await super().handle_task_exception(error)


class GraphQLWebSocket(GraphQL[RequestContext, None]):
    """ASGI application for websocket connections."""

    websocket_adapter_class = _BoundedAdapter
    graphql_transport_ws_handler_class = _QuietHandler

    def __init__(self, schema: ApiSchema, make_context: Callable[[Mapping[str, str]], RequestContext]) -> None:
        """Take the schema and the function that makes a context from headers (lower-case names)."""
        super().__init__(
            schema,
            graphql_ide=None,
            allow_queries_via_get=False,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=_INIT_TIMEOUT,
            allowed_origins=("*",),
        )
        self._make_context = make_context

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> RequestContext:
        """Make the context of a connection from the headers of its handshake."""
        try:
            return self._make_context(read_headers(request.scope))
        except BadRequest:
            return self._make_context({})

    async def on_ws_connect(self, context: RequestContext) -> UnsetType:
        """Let the payload of `connection_init` say who the caller is, where browsers cannot set headers."""
        headers = headers_of_connection(context.connection_params)
        if any(name.startswith("x-prefect-") for name in headers):
            try:
                context.caller = self._make_context(headers).caller
            except BadRequest as error:
                raise ConnectionRejectionError from error
        return UnsetType()

    def decode_json(self, data: str | bytes) -> object:
        """Read a message."""
        return orjson.loads(data)

    def encode_json(self, data: object) -> str | bytes:
        """Write a message; JSON that came from the database passes as it is."""
        return orjson.dumps(data).decode()
