"""`Secret`: a value by name, from the context, the settings or the API."""

import json
from typing import Any

from prefect.configuration import config
from prefect.exceptions import ClientError
from prefect.utilities.context import context

__all__ = ["Secret"]


class Secret:
    """A named secret, looked up where and when it is needed: in `prefect.context.secrets`, then in the API.

    The API is asked only under the backend "cloud" with `cloud.use_local_secrets` off.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def exists(self) -> bool:
        """Return whether the secret has a value."""
        return self.get_or_none() is not None

    def get_or_none(self) -> Any:
        """Return the value, or None if there is none."""
        try:
            return self.get()
        except (ValueError, KeyError, ClientError):
            return None

    def get(self) -> Any:
        """Return the value; a string that is JSON is decoded.

        Raises `ValueError` while a flow is built and for an unknown local secret, `KeyError` for one that the API does
        not know.
        """
        if context.get("flow") is not None:
            raise ValueError("Secrets should only be retrieved during a Flow run, not while building a Flow.")
        secrets = context.get("secrets") or {}
        if self.name in secrets:
            return _decoded(secrets[self.name])
        settings = context.get("config") or config
        if settings.backend == "server" or settings.cloud.use_local_secrets:
            raise ValueError(f'Local Secret "{self.name}" was not found.')
        from prefect.client import Client  # noqa: PLC0415 - most secrets are local

        answer = Client().graphql("query($name: String!) { secret_value(name: $name) }", variables={"name": self.name})
        value = answer.data.secret_value
        if value is None:
            raise KeyError(f"The secret {self.name} was not found.  Please ensure that it was set correctly.")
        return _decoded(value)

    def __repr__(self) -> str:
        return f"<Secret: {self.name}>"


def _decoded(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
