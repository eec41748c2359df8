"""Who asks: from the headers of a request, or from what a websocket says when it connects.

An `Authenticate` is the one door for both: it gets the headers (lower-case names) and returns the caller, or raises
`UnauthenticatedError` with a sentence for the person who has to change something. Today everybody is let in.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

from flowstead_server.domain.caller import Caller
from flowstead_server.domain.errors import BadInputError

Authenticate = Callable[[Mapping[str, str]], Awaitable[Caller]]
"""Finds the caller. Raises UnauthenticatedError, BadInputError (a header is nonsense), ApiUnavailableError."""

_AGENT = "x-prefect-agent-id"
_CLAIM = "x-prefect-claim-token"
_VERSION = "x-prefect-core-version"
_MAX_VERSION = 100


def everybody(tenant_id: UUID) -> Authenticate:
    """Let everybody in, as a caller of one tenant."""

    async def authenticate(headers: Mapping[str, str]) -> Caller:
        return caller_of(headers, tenant_id)

    return authenticate


def caller_of(headers: Mapping[str, str], tenant_id: UUID) -> Caller:
    """Return the caller that the headers (lower-case names) describe.

    Raises:
        BadInputError: an id in the headers is no UUID.
    """
    version = headers.get(_VERSION)
    return Caller(
        tenant_id=tenant_id,
        agent_id=_id(headers, _AGENT),
        claim_token=_id(headers, _CLAIM),
        core_version=version[:_MAX_VERSION] if version else None,
    )


def headers_of_connection(params: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers in the payload of `connection_init`: its members, or those of its member `headers`."""
    nested = params.get("headers")
    found = {**params, **nested} if isinstance(nested, dict) else params
    return {name.lower(): value for name, value in found.items() if isinstance(value, str)}


def _id(headers: Mapping[str, str], name: str) -> UUID | None:
    value = headers.get(name)
    if not value:
        return None
    try:
        return UUID(value)
    except ValueError:
        raise BadInputError(f"The header {name.upper()} is not a UUID: {value[:80]}") from None
