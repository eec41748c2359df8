"""What a resolver may know about the request that it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import strawberry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstead_server.api.documents import PreparedDocument
    from flowstead_server.db.database import Database
    from flowstead_server.domain.caller import Caller
    from flowstead_server.pubsub.hub import Hub


@dataclass(slots=True)
class RequestContext:
    """The parts of the process that resolvers use, and who is asking.

    One object per HTTP request, or per websocket connection.
    """

    database: Database
    caller: Caller
    hub: Hub
    connection_params: dict[str, Any] = field(default_factory=dict)
    """Payload of `connection_init`; empty over HTTP."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of a websocket's handshake that say who asks; empty over HTTP."""
    document: PreparedDocument | None = None
    """The document of an HTTP request; null over a websocket, where one context serves many documents."""


Info = strawberry.Info[RequestContext, None]

T = TypeVar("T")
Input = Annotated[T, strawberry.argument(name="input", description="Members of the request.")]
"""The one argument of every mutation."""
