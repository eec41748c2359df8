"""Sessions: send generated requests to the API and get typed answers back.

`Session` is for synchronous callers, from any thread, also after a fork and while the interpreter exits; it sends from
the calling thread.  Live streams come from `AsyncSession` (`prefect.client.async_session`), which says what both raise
and try again.  Neither connects before the first request.
"""

import atexit
import os
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from prefect.client import bridge
from prefect.client.async_session import AsyncSession, checked, parsed
from prefect.client.endpoint import Endpoint, resolve
from prefect.client.prepared import Prepared
from prefect.client.request import Request
from prefect.client.retries import Attempts, Patience, RetryPolicy, TransientError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from prefect.client.plain_http import PlainExchange
    from prefect.client.transport import BlockingExchange

    Exchange = PlainExchange | BlockingExchange

__all__ = ["AsyncSession", "Session"]

R = TypeVar("R")
_sessions: "weakref.WeakSet[Session]" = weakref.WeakSet()
# Connections of a parent process: kept, so that nothing finalises them in its child.
_abandoned: "list[Exchange]" = []
_is_exiting = False


def _exchange(endpoint: Endpoint) -> "Exchange":
    from prefect.client.plain_http import PlainExchange, is_plain  # noqa: PLC0415 - programs without requests need none

    if is_plain(endpoint.url):
        return PlainExchange(endpoint)
    from prefect.client.transport import BlockingExchange  # noqa: PLC0415 - imports gql, which takes a while

    return BlockingExchange(endpoint)


class Session:
    """The same for synchronous callers; one may be shared by threads.  Arguments as for `AsyncSession`."""

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
        self._retry_for = retry_for
        self._policy = RetryPolicy.from_settings().limited_to(retry_for)
        self._exchange: Exchange | None = None
        self._owner = 0
        self._streaming: AsyncSession | None = None
        self._generation = -1
        self._closer: object = None
        _sessions.add(self)

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        self.close()

    def attach_headers(self, headers: Mapping[str, str]) -> None:
        """Send these headers with every later request."""
        self._headers.update(headers)
        if self._streaming is not None:
            self._streaming.attach_headers(headers)

    def asynchronous(self) -> AsyncSession:
        """Return a new asynchronous session to the same API; whoever asked for it closes it."""
        session = AsyncSession(
            self.endpoint.url,
            api_key=self.endpoint.api_key,
            tenant_id=self.endpoint.tenant_id,
            headers=self._headers,
            timeout=self.endpoint.timeout,
            retry_for=self._retry_for,
        )
        session.endpoint = self.endpoint  # it knows where the address comes from
        return session

    def _for_streams(self) -> AsyncSession:
        # A race of two threads makes one session too many, which is closed with the loop: cheaper than a lock.
        session = self._streaming
        if session is None or self._generation != bridge.generation():
            session = self.asynchronous()
            self._generation = bridge.generation()
            self._closer = bridge.on_close(session.close)
            self._streaming = session
        return session

    def _opened(self) -> "Exchange":
        # As above; and what belongs to a parent process is left alone.
        exchange = self._exchange
        if exchange is None or self._owner != os.getpid():
            if exchange is not None:
                _abandoned.append(exchange)
            exchange = _exchange(self.endpoint)
            self._owner = os.getpid()
            self._exchange = exchange
        return exchange

    def _tried(
        self,
        attempt_once: "Callable[[Exchange], R]",
        *,
        retry: bool,
        retry_for: float | None,
        patience: Patience | None = None,
    ) -> R:
        attempts = Attempts(self._policy.limited_to(retry_for), retry=retry, patience=patience)
        try:
            while True:
                try:
                    answer = attempt_once(self._opened())
                except TransientError as problem:
                    pause = attempts.pause_after(problem)
                else:
                    attempts.succeeded()
                    return answer
                attempts.sleep(pause)
        finally:
            if _is_exiting:
                self.close()

    def execute(
        self,
        request: Request[R],
        *,
        headers: Mapping[str, str] | None = None,
        retry: bool = True,
        retry_for: float | None = None,
        patience: Patience | None = None,
    ) -> R:
        """Send a query or mutation and return its typed answer; as `AsyncSession.execute`.

        `patience` says how long to wait for an API that is away, instead of `retry_for`.
        """
        answer = self.send(
            request.document,
            request.variables,
            name=request.name,
            headers=headers,
            retry=retry,
            retry_for=retry_for,
            patience=patience,
        )
        return parsed(request, answer["data"])

    def execute_text(
        self,
        document: str,
        variables: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        retry: bool = True,
    ) -> dict[str, Any]:
        """Send GraphQL text and return the answer's `data` as it came."""
        data = self.send(document, variables or {}, headers=headers, retry=retry)["data"]
        return data if isinstance(data, dict) else {}

    def send(
        self,
        document: str,
        variables: Mapping[str, Any],
        *,
        name: str | None = None,
        headers: Mapping[str, str] | None = None,
        retry: bool = True,
        retry_for: float | None = None,
        raise_errors: bool = True,
        patience: Patience | None = None,
    ) -> dict[str, Any]:
        """Send GraphQL text and return the whole answer; as `AsyncSession.send`."""
        request = Prepared(document, name, variables)
        everything = self.endpoint.headers({**self._headers, **(headers or {})})
        return self._tried(
            lambda exchange: checked(exchange.send(request, everything), raise_errors=raise_errors),
            retry=retry,
            retry_for=retry_for,
            patience=patience,
        )

    def fetch(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        retry: bool = True,
    ) -> dict[str, Any]:
        """Ask another address than the API's own; as `AsyncSession.fetch`."""
        everything = self.endpoint.headers({**self._headers, **(headers or {})})
        return self._tried(
            lambda exchange: exchange.fetch(method, url, params, everything), retry=retry, retry_for=None
        )

    def subscribe(self, request: Request[R], *, headers: Mapping[str, str] | None = None) -> Iterator[R]:
        """Yield every event of a subscription until the API completes it; as `AsyncSession.subscribe`."""
        return bridge.iterate(self._for_streams().subscribe(request, headers=headers))

    def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None and self._owner == os.getpid():
            exchange.close()
        session, self._streaming = self._streaming, None
        self._closer = None
        if session is not None and self._generation == bridge.generation() and not bridge.closed():
            bridge.run(session.close())


def _at_exit() -> None:
    global _is_exiting  # noqa: PLW0603 - the process exits once
    _is_exiting = True
    for session in list(_sessions):
        session.close()


atexit.register(_at_exit)
