"""The tasks behind Python's operators on tasks."""

from typing import Any

from prefect.core.task import NoDefault, Task

__all__ = [
    "Add",
    "And",
    "Div",
    "Equal",
    "FloorDiv",
    "GetAttr",
    "GetItem",
    "GreaterThan",
    "GreaterThanOrEqual",
    "LessThan",
    "LessThanOrEqual",
    "Mod",
    "Mul",
    "Not",
    "NotEqual",
    "Or",
    "Pow",
    "Sub",
]


class GetItem(Task):
    """Looks up a key or index."""

    def __init__(self, default: Any = NoDefault, **kwargs: Any) -> None:
        self.default = default
        super().__init__(**kwargs)

    def run(self, task_result: Any, key: Any, default: Any = NoDefault) -> Any:
        """Return `task_result[key]`, else the default; without one the lookup's error is raised."""
        fallback = self.default if default is NoDefault else default
        try:
            return task_result[key]
        except (KeyError, IndexError):
            if fallback is NoDefault:
                raise
            return fallback


class GetAttr(Task):
    """Looks up an attribute, or a dotted path of them."""

    def __init__(self, default: Any = NoDefault, **kwargs: Any) -> None:
        self.default = default
        super().__init__(**kwargs)

    def run(self, task_result: Any, attr: str, default: Any = NoDefault) -> Any:
        """Return the attribute, else the default; without one `AttributeError` is raised."""
        fallback = self.default if default is NoDefault else default
        value = task_result
        try:
            for name in attr.split("."):
                value = getattr(value, name)
        except AttributeError:
            if fallback is NoDefault:
                raise
            return fallback
        return value


class Add(Task):
    """Computes `x + y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Return the sum."""
        return x + y


class Sub(Task):
    """Computes `x - y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Return the difference."""
        return x - y


class Mul(Task):
    """Computes `x * y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Return the product."""
        return x * y


class Div(Task):
    """Computes `x / y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Return the quotient."""
        return x / y


class FloorDiv(Task):
    """Computes `x // y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Return the floored quotient."""
        return x // y


class Pow(Task):
    """Computes `x ** y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Return the power."""
        return x**y


class Mod(Task):
    """Computes `x % y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Return the remainder."""
        return x % y


class And(Task):
    """Computes `x and y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Return `x and y`."""
        return x and y


class Or(Task):
    """Computes `x or y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Return `x or y`."""
        return x or y


class Not(Task):
    """Computes `not x`."""

    def run(self, x: Any) -> bool:
        """Return `not x`."""
        return not x


class Equal(Task):
    """Computes `x == y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Return `x == y`."""
        return x == y


class NotEqual(Task):
    """Computes `x != y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Return `x != y`."""
        return x != y


class GreaterThan(Task):
    """Computes `x > y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Return `x > y`."""
        return x > y


class GreaterThanOrEqual(Task):
    """Computes `x >= y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Return `x >= y`."""
        return x >= y


class LessThan(Task):
    """Computes `x < y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Return `x < y`."""
        return x < y


class LessThanOrEqual(Task):
    """Computes `x <= y`."""

    def run(self, x: Any, y: Any) -> Any:
        """Return `x <= y`."""
        return x <= y
