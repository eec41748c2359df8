"""The value of a constant input: known when the flow is built, never written."""

from typing import Any

from prefect.engine.result.base import Result

__all__ = ["ConstantResult"]


class ConstantResult(Result):
    """Holds a constant; reading gives it back, writing raises `ValueError`."""

    def __init__(self, **kwargs: Any) -> None:
        if "serializer" in kwargs:
            raise ValueError("Can't pass a serializer to a `ConstantResult`.")
        super().__init__(**kwargs)

    def read(self, location: str) -> Result:
        """Return itself."""
        return self

    def write(self, value_: Any, **kwargs: Any) -> Result:
        """Raise `ValueError`: constants are not written."""
        raise ValueError("Cannot write values to `ConstantResult` types.")

    def exists(self, location: str, **kwargs: Any) -> bool:
        """Return True."""
        return True
