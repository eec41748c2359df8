"""Annotations that say how an input of a task is mapped: `unmapped(x)`, `mapped(x)`, `flatten(x)`.

They wrap a task or a value, compose in any order, and mean nothing outside the call of a task.
"""

from typing import TYPE_CHECKING, Any, ClassVar

__all__ = ["EdgeAnnotation", "Stand", "flatten", "mapped", "unmapped"]

if TYPE_CHECKING:

    class Stand(Any):
        """To a type checker, what derives from this fits wherever a value does, which it stands for in a flow."""

else:

    class Stand:
        """What stands for a value while a flow is built; see above for what type checkers make of it."""

        __slots__ = ()


class EdgeAnnotation(Stand):
    """A wrapped task or value with flags for the edge that it becomes the upstream end of."""

    flags: ClassVar[dict[str, bool]] = {}

    def __init__(self, value: Any) -> None:
        self.annotations: dict[str, bool] = {}
        self.value: Any
        if isinstance(value, EdgeAnnotation):
            self.annotations.update(value.annotations)
            value = value.value
        self.annotations.update(self.flags)
        self.value = value

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"


class unmapped(EdgeAnnotation):  # noqa: N801 - used like a function
    """Give the whole value to every mapped child, instead of one element to each."""

    flags: ClassVar[dict[str, bool]] = {"mapped": False}


class mapped(EdgeAnnotation):  # noqa: N801 - used like a function
    """Run the task once per element of the value, in a normal call."""

    flags: ClassVar[dict[str, bool]] = {"mapped": True}


class flatten(EdgeAnnotation):  # noqa: N801 - used like a function
    """Remove one level of nesting from the value before it is used or mapped over."""

    flags: ClassVar[dict[str, bool]] = {"flattened": True}
