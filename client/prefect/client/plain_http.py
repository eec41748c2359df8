"""Exchanges over plain HTTP/1.1 for threads, by nothing but the standard library.

A request costs a tenth of the processor time that it takes through httpx, and none of the 0.2 s of loading that and
gql: it is what most requests of a flow run and most commands are sent with.  Everything that is more than a connection
to an `http://` address (TLS, proxies, credentials in the URL) is left to `transport`.  It retries nothing; failures are
those of `failures`.
"""

import http.client
import re
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from os import environ
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from prefect.client.encoding import dumps, loads
from prefect.client.endpoint import Endpoint
from prefect.client.failures import Failures, HttpStatusError, system_reason
from prefect.client.prepared import Prepared

if TYPE_CHECKING:
    from prefect.client.transport import BlockingExchange

__all__ = ["PlainExchange", "is_plain"]

_PORT = 80
_MULTIPLE_CHOICES = 300
_MOST_IDLE = 20
# Balancers drop idle connections without a word; none is known to do so as soon as this.
_IDLE_SECONDS = 5.0
_PROXIES = frozenset({"http_proxy", "all_proxy"})
_PRINTABLE = re.compile(r"[!-~]+")
_BAD_IN_HEADERS = re.compile(r"[\x00\r\n]")


def is_plain(url: str) -> bool:
    """Return whether requests to a URL go over a plain connection to its host."""
    parts = urlsplit(url)
    if parts.scheme != "http" or "@" in parts.netloc or not _PRINTABLE.fullmatch(url):
        return False
    if sys.platform in {"darwin", "win32"}:
        from urllib.request import getproxies  # noqa: PLC0415 - there, proxies are also settings of the system

        return not _PROXIES.intersection(f"{name}_proxy" for name in getproxies())
    return not any(name.lower() in _PROXIES and value for name, value in environ.items())


class PlainExchange:
    """Requests to one endpoint over connections that are kept for the next; threads may share one."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._failures = Failures(endpoint)
        parts = urlsplit(endpoint.url)
        self._address = (parts.hostname or "", parts.port or _PORT)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._head = f"POST {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: */*\r\n".encode()
        self._idle: list[tuple[socket.socket, float]] = []
        self._other: BlockingExchange | None = None
        self._is_closed = False

    def close(self) -> None:
        """Close the connections; those in use when they have done their work."""
        self._is_closed = True
        while self._idle:
            self._idle.pop()[0].close()
        if self._other is not None:
            self._other.close()

    def send(self, request: Prepared, headers: Mapping[str, str]) -> dict[str, Any]:
        """Return the answer with the keys `data` and, if there were errors, `errors`."""
        body = dumps(request.payload)
        message = self._message(body, headers)
        connection = self._connected()
        try:
            content, is_kept = self._exchanged(connection, message, len(body))
        except BaseException:
            connection.close()
            raise
        if is_kept and not self._is_closed and len(self._idle) < _MOST_IDLE:
            self._idle.append((connection, time.monotonic() + _IDLE_SECONDS))
        else:
            connection.close()
        return self._answer(content)

    def fetch(
        self, method: str, url: str, params: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> dict[str, Any]:
        """Return the JSON object that an address other than the API's own answers with."""
        if self._other is None:
            from prefect.client.transport import BlockingExchange  # noqa: PLC0415 - imports gql, which takes a while

            self._other = BlockingExchange(self._endpoint)
        return self._other.fetch(method, url, params, headers)

    def _message(self, body: bytes, headers: Mapping[str, str]) -> bytes:
        lines = [self._head]
        for name, value in {**headers, "Content-Type": "application/json", "Content-Length": str(len(body))}.items():
            line = f"{name}: {value}"
            if not line.isascii() or _BAD_IN_HEADERS.search(line):
                raise self._failures.bad_header(name)
            lines.append(f"{line}\r\n".encode("ascii"))
        return b"".join([*lines, b"\r\n", body])

    def _connected(self) -> socket.socket:
        while self._idle:
            try:
                connection, until = self._idle.pop()
            except IndexError:  # another thread took it
                break
            if time.monotonic() < until and _is_open(connection):
                connection.settimeout(self._endpoint.timeout)
                return connection
            connection.close()
        try:
            connection = socket.create_connection(self._address, self._endpoint.timeout)
        except TimeoutError as failure:
            raise self._failures.not_connected("no connection in time") from failure
        except OSError as failure:
            raise self._failures.not_connected(system_reason(failure)) from failure
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _exchanged(self, connection: socket.socket, message: bytes, size: int) -> tuple[bytes, bool]:
        """Return the body of the answer, and whether the connection may be used again."""
        try:
            with suppress(BrokenPipeError, ConnectionResetError):
                # Who refuses a request may say so, and close, before all of it has come: the answer tells more.
                connection.sendall(message)
            with http.client.HTTPResponse(connection, method="POST") as response:
                response.begin()
                content = response.read()
                if response.status >= _MULTIPLE_CHOICES:
                    headers = {name.lower(): value for name, value in response.getheaders()}
                    raise self._failures.of_status(HttpStatusError(response.status, headers, content), size)
                return content, not response.will_close
        except http.client.RemoteDisconnected as failure:
            raise self._failures.broken("Server disconnected without sending a response.") from failure
        except TimeoutError as failure:
            raise self._failures.late() from failure
        except OSError as failure:
            raise self._failures.broken(system_reason(failure)) from failure
        except http.client.HTTPException as failure:
            raise self._failures.broken(_words(failure)) from failure

    def _answer(self, content: bytes) -> dict[str, Any]:
        try:
            found = loads(content)
        except ValueError as failure:
            raise self._failures.no_graphql() from failure
        if not isinstance(found, dict) or not ("data" in found or "errors" in found):
            raise self._failures.no_graphql()
        answer: dict[str, Any] = {"data": found.get("data")}
        if found.get("errors") is not None:
            answer["errors"] = found["errors"]
        return answer


def _is_open(connection: socket.socket) -> bool:
    """Return whether a connection on which nothing is awaited has nothing to say: its end would be something."""
    connection.setblocking(False)
    try:
        connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def _words(failure: http.client.HTTPException) -> str:
    if isinstance(failure, http.client.IncompleteRead):
        return "it ended the connection in the middle of its answer"
    return f"it does not answer by the rules of HTTP ({failure})"
