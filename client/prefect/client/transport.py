"""One exchange over HTTP: gql's transports, with its failures sorted.

This module imports gql, graphql and httpx (about 0.2 s), so sessions import it when the first request is sent.  It
retries nothing.  Failures are `TransientError` if another attempt may help, else a `ClientError` (or
`VersionLockMismatchSignal`) that says it in a sentence.
"""

import logging
import os
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
from prefect.client.errors import (
    ApiError,
    ApiUnreachable,
    MalformedAnswerError,
)
from prefect.client.retries import TransientError
from prefect.exceptions import AuthorizationError, ClientError

try:  # gql prefers the successor of httpx where it is installed
    import httpx2 as httpx  # type: ignore[import-not-found, unused-ignore]
except ModuleNotFoundError:
    import httpx

__all__ = ["BlockingExchange", "HttpExchange", "PreparedRequest", "system_reason"]

RETRYABLE_STATUS = frozenset({500, 502, 503, 504})
_BAD_REQUEST = 400
TOO_MANY_REQUESTS = 429
_TOO_LARGE = 413
# For plain HTTP, where httpx would make one for every client: it trusts nobody, and making it takes milliseconds.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class PreparedRequest(GraphQLRequest):
    """A request whose text is sent as it is: parsing and printing it again would cost more than sending it."""

    def __init__(self, document: str, operation_name: str | None, variables: Mapping[str, Any]) -> None:
        self._text = document
        self.operation_name = operation_name
        self.variable_values = dict(variables)
        self.extensions = None

    @property
    def payload(self) -> dict[str, Any]:
        """What goes over the wire."""
        payload: dict[str, Any] = {"query": self._text, "variables": self.variable_values}
        if self.operation_name:
            payload["operationName"] = self.operation_name
        return payload

    def simplified(self) -> "PreparedRequest":
        """Return the same request with variables that the standard library can write as JSON."""
        return PreparedRequest(self._text, self.operation_name, loads(dumps(self.variable_values)))


class _HttpStatusError(Exception):
    """The answer has a status of 300 or more."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(str(response.status_code))
        self.status = response.status_code
        self.location = response.headers.get("location", "")
        self.retry_after = _seconds(response.headers.get("retry-after"))
        try:
            body = loads(response.content)
        except ValueError:
            body = None
        self.errors = body.get("errors") if isinstance(body, dict) else None


def _seconds(text: str | None) -> float | None:
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:  # the header may hold a date; no API of ours sends one
        return None


async def _refuse_bad_status_async(response: httpx.Response) -> None:
    if response.status_code >= httpx.codes.MULTIPLE_CHOICES:
        await response.aread()
        raise _HttpStatusError(response)


def _refuse_bad_status(response: httpx.Response) -> None:
    if response.status_code >= httpx.codes.MULTIPLE_CHOICES:
        response.read()
        raise _HttpStatusError(response)


class _Exchange:
    """What asynchronous and blocking exchanges share: what is sent, and what came of it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        logger = logging.getLogger("httpx")
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)  # it reports every request at INFO, in the middle of a run's log

    def _settings(self) -> dict[str, Any]:
        return {
            "json_deserialize": loads,
            "timeout": httpx.Timeout(self._endpoint.timeout),
            "verify": True if self._endpoint.url.startswith("https:") else _NO_TLS,
        }

    def _arguments(self, request: PreparedRequest, headers: Mapping[str, str]) -> dict[str, Any]:
        return {"content": dumps(request.payload), "headers": {**headers, "Content-Type": "application/json"}}

    def _answer(self, result: ExecutionResult) -> dict[str, Any]:
        answer: dict[str, Any] = {"data": result.data}
        if result.errors is not None:
            answer["errors"] = result.errors
        return answer

    def _failed(self, failure: TransportError, request: PreparedRequest) -> Exception:
        if isinstance(failure, TransportConnectionFailed):
            return self._sorted(failure.__cause__ or failure, request)
        return MalformedAnswerError(
            f"Malformed response received from API. What answers at {self._endpoint.url} "
            f"({self._endpoint.setting}) does not speak GraphQL."
        )

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

    def _unreachable(self, reason: str) -> ApiUnreachable:
        return ApiUnreachable(self._endpoint.url, reason, self._endpoint.setting)

    def _sorted(self, cause: BaseException, request: PreparedRequest | None) -> Exception:  # noqa: PLR0911 - a table of cases
        if isinstance(cause, _HttpStatusError):
            return self._sorted_status(cause, request)
        if isinstance(cause, (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL)):
            return ClientError(f"The request to {self._endpoint.url} cannot be sent: {cause}")
        if isinstance(cause, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
            reason = "no connection in time" if isinstance(cause, httpx.TimeoutException) else system_reason(cause)
            return TransientError(self._unreachable(reason), sent=False)
        if isinstance(cause, httpx.TimeoutException):
            return TransientError(self._unreachable(f"no answer within {self._endpoint.timeout:g} s"))
        if isinstance(cause, httpx.TransportError):
            return TransientError(self._unreachable(system_reason(cause)))
        if isinstance(cause, Exception):
            return cause  # a mistake in the program, such as a header that is no string
        return ClientError(str(cause))

    def _sorted_status(self, cause: _HttpStatusError, request: PreparedRequest | None) -> Exception:
        url, setting, status = self._endpoint.url, self._endpoint.setting, cause.status
        if status == TOO_MANY_REQUESTS:
            error = ClientError(f"The API at {url} limits the rate of requests; try again later.")
            return TransientError(error, rate_limited=True, retry_after=cause.retry_after)
        if status in RETRYABLE_STATUS:
            words = f": {cause.errors[0].get('message')}" if cause.errors else ""
            return TransientError(
                self._unreachable(f"it answers with HTTP status {status}{words}"), retry_after=cause.retry_after
            )
        if status == _BAD_REQUEST and isinstance(cause.errors, list):
            return ApiError(cause.errors, status=status)
        if status in {401, 403}:
            return AuthorizationError(f"The API at {url} refuses the request with HTTP status {status}.")
        if status == _TOO_LARGE and request is not None:
            size = len(dumps(request.payload))
            return ClientError(f"A request of {size:,} bytes is larger than the API at {url} accepts.")
        where = f" to {cause.location}; use that address" if cause.location else ""
        return MalformedAnswerError(
            f"What answers at {url} ({setting}) is no Prefect API: it answers with HTTP status {status}{where}."
        )


_FAILURES = (TransportConnectionFailed, TransportProtocolError)
_FETCH_FAILURES = (httpx.HTTPError, httpx.InvalidURL, _HttpStatusError)


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

    async def send(self, request: PreparedRequest, headers: Mapping[str, str]) -> dict[str, Any]:
        """Return the answer with the keys `data` and, if there were errors, `errors`."""
        try:
            result = await self._transport.execute(request, extra_args=self._arguments(request, headers))
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

    def send(self, request: PreparedRequest, headers: Mapping[str, str]) -> dict[str, Any]:
        """Return the answer with the keys `data` and, if there were errors, `errors`."""
        try:
            result = self._transport.execute(request, extra_args=self._arguments(request, headers))
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


def system_reason(cause: BaseException) -> str:
    """Return the reason in the operating system's words, which httpx hides behind "All connection attempts failed"."""
    seen: BaseException | None = cause
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno:
            words = os.strerror(seen.errno) if seen.errno > 0 else str(seen.strerror)
            return words[:1].lower() + words[1:]
        seen = seen.__cause__ or seen.__context__
    return str(cause) or type(cause).__name__
