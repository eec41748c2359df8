"""Small constructors for Strawberry types that are made from data instead of written as classes.

Strawberry reads classes; the query side has about 250 types that follow from the catalog. These helpers make the
definitions that its decorators would make, with the GraphQL names given exactly. They raise nothing of their own.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import StrawberryList, StrawberryObjectDefinition, StrawberryOptional
from strawberry.types.enum import EnumValue, StrawberryEnumDefinition
from strawberry.types.field import StrawberryField
from strawberry.types.unset import UNSET

if TYPE_CHECKING:
    from collections.abc import Iterable


def optional(of: Any) -> Any:
    """The nullable form of a type."""
    return StrawberryOptional(of)


def listed(of: Any) -> Any:
    """A list of a type."""
    return StrawberryList(of)


def declare(name: str, description: str, *, is_input: bool = False) -> Any:
    """An object or input type without fields yet, so that types may refer to each other."""
    origin = type(name, (), {})
    definition = StrawberryObjectDefinition(
        name=name,
        is_input=is_input,
        is_interface=False,
        origin=origin,
        description=description,
        interfaces=[],
        extend=False,
        directives=(),
        is_type_of=None,
        resolve_type=None,
        fields=[],
    )
    origin.__strawberry_definition__ = definition  # type: ignore[attr-defined]  # where strawberry looks for it
    return origin


def add_fields(declared: Any, fields: Iterable[StrawberryField]) -> None:
    """Give a declared type its fields."""
    for field in fields:
        field.origin = declared
        declared.__strawberry_definition__.fields.append(field)


def output_field(name: str, of: Any, description: str, arguments: Iterable[StrawberryArgument] = ()) -> StrawberryField:
    """A field of an object type. It has no resolver: the compiler answers it."""
    field = StrawberryField(
        python_name=name, graphql_name=name, type_annotation=StrawberryAnnotation(of), description=description
    )
    field.arguments = list(arguments)
    return field


def input_field(name: str, of: Any, description: str) -> StrawberryField:
    """An optional member of an input type, without a default value."""
    return StrawberryField(
        python_name=name,
        graphql_name=name,
        type_annotation=StrawberryAnnotation(optional(of)),
        description=description,
        default=UNSET,
    )


def argument(name: str, of: Any, description: str) -> StrawberryArgument:
    """An argument of a field, without a default value; wrap `of` in `optional` unless it is required."""
    return StrawberryArgument(
        python_name=name, graphql_name=name, type_annotation=StrawberryAnnotation(of), description=description
    )


def _enum_of(name: str, members: dict[str, str]) -> Any:
    make: Any = Enum
    return make(name, members)


def enumeration(name: str, description: str, values: Iterable[tuple[str, str]]) -> Any:
    """An enum from pairs of value and description."""
    pairs = list(values)
    members: Any = _enum_of(name, {value: value for value, _ in pairs})
    members.__strawberry_definition__ = StrawberryEnumDefinition(
        wrapped_cls=members,
        name=name,
        values=[EnumValue(value, value, description=text) for value, text in pairs],
        description=description,
    )
    return members
