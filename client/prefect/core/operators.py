"""Python's operators on tasks: each adds a task to the flow that computes it when the flow runs."""

from typing import Any

__all__ = ["OperatorMixin"]


def _bind(operator: str, x: Any, y: Any) -> Any:
    from prefect.tasks.core import operators  # noqa: PLC0415 - operators are tasks themselves

    return getattr(operators, operator)().bind(x, y)


class OperatorMixin:
    """Arithmetic, comparison, indexing and piping for tasks; `==` and `!=` keep their meaning of identity."""

    def is_equal(self, other: Any) -> Any:
        """Return a task that computes `self == other`."""
        return _bind("Equal", self, other)

    def is_not_equal(self, other: Any) -> Any:
        """Return a task that computes `self != other`."""
        return _bind("NotEqual", self, other)

    def not_(self) -> Any:
        """Return a task that computes `not self`."""
        from prefect.tasks.core.operators import Not  # noqa: PLC0415 - operators are tasks themselves

        return Not().bind(self)

    def or_(self, other: Any) -> Any:
        """Return a task that computes `self or other`."""
        return _bind("Or", self, other)

    def __getitem__(self, key: Any) -> Any:
        from prefect.core.task import Task  # noqa: PLC0415 - which derives from this class
        from prefect.tasks.core.operators import GetItem  # noqa: PLC0415 - operators are tasks themselves

        shown = key.name if isinstance(key, Task) else repr(key)
        task: Any = self
        return GetItem(checkpoint=task.checkpoint, name=f"{task.name}[{shown}]", result=task.result).bind(
            task_result=task, key=key
        )

    def __or__(self, other: Any) -> Any:
        from prefect.utilities.tasks import as_task  # noqa: PLC0415 - which makes tasks

        downstream = as_task(other)
        downstream.set_upstream(self)
        return downstream

    def __ror__(self, other: Any) -> Any:
        task: Any = self
        task.set_upstream(other)
        return self

    def __add__(self, other: Any) -> Any:
        return _bind("Add", self, other)

    def __sub__(self, other: Any) -> Any:
        return _bind("Sub", self, other)

    def __mul__(self, other: Any) -> Any:
        return _bind("Mul", self, other)

    def __truediv__(self, other: Any) -> Any:
        return _bind("Div", self, other)

    def __floordiv__(self, other: Any) -> Any:
        return _bind("FloorDiv", self, other)

    def __mod__(self, other: Any) -> Any:
        return _bind("Mod", self, other)

    def __pow__(self, other: Any) -> Any:
        return _bind("Pow", self, other)

    def __and__(self, other: Any) -> Any:
        return _bind("And", self, other)

    def __radd__(self, other: Any) -> Any:
        return _bind("Add", other, self)

    def __rsub__(self, other: Any) -> Any:
        return _bind("Sub", other, self)

    def __rmul__(self, other: Any) -> Any:
        return _bind("Mul", other, self)

    def __rtruediv__(self, other: Any) -> Any:
        return _bind("Div", other, self)

    def __rfloordiv__(self, other: Any) -> Any:
        return _bind("FloorDiv", other, self)

    def __rmod__(self, other: Any) -> Any:
        return _bind("Mod", other, self)

    def __rpow__(self, other: Any) -> Any:
        return _bind("Pow", other, self)

    def __rand__(self, other: Any) -> Any:
        return _bind("And", other, self)

    def __gt__(self, other: Any) -> Any:
        return _bind("GreaterThan", self, other)

    def __ge__(self, other: Any) -> Any:
        return _bind("GreaterThanOrEqual", self, other)

    def __lt__(self, other: Any) -> Any:
        return _bind("LessThan", self, other)

    def __le__(self, other: Any) -> Any:
        return _bind("LessThanOrEqual", self, other)
