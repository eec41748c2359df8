"""Sends the requests of cloud hooks.

Other systems are never trusted: no redirects, no proxies of the environment, a deadline for all of it, no body kept.
The connection goes to an address that has been checked, not to a name that could mean another one a moment later.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from flowstead_server.domain.addresses import literal_address
from flowstead_server.domain.errors import FlowsteadError
from flowstead_server.domain.hook_rules import HookRules
from flowstead_server.domain.hooks import SIGNATURE_HEADER, signature
from flowstead_server.orchestration.lookups import Lookups

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    import httpx

    from flowstead_server.db import Database
    from flowstead_server.domain.hooks import HookRequest

_DEADLINE_SECONDS: Final = 40.0
_MOST_ADDRESSES: Final = 4
_MOST_ERROR: Final = 200


class DeliveryError(FlowsteadError):
    """The other system could not be reached in time, or did not accept the event.

    `wanted_pause`: how long it asks to be left alone.
    """

    code = "DELIVERY_FAILED"

    def __init__(self, message: str, wanted_pause: timedelta = timedelta(0)) -> None:
        super().__init__(message)
        self.wanted_pause = wanted_pause


class HookSender:
    """Sends for one server process, by its rules. Get it with `database.part(HookSender)`."""

    def __init__(self, _database: Database) -> None:
        self.rules = HookRules()
        self._lookups = Lookups()
        self._tls: asyncio.Future[ssl.SSLContext] | None = None

    @asynccontextmanager
    async def deadline(self) -> AsyncIterator[None]:
        """Bound the requests of one event together, which may be many. Raises DeliveryError."""
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                yield
        except TimeoutError:
            raise DeliveryError(f"The hook's receivers did not answer within {_DEADLINE_SECONDS:g} seconds.") from None

    async def send(self, request: HookRequest) -> None:
        """Send one request. Raises DeliveryError."""
        if self._tls is None:
            # takes long enough, the first time, to hold up others
            self._tls = asyncio.ensure_future(asyncio.to_thread(_tls_context))
        tls = await asyncio.shield(self._tls)
        import httpx  # noqa: PLC0415 - slow to load, and a server seldom needs it

        try:
            # httpx bounds each step only, and a server that answers byte by byte takes many
            async with asyncio.timeout(request.timeout):
                answer = await self._send(request, tls)
        except (TimeoutError, httpx.TimeoutException):
            raise DeliveryError(f"The hook's receiver did not answer within {request.timeout:g} seconds.") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise DeliveryError(f"The hook's receiver cannot be reached: {reason[:_MOST_ERROR]}.") from error
        if not answer.is_success:
            raise DeliveryError(
                f"The hook's receiver refused the event with the status {answer.status_code}.",
                _wanted_pause(answer.headers.get("Retry-After", "")),
            )

    async def _send(self, request: HookRequest, tls: ssl.SSLContext) -> httpx.Response:
        import httpx  # noqa: PLC0415 - as above

        url = httpx.URL(request.url)
        addresses = await self._addresses(url)
        headers = {"User-Agent": "Flowstead", **request.headers, "Host": url.netloc.decode("ascii")}
        if request.secret is not None:
            headers[SIGNATURE_HEADER] = signature(request.secret, request.body, int(time.time()))
        # A client for each request: a connection that was checked for one name must not serve another one.
        async with httpx.AsyncClient(verify=tls, follow_redirects=False, trust_env=False) as client:
            for number, address in enumerate(addresses, start=1):
                try:
                    async with client.stream(
                        "POST",
                        url.copy_with(host=address),
                        content=request.body,
                        headers=headers,
                        auth=request.basic_auth,
                        timeout=httpx.Timeout(request.timeout, connect=request.timeout / len(addresses)),
                        # the name that the certificate has to be for
                        extensions={"sni_hostname": url.raw_host.decode("ascii")},
                    ) as response:
                        return response
                except (httpx.ConnectError, httpx.ConnectTimeout):
                    if number == len(addresses):
                        raise
        raise AssertionError("unreachable")

    async def _addresses(self, url: httpx.URL) -> list[str]:
        host = url.raw_host.decode("ascii")
        literal = literal_address(host)
        port = url.port or (443 if url.scheme == "https" else 80)
        found = [literal] if literal is not None else await self._lookups.addresses(host, port)
        allowed = [address for address in found if self.rules.addresses.allow(host, address)]
        if not allowed:
            raise DeliveryError(
                f"The hook's receiver {host[:80]} has an address of this machine or of a private network, which is "
                "refused. Whoever runs the server can allow it with PREFECT__SERVER__HOOKS__ALLOWED_HOSTS."
            )
        return allowed[:_MOST_ADDRESSES]


def _tls_context() -> ssl.SSLContext:
    import httpx  # noqa: PLC0415 - as above

    return httpx.create_ssl_context()


def _wanted_pause(header: str) -> timedelta:
    # a date is also possible, but rare, and then the usual pause will do
    return timedelta(seconds=int(header[:8])) if header.isascii() and header.isdecimal() else timedelta(0)
