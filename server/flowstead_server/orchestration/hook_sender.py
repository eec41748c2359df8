"""Sends the requests of cloud hooks. Other systems are never trusted: no redirects, a deadline, no body kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from flowstead_server.domain.errors import FlowsteadError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx

    from flowstead_server.domain.hooks import HookRequest


class DeliveryError(FlowsteadError):
    """The other system could not be reached in time, or did not accept the event."""

    code = "DELIVERY_FAILED"


async def send(requests: Sequence[HookRequest]) -> None:
    """Send requests one after the other. Raises DeliveryError at the first that fails."""
    import httpx  # noqa: PLC0415 - slow to load, and a server seldom needs it

    async with httpx.AsyncClient(follow_redirects=False, trust_env=False) as client:
        for request in requests:
            await _send(client, request)


async def _send(client: httpx.AsyncClient, request: HookRequest) -> None:
    import httpx  # noqa: PLC0415 - as above

    try:
        # httpx bounds each step only, and a server that answers byte by byte takes many
        async with (
            asyncio.timeout(request.timeout),
            client.stream(
                "POST",
                request.url,
                json=request.json,
                data=request.form,
                headers=request.headers,
                auth=request.basic_auth,
                timeout=request.timeout,
            ) as response,
        ):
            status = response.status_code
    except (TimeoutError, httpx.TimeoutException):
        raise DeliveryError(f"The hook's receiver did not answer within {request.timeout:g} seconds.") from None
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise DeliveryError(f"The hook's receiver cannot be reached: {reason[:200]}.") from error
    if not httpx.codes.is_success(status):
        raise DeliveryError(f"The hook's receiver refused the event with the status {status}.")
