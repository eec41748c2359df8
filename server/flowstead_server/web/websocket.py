"""Subscriptions over websockets, with the subprotocol graphql-transport-ws.

Strawberry speaks the protocol; this module says who the caller is and keeps connections bounded: each has at most
`MAX_OPERATIONS` operations at a time, and nothing is answered before the caller is known. Results are produced
only as fast as the client reads them, so a slow reader costs one page of memory. A client that reads nothing for
`SLOW_READER_SECONDS` is told so with close code `SLOW_READER_CODE` and let go: it continues from its last cursor. One
that does not even answer pings is dropped by the web server.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

import orjson
from graphql import GraphQLError
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from strawberry.asgi import ASGIWebSocketAdapter, GraphQL
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler
from strawberry.subscriptions.protocols.graphql_transport_ws.types import (
    ConnectionInitMessage,
    Message,
    SubscribeMessage,
)
from strawberry.types.unset import UnsetType

from flowstead_server.api.context import RequestContext
from flowstead_server.api.errors import BAD_USER_INPUT, internal_error
from flowstead_server.api.schema import ApiSchema
from flowstead_server.domain.caller import Caller
from flowstead_server.domain.errors import ApiUnavailableError, FlowsteadError
from flowstead_server.web.callers import Authenticate, headers_of_connection
from flowstead_server.web.requests import read_headers

logger = logging.getLogger(__name__)

SLOW_READER_SECONDS = 30.0
SLOW_READER_CODE = 4413
_SLOW_READER_REASON = "The client reads too slowly; connect again and continue from the last cursor."
MAX_OPERATIONS = 100
_FORBIDDEN_CODE = 4403
_TRY_AGAIN_CODE = 1013
_BAD_REQUEST_CODE = 4400
_MAX_REASON_BYTES = 120
_NOBODY = Caller(UUID(int=0))
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


class _Handler(BaseGraphQLTransportWSHandler[RequestContext, None]):
    """Refuses callers, messages and operations with a reason. That a client went away is no failure to be logged."""

    async def handle_message(self, message: Message) -> None:
        """Answer a message; close the connection if it is none."""
        if not _is_well_formed(message):
            await self.websocket.close(_BAD_REQUEST_CODE, "A message is not one of graphql-transport-ws.")
            return
        await super().handle_message(message)

    async def handle_connection_init(self, message: ConnectionInitMessage) -> None:
        """Let the caller in, or close the connection with the reason."""
        try:
            await super().handle_connection_init(message)
        except FlowsteadError as error:
            code = _TRY_AGAIN_CODE if error.retryable else _FORBIDDEN_CODE
            reason = str(error).encode()[:_MAX_REASON_BYTES].decode(errors="ignore")
            await self.websocket.close(code, reason)

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        """Begin an operation, unless there are too many."""
        if self.connection_acknowledged and len(self.operations) >= MAX_OPERATIONS:
            error = GraphQLError(
                f"A connection may have {MAX_OPERATIONS} operations at a time; complete one or connect again.",
                extensions={"code": BAD_USER_INPUT},
            )
            await self.send_message({"id": message["id"], "type": "error", "payload": [error.formatted]})
            return
        await super().handle_subscribe(message)

    async def handle_task_exception(self, error: Exception) -> None:
        if not isinstance(error, WebSocketDisconnected):
            await super().handle_task_exception(error)


class GraphQLWebSocket(GraphQL[RequestContext, None]):
    """ASGI application for websocket connections."""

    websocket_adapter_class = _BoundedAdapter
    graphql_transport_ws_handler_class = _Handler

    def __init__(
        self, schema: ApiSchema, make_context: Callable[[Caller], RequestContext], authenticate: Authenticate
    ) -> None:
        """Take the schema, the function that makes the context of a caller, and the one that knows callers."""
        super().__init__(
            schema,
            graphql_ide=None,
            allow_queries_via_get=False,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=_INIT_TIMEOUT,
            allowed_origins=("*",),
        )
        self._make_context = make_context
        self._authenticate = authenticate

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> RequestContext:
        """Make the context of a connection, whose caller is not known before `connection_init`."""
        context = self._make_context(_NOBODY)
        context.headers = read_headers(request.scope)
        return context

    async def on_ws_connect(self, context: RequestContext) -> UnsetType:
        """Find the caller by the headers of the handshake and, as browsers cannot set those, of `connection_init`.

        Raises:
            FlowsteadError: the caller is refused, or the database that knows callers is away.
        """
        try:
            context.caller = await self._authenticate(
                {**context.headers, **headers_of_connection(context.connection_params)}
            )
        except FlowsteadError:
            raise
        except Exception as error:
            raise ApiUnavailableError(internal_error(error)["message"]) from error
        return UnsetType()

    def decode_json(self, data: str | bytes) -> object:
        """Read a message."""
        return orjson.loads(data)

    def encode_json(self, data: object) -> str | bytes:
        """Write a message; JSON that came from the database passes as it is."""
        return orjson.dumps(data).decode()


def _is_well_formed(message: object) -> bool:
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return False
    if message["type"] not in {"subscribe", "complete"}:
        return True
    if not isinstance(message.get("id"), str):
        return False
    payload = message.get("payload")
    return message["type"] == "complete" or (
        isinstance(payload, dict)
        and isinstance(payload.get("query"), str)
        and isinstance(payload.get("variables"), dict | None)
        and isinstance(payload.get("operationName"), str | None)
    )
