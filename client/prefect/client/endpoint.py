"""Where the API is and how to speak to it: addresses, credentials, headers and times, from arguments or settings.

Pure apart from reading `prefect.config` and the environment; raises `ClientError` for a URL that cannot be one.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from prefect._version import __version__
from prefect.configuration import Config, config
from prefect.exceptions import ClientError

__all__ = ["AGENT_ID_HEADER", "CLAIM_TOKEN_HEADER", "HEARTBEAT_HEADER", "Endpoint", "resolve"]

VERSION_HEADER = "X-PREFECT-CORE-VERSION"
TENANT_HEADER = "X-PREFECT-TENANT-ID"
AGENT_ID_HEADER = "X-PREFECT-AGENT-ID"
CLAIM_TOKEN_HEADER = "X-PREFECT-CLAIM-TOKEN"  # noqa: S105 - the name of a header, not a secret
HEARTBEAT_HEADER = "X-PREFECT-HEARTBEAT-ID"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One API: its `url` without trailing slash, who says so (`setting`), and the `timeout` of an attempt in s."""

    url: str
    setting: str
    api_key: str | None
    tenant_id: str | None
    timeout: float

    @property
    def websocket_url(self) -> str:
        """The same address for subscriptions."""
        return f"ws{self.url.removeprefix('http')}"

    def headers(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the headers of every request, then `extra`."""
        headers = {VERSION_HEADER: __version__}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
            if self.tenant_id:
                headers[TENANT_HEADER] = self.tenant_id
        return headers | dict(extra or {})


def _origin(given: str | None) -> str:
    if given:
        return "the address that was given"
    for name in ("PREFECT__CLOUD__API", "PREFECT__SERVER__ENDPOINT"):
        if os.environ.get(name):
            return f"from the environment variable {name}"
    return "the setting cloud.api"


def resolve(
    url: str | None = None,
    *,
    api_key: str | None = None,
    tenant_id: str | None = None,
    timeout: float | None = None,
    settings: Config | None = None,
) -> Endpoint:
    """Return the endpoint that the arguments, and for missing ones the settings, describe.

    Raises `ClientError` if the URL is not one of HTTP.
    """
    cloud = (settings or config)["cloud"]
    address = str(url or cloud["api"]).strip().rstrip("/")
    origin = _origin(url)
    try:
        parts = urlsplit(address)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port  # raises for a port that is no number
    except ValueError:
        valid = False
    if not valid:
        raise ClientError(
            f"The URL of the API is {address!r} ({origin}), which is no http:// or https:// URL. "
            "Set PREFECT__CLOUD__API to one like http://localhost:4200."
        )
    return Endpoint(
        url=address,
        setting=origin,
        api_key=api_key or cloud.get("api_key") or None,
        tenant_id=tenant_id or cloud.get("tenant_id") or None,
        timeout=float(timeout if timeout is not None else cloud.get("request_timeout") or 15),
    )
