"""`Secret`: a value by name, from the context, the settings or the API."""

import json
from typing import Any

from prefect.configuration import config
from prefect.exceptions import ClientError, ObjectNotFoundError
from prefect.utilities.context import context

__all__ = ["Secret"]


class Secret:
    """A named secret, looked up where and when it is needed: in `prefect.context.secrets`, then in the API.

    The API is asked only with the setting `cloud.use_local_secrets` off, as it is in runs that agents start.
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

        Raises `ValueError` while a flow is built and for an unknown secret, with the backend "cloud" `KeyError` for one
        that the API does not know, and `ClientError` if the API cannot be asked.
        """
        if context.get("flow") is not None:
            raise ValueError("Secrets should only be retrieved during a Flow run, not while building a Flow.")
        secrets = context.get("secrets") or {}
        if self.name in secrets:
            return _decoded(secrets[self.name])
        settings = context.get("config") or config
        if settings.cloud.use_local_secrets:
            raise ValueError(f'Local Secret "{self.name}" was not found.')
        from prefect._generated import operations as ops  # noqa: PLC0415 - most secrets are local
        from prefect.client import Client  # noqa: PLC0415 - as above

        try:
            value = Client().execute(ops.secret_value(name=self.name))
        except ObjectNotFoundError:
            value = None
        if value is None:
            if settings.backend == "server":
                raise ValueError(f'Local Secret "{self.name}" was not found, and the API has no secret of this name.')
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
