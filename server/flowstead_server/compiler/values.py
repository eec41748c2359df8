"""Values of a query: from the document and its variables to plain Python, and from there to bind parameters.

graphql-core coerces input objects into the order of their type; the order in which an `order_by` was written matters,
so the documents are read here once more. They have been validated before: only what a type cannot say is checked.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from graphql import (
    BooleanValueNode,
    EnumValueNode,
    FloatValueNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    StringValueNode,
    VariableNode,
)

from flowstead_server.compiler.catalog import Scalar
from flowstead_server.compiler.errors import CompileError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from graphql import ValueNode, VariableDefinitionNode


class Missing:
    """The type of `MISSING`."""


MISSING: Final = Missing()
"""Stands for a variable that was not given: what it would have filled in is left out."""

_SHOWN = 80


def shown(value: object) -> str:
    """The value as a message shows it: on one line and never long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def plain(node: ValueNode, variables: Mapping[str, Any]) -> Any:
    """The Python value of a literal, members of objects in written order, or MISSING for an absent variable."""
    if isinstance(node, VariableNode):
        return variables.get(node.name.value, MISSING)
    if isinstance(node, ObjectValueNode):
        members = ((member.name.value, plain(member.value, variables)) for member in node.fields or ())
        return {name: value for name, value in members if value is not MISSING}
    if isinstance(node, ListValueNode):
        values = (plain(item, variables) for item in node.values or ())
        return [None if value is MISSING else value for value in values]
    return _LEAVES[type(node)](node)


_LEAVES: dict[type[ValueNode], Callable[[Any], Any]] = {
    StringValueNode: lambda node: node.value,
    EnumValueNode: lambda node: node.value,
    BooleanValueNode: lambda node: node.value,
    NullValueNode: lambda _: None,
    IntValueNode: lambda node: int(node.value),
    FloatValueNode: lambda node: float(node.value),
}


def with_defaults(definitions: tuple[VariableDefinitionNode, ...], given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The variables of an operation as they were given, completed with their defaults."""
    values: dict[str, Any] = {}
    for definition in definitions:
        name = definition.variable.name.value
        if given and name in given:
            values[name] = given[name]
        elif definition.default_value is not None:
            values[name] = plain(definition.default_value, {})
    return values


def as_list(value: Any) -> list[Any]:
    """GraphQL's list coercion: what is no list is a list of one.

    Raises:
        CompileError: a member is null. Validation sees that in documents; a variable with a default may still be null.
    """
    members = list(value) if isinstance(value, list | tuple) else [value]
    if any(member is None for member in members):
        raise CompileError("A list in the query has a member that is null.")
    return members


def as_int(value: Any) -> int:
    """A validated Int, which as a variable may be written 3.0."""
    return int(value)


def as_text(value: str) -> str:
    """Text that PostgreSQL can take.

    Raises:
        CompileError: it holds half of a surrogate pair, or a zero character.
    """
    if "\0" in value:
        raise CompileError(f"The text {shown(value)} contains a zero character, which the database cannot hold.")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise CompileError(f"The text {shown(value)} contains half of a surrogate pair.") from None
    return value


def as_json(value: Any) -> str:
    """The JSON text of a value.

    Raises:
        CompileError: JSON cannot express it (an infinite number, a very deep value).
    """
    try:
        return as_text(json.dumps(value, ensure_ascii=False, allow_nan=False))
    except RecursionError:
        raise CompileError("A JSON value is nested too deeply.") from None
    except (ValueError, TypeError):
        raise CompileError(f"The value {shown(value)} cannot be written as JSON.") from None


def as_uuid(value: str) -> UUID:
    """A UUID in any usual spelling.

    Raises:
        CompileError: it is none.
    """
    try:
        return UUID(value)
    except ValueError:
        raise CompileError(f"{shown(value)} is not a uuid.") from None


_READERS: dict[Scalar, Callable[[Any], Any]] = {
    Scalar.UUID: as_uuid,
    Scalar.TIMESTAMPTZ: as_text,
    Scalar.INTERVAL: as_text,
    Scalar.STRING: as_text,
    Scalar.JSONB: as_json,
    Scalar.INT: as_int,
    Scalar.FLOAT: float,
    Scalar.BOOLEAN: bool,
}

# PostgreSQL itself reads the types whose text it is more generous about than any parser here would be.
_SENT_AS_TEXT = {Scalar.TIMESTAMPTZ, Scalar.INTERVAL, Scalar.JSONB}


def bindable(scalar: Scalar, value: Any) -> Any:
    """What is sent to PostgreSQL for one value of a scalar.

    Raises:
        CompileError: the value means nothing for this scalar.
    """
    return _READERS[scalar](value)


def cast(scalar: Scalar, suffix: str = "") -> str:
    """The cast of a bind parameter; `suffix` is `[]` for an array."""
    final = f"::{scalar.postgres}{suffix}"
    return f"::text{suffix}{final}" if scalar in _SENT_AS_TEXT else final


_PATH_STEP = re.compile(r"""\.?([A-Za-z_][\w-]*)|\[(\d+)\]|\[(?:"([^"]*)"|'([^']*)')\]""")


def json_path(path: str) -> list[str]:
    """The steps of a path such as `$.a.b[0]`, `a.b` or `$["a b"]`.

    Raises:
        CompileError: the text is no path.
    """
    steps: list[str] = []
    position = 1 if path.startswith("$") else 0
    while position < len(path):
        match = _PATH_STEP.match(path, position)
        if match is None or (path[position] not in ".[" and position != 0):
            raise CompileError(f"{shown(path)} is not a path inside a JSON value; write it like $.a.b[0].")
        steps.append(next(group for group in match.groups() if group is not None))
        position = match.end()
    return steps
