"""Sessions with the API for commands: they fail within seconds, because a person waits for the answer."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prefect.client.session import Session

__all__ = ["open_session"]

_PATIENCE = 3.0


def open_session() -> "Session":
    """Return a session that gives up on an unreachable API after about three seconds."""
    from prefect.client.session import Session

    return Session(retry_for=_PATIENCE)
