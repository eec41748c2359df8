"""The base of secret tasks, and the one that asks `Secret`."""

from typing import Any

from prefect.core.task import Task
from prefect.engine.results.secret_result import SecretResult
from prefect.utilities.secrets import Secret

__all__ = ["PrefectSecret", "SecretBase"]


class SecretBase(Task):
    """A task whose value is fetched again on every pass instead of being kept.

    Raises `ValueError` if it is given a result.
    """

    # The engine runs finished tasks of this kind again, because their values were not kept.
    is_secret = True

    def __init__(self, **kwargs: Any) -> None:
        if kwargs.get("result"):
            raise ValueError("Result types for Secrets are not configurable.")
        kwargs["checkpoint"] = False
        super().__init__(**kwargs)
        self.result = SecretResult(secret_task=self)


class PrefectSecret(SecretBase):
    """Gives the secret `name`, which is also the name of the task."""

    def __init__(self, name: str | None = None, **kwargs: Any) -> None:
        self.secret_name = name
        super().__init__(name=name, **kwargs)

    def run(self, name: str | None = None) -> Any:
        """Return the value; raises `ValueError` without a name."""
        chosen = name if name is not None else self.secret_name
        if chosen is None:
            raise ValueError("A secret name must be provided.")
        return Secret(chosen).get()
