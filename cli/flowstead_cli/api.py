"""Sessions with the API for commands: they fail within seconds, because a person waits for the answer.

Key and tenant come from the settings, else from what `prefect auth` remembered for that API.
"""

from typing import TYPE_CHECKING

from flowstead_cli.errors import CliError

if TYPE_CHECKING:
    from prefect.client.session import Session

__all__ = ["open_session"]

_PATIENCE = 3.0


def open_session() -> "Session":
    """Return a session that gives up on an unreachable API after about three seconds.

    Raises:
        CliError: the file with the remembered keys cannot be read.
        prefect.exceptions.ClientError: the configured URL cannot be one.
    """
    from prefect.client.auth import load_auth
    from prefect.client.endpoint import resolve
    from prefect.client.session import Session

    endpoint = resolve()
    try:
        remembered = {} if endpoint.api_key and endpoint.tenant_id else load_auth(endpoint.url)
    except (OSError, ValueError) as error:
        raise CliError(f"The remembered API keys cannot be read: {error}") from None
    return Session(
        api_key=endpoint.api_key or remembered.get("api_key"),
        tenant_id=endpoint.tenant_id or remembered.get("tenant_id"),
        retry_for=_PATIENCE,
    )
