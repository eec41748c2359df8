"""One exchange over HTTP: gql's transports, with its failures sorted.

This module imports gql, graphql and httpx (about 0.2 s), so sessions import it when the first request is sent; what
threads send over plain HTTP does without it (`plain_http`).  It retries nothing.  Failures are `TransientError` if
another attempt may help, else a `ClientError` (or `VersionLockMismatchSignal`) that says it in a sentence.
"""

import logging
import ssl
from collections.abc import Mapping
from typing import Any

from prefect.client import lean_httpx  # noqa: F401 - before gql, which imports httpx

# isort: split
from gql import GraphQLRequest
from gql.transport.exceptions import (
    TransportConnectionFailed,
    TransportError,
    TransportProtocolError,
)
from gql.transport.httpx import HTTPXAsyncTransport, HTTPXTransport
from graphql import ExecutionResult

from prefect.client.encoding import dumps, loads
from prefect.client.endpoint import Endpoint
from prefect.client.errors import MalformedAnswerError
from prefect.client.failures import Failures, HttpStatusError, system_reason
from prefect.client.prepared import Prepared
from prefect.exceptions import ClientError

try:  # gql prefers the successor of httpx where it is installed
    import httpx2 as httpx  # type: ignore[import-not-found, unused-ignore]
except ModuleNotFoundError:
    import httpx

__all__ = ["BlockingExchange", "HttpExchange", "PreparedRequest"]

# For plain HTTP, where httpx would make one for every client: it trusts nobody, and making it takes milliseconds.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class PreparedRequest(GraphQLRequest):
    """A request whose text is sent as it is: parsing and printing it again would cost more than sending it."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self.operation_name = prepared.operation_name
        self.variable_values = prepared.variables
        self.extensions = None

    @property
    def payload(self) -> dict[str, Any]:
        """What goes over the wire."""
        return self._prepared.payload


async def _refuse_bad_status_async(response: httpx.Response) -> None:
    if response.status_code >= httpx.codes.MULTIPLE_CHOICES:
        await response.aread()
        raise HttpStatusError(response.status_code, response.headers, response.content)


def _refuse_bad_status(response: httpx.Response) -> None:
    if response.status_code >= httpx.codes.MULTIPLE_CHOICES:
        response.read()
        raise HttpStatusError(response.status_code, response.headers, response.content)


class _Exchange:
    """What asynchronous and blocking exchanges share: what is sent, and what came of it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._failures = Failures(endpoint)
        logger = logging.getLogger("httpx")
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)  # it reports every request at INFO, in the middle of a run's log

    def _settings(self) -> dict[str, Any]:
        return {
            "json_deserialize": loads,
            "timeout": httpx.Timeout(self._endpoint.timeout),
            "verify": True if self._endpoint.url.startswith("https:") else _NO_TLS,
        }

    def _arguments(self, request: Prepared, headers: Mapping[str, str]) -> dict[str, Any]:
        return {"content": dumps(request.payload), "headers": {**headers, "Content-Type": "application/json"}}

    def _answer(self, result: ExecutionResult) -> dict[str, Any]:
        answer: dict[str, Any] = {"data": result.data}
        if result.errors is not None:
            answer["errors"] = result.errors
        return answer

    def _failed(self, failure: TransportError, request: Prepared) -> Exception:
        if isinstance(failure, TransportConnectionFailed):
            return self._sorted(failure.__cause__ or failure, request)
        return self._failures.no_graphql()

    @staticmethod
    def _fetch_arguments(method: str, params: Mapping[str, Any] | None, headers: Mapping[str, str]) -> dict[str, Any]:
        body = {"params": params} if method == "GET" else {"content": dumps(params or {})}
        return {"headers": {**headers, "Content-Type": "application/json"}, **body}

    @staticmethod
    def _fetched(url: str, answer: httpx.Response) -> dict[str, Any]:
        try:
            found = loads(answer.content)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise MalformedAnswerError(f"Malformed response received from API: {url} does not answer with JSON.")
        return found

    def _sorted(self, cause: BaseException, request: Prepared | None) -> Exception:  # noqa: PLR0911 - a table of cases
        if isinstance(cause, HttpStatusError):
            size = None if request is None else len(dumps(request.payload))
            return self._failures.of_status(cause, size)
        if isinstance(cause, (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL)):
            # without the value of a header, which may be the API key
            return self._failures.not_sendable(str(cause).partition(" b'")[0])
        if isinstance(cause, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
            reason = "no connection in time" if isinstance(cause, httpx.TimeoutException) else system_reason(cause)
            return self._failures.not_connected(reason)
        if isinstance(cause, httpx.TimeoutException):
            return self._failures.late()
        if isinstance(cause, httpx.TransportError):
            return self._failures.broken(system_reason(cause))
        if isinstance(cause, Exception):
            return cause  # a mistake in the program, such as a header that is no string
        return ClientError(str(cause))


_FAILURES = (TransportConnectionFailed, TransportProtocolError)
_FETCH_FAILURES = (httpx.HTTPError, httpx.InvalidURL, HttpStatusError)


class HttpExchange(_Exchange):
    """Requests over kept-alive connections to one endpoint; use it from one event loop."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        hooks = {"response": [_refuse_bad_status_async]}
        self._transport = HTTPXAsyncTransport(endpoint.url, event_hooks=hooks, **self._settings())

    async def open(self) -> None:
        """Prepare for requests; connects nothing yet."""
        await self._transport.connect()  # type: ignore[no-untyped-call]  # gql does not annotate it

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()  # type: ignore[no-untyped-call]  # gql does not annotate it

    async def send(self, request: Prepared, headers: Mapping[str, str]) -> dict[str, Any]:
        """Return the answer with the keys `data` and, if there were errors, `errors`."""
        try:
            result = await self._transport.execute(
                PreparedRequest(request), extra_args=self._arguments(request, headers)
            )
        except _FAILURES as failure:
            raise self._failed(failure, request) from failure
        return self._answer(result)

    async def fetch(
        self, method: str, url: str, params: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> dict[str, Any]:
        """Return the JSON object that an address other than the API's own answers with."""
        client = self._transport.client
        assert client is not None
        try:
            answer = await client.request(method, url, **self._fetch_arguments(method, params, headers))
        except _FETCH_FAILURES as failure:
            raise self._sorted(failure, None) from failure
        return self._fetched(url, answer)


class BlockingExchange(_Exchange):
    """The same for threads, which may share one."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        hooks = {"response": [_refuse_bad_status]}
        self._transport = HTTPXTransport(endpoint.url, event_hooks=hooks, **self._settings())
        self._transport.connect()  # type: ignore[no-untyped-call]  # gql does not annotate it

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()  # type: ignore[no-untyped-call]  # gql does not annotate it

    def send(self, request: Prepared, headers: Mapping[str, str]) -> dict[str, Any]:
        """Return the answer with the keys `data` and, if there were errors, `errors`."""
        try:
            result = self._transport.execute(PreparedRequest(request), extra_args=self._arguments(request, headers))
        except _FAILURES as failure:
            raise self._failed(failure, request) from failure
        return self._answer(result)

    def fetch(
        self, method: str, url: str, params: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> dict[str, Any]:
        """Return the JSON object that an address other than the API's own answers with."""
        client = self._transport.client
        assert client is not None
        try:
            answer = client.request(method, url, **self._fetch_arguments(method, params, headers))
        except _FETCH_FAILURES as failure:
            raise self._sorted(failure, None) from failure
        return self._fetched(url, answer)
