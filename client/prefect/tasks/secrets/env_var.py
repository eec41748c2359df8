"""Secrets in environment variables of the process that runs the task."""

import os
from collections.abc import Callable
from typing import Any

from prefect.tasks.secrets.base import SecretBase

__all__ = ["EnvVarSecret"]


class EnvVarSecret(SecretBase):
    """Gives the environment variable `name`, through `cast` if given; None, or an error, if it is missing."""

    def __init__(
        self,
        name: str | None = None,
        cast: Callable[[str], Any] | None = None,
        raise_if_missing: bool = False,
        **kwargs: Any,
    ) -> None:
        self.variable = name
        self.cast = cast
        self.raise_if_missing = raise_if_missing
        super().__init__(name=name, **kwargs)

    def run(self, name: str | None = None) -> Any:
        """Return the value; raises `ValueError` without a name, or if the variable must exist and does not."""
        chosen = name if name is not None else self.variable
        if chosen is None:
            raise ValueError("A secret name must be provided.")
        if chosen not in os.environ:
            if self.raise_if_missing:
                raise ValueError(f"Environment variable not set: {chosen}")
            return None
        value = os.environ[chosen]
        return self.cast(value) if self.cast is not None else value
