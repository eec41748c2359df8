"""Sessions with the API for commands: they fail within seconds, because a person waits for the answer.

Key and tenant come from the settings, else from what `prefect auth` remembered for that API.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowstead_cli.errors import CliError

if TYPE_CHECKING:
    from prefect.client.session import Session

__all__ = ["Access", "access", "open_session", "remember"]

_PATIENCE = 3.0


@dataclass(frozen=True, slots=True)
class Access:
    """The API that commands talk to, and as whom: what the settings say wins over what `prefect auth` remembered."""

    url: str
    configured_key: str | None = None
    configured_tenant_id: str | None = None
    remembered_key: str | None = None
    remembered_tenant_id: str | None = None

    @property
    def api_key(self) -> str | None:
        """The key in force."""
        return self.configured_key or self.remembered_key

    @property
    def tenant_id(self) -> str | None:
        """The tenant in force; None is the key's own."""
        return self.configured_tenant_id or self.remembered_tenant_id


def access() -> Access:
    """Return the API and the credentials that are in force.

    Raises:
        CliError: the file with the remembered credentials cannot be read.
        prefect.exceptions.ClientError: the configured URL cannot be one.
    """
    from prefect.client.auth import load_auth
    from prefect.client.endpoint import resolve

    endpoint = resolve()
    try:
        remembered = load_auth(endpoint.url)
    except (OSError, ValueError) as error:
        raise CliError(f"The remembered API keys cannot be read: {error}") from None
    return Access(
        endpoint.url, endpoint.api_key, endpoint.tenant_id, remembered.get("api_key"), remembered.get("tenant_id")
    )


def remember(url: str, *, api_key: str | None, tenant_id: str | None) -> None:
    """Remember a key and a tenant for an API, or forget what is None.

    Raises:
        CliError: the file cannot be read or written.
    """
    from prefect.client.auth import save_auth

    try:
        save_auth(url, api_key=api_key, tenant_id=tenant_id)
    except (OSError, ValueError) as error:
        raise CliError(f"The API key cannot be remembered: {error}") from None


def open_session(*, api_key: str | None = None) -> "Session":
    """Return a session that gives up on an unreachable API after about three seconds.

    Args:
        api_key: in place of the key that is in force, and then without its tenant.

    Raises:
        CliError: the file with the remembered credentials cannot be read.
        prefect.exceptions.ClientError: the configured URL cannot be one.
    """
    from prefect.client.session import Session

    current = access()
    return Session(
        api_key=api_key or current.api_key,
        tenant_id=None if api_key else current.tenant_id,
        retry_for=_PATIENCE,
    )
