"""The scalars of the query side: `uuid`, `timestamptz`, `jsonb` and `interval`.

They check only the shape of a value (text where text is needed); whether the text means something is decided by the
compiler, which knows the column and can say so in one sentence. A value of the wrong shape is a validation error.
"""

from __future__ import annotations

from typing import Any, NewType

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarWrapper

from flowstead_server.compiler.catalog import Scalar


def _text_of(name: str) -> Any:
    def parse(value: object) -> str:
        if not isinstance(value, str):
            raise GraphQLError(f"{name} is written as a string, not as {value!r}.")
        return value

    return parse


def _make(name: str, description: str, parse_value: Any) -> ScalarWrapper:
    wrapper = ScalarWrapper(NewType(name, object))
    # The wrapper is used as an annotation, so that the scalar needs no entry in the configuration of the schema.
    wrapper._scalar_definition = strawberry.scalar(  # noqa: SLF001 - strawberry's decorator form is deprecated
        name=name, description=description, serialize=_as_is, parse_value=parse_value
    )
    return wrapper


def _as_is(value: Any) -> Any:
    return value


UUID_ARRAY = _make("_uuid", "A list of UUIDs in PostgreSQL's own notation: {ID,ID}.", _text_of("_uuid"))

SCALARS: dict[Scalar, Any] = {
    Scalar.UUID: _make(
        "uuid", "A UUID: lower-case and dashed in answers, any usual form in questions.", _text_of("uuid")
    ),
    Scalar.TIMESTAMPTZ: _make(
        "timestamptz",
        "A point in time in ISO 8601, in UTC in answers; without an offset it is read as UTC.",
        _text_of("timestamptz"),
    ),
    Scalar.JSONB: _make("jsonb", "Any JSON value: from a variable, or written as a GraphQL literal.", _as_is),
    Scalar.INTERVAL: _make("interval", "A span of time, such as 00:01:02 or 3 days.", _text_of("interval")),
    Scalar.STRING: str,
    Scalar.INT: int,
    Scalar.FLOAT: float,
    Scalar.BOOLEAN: bool,
}
