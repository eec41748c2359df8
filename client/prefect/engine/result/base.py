"""`Result`: a value, the location it is kept at, and how it gets there and back.

The base class keeps values in memory only: reading, writing and looking up raise `ResultNotImplementedError`.
Subclasses override `read`, `write` and `exists`; each returns a new object and leaves the one it was called on alone.
"""

import copy
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from prefect.engine.serializers import PickleSerializer, Serializer
from prefect.utilities.logging import get_logger

if TYPE_CHECKING:
    import logging

__all__ = ["NoResult", "NoResultType", "Result", "ResultNotImplementedError"]

_DEFAULT_SERIALIZER = PickleSerializer()


class ResultNotImplementedError(NotImplementedError):
    """A result that lives in memory only was asked to read, write or look up a location."""


class Result:
    """A value and its location.

    `location` is a template (`"{flow_name}/{x}.txt"`), a function from the same names to a string, or None for one
    that is made up on writing.  `serializer` turns values into bytes; default is pickling.
    """

    def __init__(
        self,
        value: Any = None,
        location: str | Callable[..., str] | None = None,
        serializer: Serializer | None = None,
    ) -> None:
        self.value = value
        self.location: Any = location
        self.serializer = _DEFAULT_SERIALIZER if serializer is None else serializer

    @property
    def logger(self) -> "logging.Logger":
        """The logger `prefect.{class name}`."""
        return get_logger(type(self).__name__)

    @property
    def default_location(self) -> str:
        """A location that nothing else uses, for values that are given none."""
        now = datetime.now(UTC)
        return f"{now.year}/{now.month}/{now.day}/{uuid.uuid4()}.prefect_result"

    def copy(self) -> "Result":
        """Return a shallow copy."""
        return copy.copy(self)

    def from_value(self, value: Any) -> "Result":
        """Return a copy that holds another value and has no location yet."""
        new = self.copy()
        new.location = None
        new.value = value
        return new

    def format(self, **kwargs: Any) -> "Result":
        """Return a copy whose location is filled in with `kwargs`; raises `KeyError` for a name that is missing."""
        new = self.copy()
        if callable(new.location):
            new.location = new.location(**kwargs)
        elif isinstance(new.location, str):
            new.location = new.location.format(**kwargs)
        else:
            new.location = new.default_location
        return new

    def read(self, location: str) -> "Result":
        """Return a copy with the value found at `location`."""
        raise ResultNotImplementedError(
            "Not implemented on the base Result class; use a result that persists values, such as LocalResult."
        )

    def write(self, value_: Any, **kwargs: Any) -> "Result":
        """Keep `value_` at the location filled in with `kwargs`; return a copy with the value and that location."""
        raise ResultNotImplementedError(
            "Not implemented on the base Result class; use a result that persists values, such as LocalResult."
        )

    def exists(self, location: str, **kwargs: Any) -> bool:
        """Return whether there is a value at `location`, filled in with `kwargs`."""
        raise ResultNotImplementedError(
            "Not implemented on the base Result class; use a result that persists values, such as LocalResult."
        )

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return False
        mine, theirs = vars(self), vars(other)
        names = {name for name in (*mine, *theirs) if not name.startswith("_")}
        return all(name in mine and name in theirs and mine[name] == theirs[name] for name in names)

    __hash__ = None  # type: ignore[assignment]  # results are mutable values

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.value!r}>"


class NoResultType(Result):
    """The result of what has none; there is one instance, `NoResult`."""

    def __init__(self) -> None:
        super().__init__()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NoResultType)

    def __hash__(self) -> int:  # type: ignore[override]  # the one instance is immutable
        return hash(NoResultType)

    def __reduce__(self) -> str:
        return "NoResult"

    def copy(self) -> "Result":
        """Return itself."""
        return self


NoResult = NoResultType()
