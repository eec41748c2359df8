"""What a generated operation hands to a session, and the few functions that generated code is made of.

Nothing here sends anything or imports more than the standard library.  An answer that lacks what an operation asked for
raises `MalformedAnswerError` when it is parsed.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, Generic, Literal, TypeVar

from prefect.client.errors import MalformedAnswerError

__all__ = ["UNSET", "Request", "Unset", "defined", "many", "optional", "parse_datetime", "plain", "required"]

R = TypeVar("R")
T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)


class Unset(Enum):
    """The type of `UNSET`: the argument was not given, and is not sent (which may differ from sending null)."""

    UNSET = "unset"

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET


@dataclass(frozen=True, slots=True, eq=False)
class Request(Generic[R_co]):
    """One operation with its variables, ready to be sent, and the parser of its answer.

    `variables` is JSON-able, except that moments may be `datetime`s; `parse` takes the `data` of an answer.
    """

    name: str
    kind: Literal["query", "mutation", "subscription"]
    document: str
    variables: Mapping[str, Any]
    parse: Callable[[Mapping[str, Any]], R_co]


def defined(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the items whose value is not `UNSET`."""
    return {key: value for key, value in values.items() if value is not UNSET}


def plain(value: Any) -> Any:
    """Return input objects, also inside lists, as dictionaries; everything else as it is."""
    if hasattr(value, "to_wire"):
        return value.to_wire()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def optional(value: Any, parse: Callable[[Any], T]) -> T | None:
    """Return the parsed value, or None for null."""
    return None if value is None else parse(value)


def many(values: Iterable[Any], parse: Callable[[Any], T]) -> tuple[T, ...]:
    """Return every value parsed."""
    return tuple([parse(value) for value in values])


def required(value: T | None, place: str) -> T:
    """Return `value`; raises `MalformedAnswerError` naming `place` if it is null."""
    if value is None:
        raise MalformedAnswerError(f"The API answered null for {place}, which it should always know.")
    return value


def parse_datetime(text: str) -> datetime:
    """Return an ISO 8601 moment with its offset; UTC if it has none."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
