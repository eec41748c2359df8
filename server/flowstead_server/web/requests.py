"""Reading requests: the body within its limit, the GraphQL operation in it, and the headers that say who asks."""

from typing import Any

import orjson
from starlette.types import Receive, Scope

from flowstead_server.api.execution import Operation

_DRAIN_FACTOR = 8


class BadRequest(Exception):  # noqa: N818 - named like the status it becomes
    """The request cannot be understood; the text says why.

    Args:
        message: one sentence for the client.
        close: whether the connection has to end, because the rest of the request was not read.
    """

    def __init__(self, message: str, *, close: bool = False) -> None:
        super().__init__(message)
        self.close = close


async def read_body(receive: Receive, limit: int) -> bytes:
    """Read the whole body.

    A body over the limit is read and thrown away before it is refused, up to a point: a client that is still sending
    would see a broken connection instead of the answer, and send everything again.

    Raises:
        BadRequest: the body is larger than `limit` bytes, or the client went away.
    """
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        if len(body) <= limit:
            return body
    parts: list[bytes] = []
    size = 0
    while True:
        if message["type"] != "http.request":
            raise BadRequest("The client went away.")
        part = message.get("body", b"")
        size += len(part)
        if size <= limit:
            parts.append(part)
        else:
            parts.clear()
        more = message.get("more_body", False)
        if not more or size > limit * _DRAIN_FACTOR:
            break
        message = await receive()
    if size > limit:
        raise BadRequest(
            f"The request body is larger than the limit of {limit} bytes; send it in smaller parts.", close=more
        )
    return b"".join(parts)


def read_operation(body: bytes) -> Operation:
    """Find the operation in a request body.

    `variables` may be an object, a string that holds one (as 1.x programs send it), null or absent.

    Raises:
        BadRequest: the body is not JSON, or a member has the wrong type.
    """
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The request body is not valid JSON: {error}.") from None
    if not isinstance(content, dict):
        raise BadRequest('The request body must be a JSON object with a member "query".')
    query = content.get("query")
    if not isinstance(query, str) or not query:
        raise BadRequest('The request body has no member "query" with a GraphQL document in it.')
    name = content.get("operationName")
    if name is not None and not isinstance(name, str):
        raise BadRequest('The member "operationName" must be a string.')
    return Operation(query, _read_variables(content.get("variables")), name)


def _read_variables(value: object) -> dict[str, Any] | None:
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise BadRequest(f'The member "variables" is a string that is not valid JSON: {error}.') from None
    if value is None or isinstance(value, dict):
        return value
    raise BadRequest('The member "variables" must be an object, or a string that holds one.')


def read_headers(scope: Scope) -> dict[str, str]:
    """Return the headers that say who asks (`authorization` and `x-prefect-…`), with lower-case names."""
    return {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in scope["headers"]
        if name.startswith(b"x-prefect-") or name == b"authorization"
    }
