"""Who asks: from the headers of a request, or from what a websocket says when it connects."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flowstead_server.domain.caller import Caller
from flowstead_server.web.requests import BadRequest

_AGENT = "x-prefect-agent-id"
_CLAIM = "x-prefect-claim-token"
_VERSION = "x-prefect-core-version"
_MAX_VERSION = 100


def caller_of(headers: Mapping[str, str], tenant_id: UUID) -> Caller:
    """Return the caller that the headers (lower-case names) describe.

    Raises:
        BadRequest: an id in the headers is no UUID.
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
        raise BadRequest(f"The header {name.upper()} is not a UUID: {value[:80]}") from None
