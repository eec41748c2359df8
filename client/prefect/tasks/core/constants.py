"""A value as a task."""

from typing import Any

from prefect.core.task import Task

__all__ = ["Constant"]

_LONGEST_SHOWN = 8


class Constant(Task):
    """Returns its value; named after it if that is short."""

    def __init__(self, value: Any, name: str | None = None, **kwargs: Any) -> None:
        self.value = value
        if name is None:
            name = repr(value)
            if len(name) > _LONGEST_SHOWN:
                name = f"Constant[{type(value).__name__}]"
        super().__init__(name=name, **kwargs)

    def run(self) -> Any:
        """Return the value."""
        return self.value
