"""One subscription over one websocket: gql's transport, with its failures sorted and a reader that sets the pace.

Like `transport` it imports gql and retries nothing.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from gql.transport.common.adapters.websockets import WebSocketsAdapter
from gql.transport.exceptions import (
    TransportError,
    TransportProtocolError,
    TransportQueryError,
    TransportServerError,
)
from gql.transport.websockets_protocol import WebsocketsProtocolTransportBase
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from prefect.client.endpoint import Endpoint
from prefect.client.errors import (
    ApiUnreachable,
    SubscriptionLost,
    SubscriptionsUnavailable,
    error_from_answer,
)
from prefect.client.failures import RETRYABLE_STATUS, TOO_MANY_REQUESTS, system_reason
from prefect.client.prepared import Prepared
from prefect.client.transport import PreparedRequest
from prefect.exceptions import AuthorizationError

__all__ = ["stream"]

_MAX_PAGE = 256 * 2**20
_READ_AHEAD = 16
_CLOSE_UNAUTHORIZED = frozenset({4401, 4403})


class _PacedConnection(WebSocketsAdapter):
    """A websocket that is not read further than a few events ahead of their reader.

    gql keeps what arrived in an unbounded queue: the log of a long run would end up in memory.
    """

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        limits = {"max_size": _MAX_PAGE, "ping_interval": 15, "ping_timeout": 15, "close_timeout": 1}
        super().__init__(url, headers=dict(headers), connect_args=limits)
        self._room = asyncio.Semaphore(_READ_AHEAD)

    async def receive(self) -> str:
        """Return the next message, once there is room for an event."""
        await self._room.acquire()
        message = await super().receive()
        if '"next"' not in message:  # only events are queued
            self._room.release()
        return message

    def consumed(self) -> None:
        """Make room for another event."""
        self._room.release()


class _Connection(WebsocketsProtocolTransportBase):
    def __init__(self, endpoint: Endpoint, headers: Mapping[str, str]) -> None:
        self.adapter: _PacedConnection = _PacedConnection(endpoint.websocket_url, headers)
        super().__init__(
            adapter=self.adapter,
            subprotocols=[self.GRAPHQLWS_SUBPROTOCOL],
            connect_timeout=endpoint.timeout,
            ack_timeout=endpoint.timeout,
            close_timeout=1,
        )


async def stream(
    endpoint: Endpoint, request: Prepared, headers: Mapping[str, str]
) -> AsyncGenerator[Mapping[str, Any], None]:
    """Yield the `data` of every event of a subscription, over a websocket of its own, until the API completes it.

    Raises `SubscriptionsUnavailable` if there are no websockets, `SubscriptionLost` if the connection breaks,
    `ApiUnreachable`, or what the API's errors mean.
    """
    transport = _Connection(endpoint, headers)
    try:
        await transport.connect()
    except (TransportError, TimeoutError) as failure:
        raise _sorted_stream(endpoint, failure) from failure
    try:
        async with aclosing(transport.subscribe(PreparedRequest(request.simplified()))) as results:
            async for result in results:
                if result.errors:
                    raise error_from_answer(result.errors)
                yield result.data or {}
                transport.adapter.consumed()
    except TransportError as failure:
        raise _sorted_stream(endpoint, failure) from failure
    finally:
        # The consumer may be gone already: closing must not wait for longer than the transport's own limits.
        await asyncio.shield(transport.close())


def _sorted_stream(endpoint: Endpoint, failure: BaseException) -> BaseException:  # noqa: PLR0911 - a table of cases
    if isinstance(failure, TransportQueryError):
        return error_from_answer(failure.errors or [str(failure)])
    cause = failure.__cause__
    if isinstance(cause, InvalidStatus):
        status = cause.response.status_code
        if status not in RETRYABLE_STATUS and status != TOO_MANY_REQUESTS:
            return SubscriptionsUnavailable(
                f"The API at {endpoint.url} does not accept websockets (HTTP status {status})."
            )
        return SubscriptionLost(f"The API at {endpoint.url} answers with HTTP status {status}.")
    if isinstance(cause, InvalidHandshake) or isinstance(failure, TransportProtocolError):
        return SubscriptionsUnavailable(f"The API at {endpoint.url} does not accept websockets ({cause or failure}).")
    if isinstance(cause, ConnectionClosed) and cause.rcvd and cause.rcvd.code in _CLOSE_UNAUTHORIZED:
        return AuthorizationError(f"The API at {endpoint.url} refuses the subscription: {cause.rcvd.reason}.")
    if isinstance(cause, OSError):
        return ApiUnreachable(endpoint.url, system_reason(cause), endpoint.setting)
    if isinstance(failure, TimeoutError) or isinstance(cause, TimeoutError):
        return ApiUnreachable(endpoint.url, "no connection in time", endpoint.setting)
    if isinstance(failure, TransportServerError):
        return SubscriptionLost(f"The API at {endpoint.url} ended the connection: {failure}.")
    return SubscriptionLost(f"The connection to {endpoint.url} broke: {cause or failure}.")
