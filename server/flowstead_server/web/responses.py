"""Whole answers over ASGI: one start message and one body, with headers that let any page use the API."""

from typing import Any

import orjson
from starlette.types import Send

_CORS = [(b"access-control-allow-origin", b"*")]
_JSON = b"application/json"


async def send_bytes(
    send: Send, status: int, content_type: bytes, body: bytes, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    """Send a whole answer."""
    all_headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), *_CORS]
    if headers:
        all_headers += headers
    await send({"type": "http.response.start", "status": status, "headers": all_headers})
    await send({"type": "http.response.body", "body": body})


async def send_json(
    send: Send, status: int, body: dict[str, Any], headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    """Send a JSON answer."""
    await send_bytes(send, status, _JSON, orjson.dumps(body), headers)
