"""`AsyncSession`: generated requests sent from one event loop, with typed answers.

It does not connect before the first request.  Connection errors, HTTP 429 and 5xx and the error code API_ERROR are
tried again with growing pauses for `retry_for` seconds (60 by default; 0 tries once).  What remains is raised as a
`prefect.exceptions.ClientError`: `ApiUnreachable`, `AuthorizationError`, `ObjectNotFoundError`, `ApiError`; a refused
version or claim token raises `VersionLockMismatchSignal`.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

from prefect.client.endpoint import Endpoint, resolve
from prefect.client.errors import ApiError, MalformedAnswerError, error_from_answer
from prefect.client.prepared import Prepared
from prefect.client.request import Request
from prefect.client.retries import Attempts, RetryPolicy, TransientError
from prefect.exceptions import ClientError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from prefect.client.transport import HttpExchange

__all__ = ["AsyncSession", "checked", "parsed"]

R = TypeVar("R")


def parsed(request: Request[R], data: Mapping[str, Any] | None) -> R:
    """Return the typed answer to a request; raises `MalformedAnswerError` if it is not one."""
    try:
        return request.parse(data if data is not None else {})
    except ClientError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MalformedAnswerError(
            f"The API's answer to {request.name} is not what this client expects ({type(error).__name__}: {error}); "
            "do client and server have the same version?"
        ) from error


def checked(answer: dict[str, Any], *, raise_errors: bool) -> dict[str, Any]:
    """Return an answer; raises what its errors mean unless `raise_errors` is false."""
    errors = answer.get("errors")
    if errors is None or not raise_errors:
        return answer
    error = error_from_answer(errors)
    if isinstance(error, ApiError) and "API_ERROR" in str(errors):
        raise TransientError(error)
    raise error


class AsyncSession:
    """One API, from one event loop: `async with AsyncSession() as session: await session.execute(ops.hello())`.

    Missing arguments come from the settings `cloud.api`, `cloud.api_key`, `cloud.tenant_id` and
    `cloud.request_timeout`.  `timeout` is for one attempt, `retry_for` for all of them, both in seconds.
    Raises `ClientError` for a URL that cannot be one.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        tenant_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        retry_for: float | None = None,
    ) -> None:
        self.endpoint: Endpoint = resolve(url, api_key=api_key, tenant_id=tenant_id, timeout=timeout)
        self._headers = dict(headers or {})
        self._policy = RetryPolicy.from_settings().limited_to(retry_for)
        self._exchange: HttpExchange | None = None

    async def __aenter__(self) -> "Self":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        await self.close()

    def attach_headers(self, headers: Mapping[str, str]) -> None:
        """Send these headers with every later request."""
        self._headers.update(headers)

    async def execute(
        self,
        request: Request[R],
        *,
        headers: Mapping[str, str] | None = None,
        retry: bool = True,
        retry_for: float | None = None,
    ) -> R:
        """Send a query or mutation and return its typed answer.

        `retry=False` sends it again only if the API cannot have seen it; `retry_for`, in seconds, replaces the
        session's.
        """
        answer = await self.send(
            request.document, request.variables, name=request.name, headers=headers, retry=retry, retry_for=retry_for
        )
        return parsed(request, answer["data"])

    async def execute_text(
        self,
        document: str,
        variables: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        retry: bool = True,
    ) -> dict[str, Any]:
        """Send GraphQL text and return the answer's `data` as it came."""
        data = (await self.send(document, variables or {}, headers=headers, retry=retry))["data"]
        return data if isinstance(data, dict) else {}

    async def send(
        self,
        document: str,
        variables: Mapping[str, Any],
        *,
        name: str | None = None,
        headers: Mapping[str, str] | None = None,
        retry: bool = True,
        retry_for: float | None = None,
        raise_errors: bool = True,
    ) -> dict[str, Any]:
        """Send an operation and return `{"data": …}`, with `errors` beside it if `raise_errors` is false."""
        request = Prepared(document, name, variables)
        return await self._tried(
            lambda: self._attempt(request, headers, raise_errors=raise_errors), retry=retry, retry_for=retry_for
        )

    async def fetch(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        retry: bool = True,
    ) -> dict[str, Any]:
        """Ask another address than the API's own, with its credentials, and return the JSON object that it answers.

        `params` are those of the query string for GET, else the body.
        """

        async def attempt() -> dict[str, Any]:
            exchange = await self._opened()
            return await exchange.fetch(
                method, url, params, self.endpoint.headers({**self._headers, **(headers or {})})
            )

        return await self._tried(attempt, retry=retry, retry_for=None)

    async def _tried(
        self, attempt_once: Callable[[], Coroutine[Any, Any, R]], *, retry: bool, retry_for: float | None
    ) -> R:
        attempts = Attempts(self._policy.limited_to(retry_for), retry=retry)
        while True:
            try:
                return await attempt_once()
            except TransientError as problem:
                pause = attempts.pause_after(problem)
            await asyncio.sleep(pause)

    async def _opened(self) -> "HttpExchange":
        if self._exchange is None:
            from prefect.client.transport import HttpExchange  # noqa: PLC0415 - imports gql, which takes a while

            exchange = HttpExchange(self.endpoint)
            await exchange.open()
            self._exchange = exchange
        return self._exchange

    async def _attempt(
        self, request: Prepared, headers: Mapping[str, str] | None, *, raise_errors: bool
    ) -> dict[str, Any]:
        exchange = await self._opened()
        answer = await exchange.send(request, self.endpoint.headers({**self._headers, **(headers or {})}))
        return checked(answer, raise_errors=raise_errors)

    async def subscribe(
        self, request: Request[R], *, headers: Mapping[str, str] | None = None
    ) -> AsyncGenerator[R, None]:
        """Yield every event of a subscription until the API completes it; one connection, and no second attempt.

        Raises `SubscriptionLost` if the connection breaks and `SubscriptionsUnavailable` if there are no websockets.
        """
        from prefect.client.streams import stream  # noqa: PLC0415 - imports gql, which takes a while

        prepared = Prepared(request.document, request.name, request.variables)
        everything = self.endpoint.headers({**self._headers, **(headers or {})})
        async with aclosing(stream(self.endpoint, prepared, everything)) as events:
            async for data in events:
                yield parsed(request, data)

    async def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            await exchange.close()
