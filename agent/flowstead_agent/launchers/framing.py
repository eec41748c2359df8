"""The messages between an agent and its fork server: JSON objects behind a length, over a pair of pipes.

A frame that is no JSON object or longer than 64 MiB raises `ValueError`: the stream is then beyond repair and its
reader gives up.  This module imports nothing but the standard library's `json`, so that the fork server stays small.
"""

import json
import struct
from collections.abc import Iterator
from typing import Any

__all__ = ["HEADER_BYTES", "FrameReader", "body_length", "decode_body", "encode"]

_HEADER = struct.Struct("!I")
HEADER_BYTES = _HEADER.size
_MAX_BODY_BYTES = 64 * 1024 * 1024


def encode(message: dict[str, Any]) -> bytes:
    """Return the frame of a message."""
    # ASCII escapes carry the lone surrogates of environment variables that are no UTF-8
    body = json.dumps(message, ensure_ascii=True).encode("ascii")
    return _HEADER.pack(len(body)) + body


def body_length(header: bytes) -> int:
    """Return the number of bytes behind a frame's header.  Raises `ValueError` if it is absurd."""
    (length,) = _HEADER.unpack(header)
    if length > _MAX_BODY_BYTES:
        raise ValueError(f"A frame of {length} bytes is no message of a fork server.")
    return int(length)


def decode_body(body: bytes) -> dict[str, Any]:
    """Return the message in a frame's body.  Raises `ValueError` if it is no JSON object."""
    message = json.loads(body)
    if not isinstance(message, dict):
        raise ValueError("A message of a fork server must be an object.")  # noqa: TRY004 - one error for bad frames
    return message


class FrameReader:
    """Collects bytes as they arrive and gives out the messages that are complete."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Take bytes and yield every message that they complete.  Raises `ValueError` on a bad frame."""
        self._buffer += data
        while len(self._buffer) >= HEADER_BYTES:
            end = HEADER_BYTES + body_length(bytes(self._buffer[:HEADER_BYTES]))
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[HEADER_BYTES:end])
            del self._buffer[:end]
            yield decode_body(body)
