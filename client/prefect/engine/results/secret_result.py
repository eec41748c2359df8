"""The value of a secret task: never kept, fetched again from where the secret lives."""

from typing import Any

from prefect.engine.result.base import Result

__all__ = ["SecretResult"]


class SecretResult(Result):
    """Knows the secret task that can fetch the value again; writing raises `ValueError`."""

    def __init__(self, secret_task: Any, **kwargs: Any) -> None:
        kwargs["location"] = secret_task.name
        self.secret_type = type(secret_task)
        self._task = secret_task
        super().__init__(**kwargs)

    def read(self, location: str) -> Result:
        """Return a copy whose value is that of the secret named `location`."""
        new = self.copy()
        new.location = location
        new.value = self._task.run(name=location)
        return new

    def write(self, value_: Any, **kwargs: Any) -> Result:
        """Raise `ValueError`: secrets are not written."""
        raise ValueError("SecretResults cannot be written to.")

    def exists(self, location: str, **kwargs: Any) -> bool:
        """Return True: whether the secret exists is known when it is read."""
        return True
