"""The decorator of input types. It lets strawberry build them without looking at each value a second time.

graphql-core has checked and converted every value before; strawberry would walk them all again, which costs more than
the rest of a small mutation.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, dataclass_transform

import strawberry
from strawberry.types.arguments import InputContext
from strawberry.types.base import StrawberryList, StrawberryOptional, get_object_definition

Type = TypeVar("Type", bound=type)


@dataclass_transform(kw_only_default=True, field_specifiers=(strawberry.field,))
def wire_input(name: str, description: str, *, as_mapping: bool = False) -> Callable[[Type], Type]:
    """Make a class the input type `name`. Members that are absent are None.

    Args:
        name: its name on the wire.
        description: what it is, for readers of the schema.
        as_mapping: whether resolvers get the mapping as it came, instead of an object of the class.
    """

    def decorate(cls: Type) -> Type:
        made = strawberry.input(name=name, description=description)(cls)
        get_object_definition(made, strict=True).from_input = _as_mapping if as_mapping else _Builder()
        return made

    return decorate


def _as_mapping(_type: type, value: Mapping[str, Any], _context: InputContext) -> Mapping[str, Any]:
    return value


class _Builder:
    """Builds objects of one input type; what they consist of is found out at the first use, when all types exist."""

    def __init__(self) -> None:
        self._blank: dict[str, None] = {}
        self._nested: dict[str, Any] = {}

    def __call__(self, cls: type, value: Mapping[str, Any], context: InputContext) -> Any:
        if not self._blank:
            self._inspect(cls)
        members: dict[str, Any] = {**self._blank, **value}
        for name, kind in self._nested.items():
            members[name] = context.convert(members[name], kind, name)
        return cls(**members)

    def _inspect(self, cls: type) -> None:
        fields = get_object_definition(cls, strict=True).fields
        self._nested = {field.name: field.type for field in fields if _holds_objects(field.type)}
        self._blank = {field.name: None for field in fields}


def _holds_objects(kind: Any) -> bool:
    """Say whether there are values in it that are to be built: log lines, for one, come by the hundred and are not."""
    while isinstance(kind, StrawberryList | StrawberryOptional):
        kind = kind.of_type
    definition = get_object_definition(kind)
    return definition is not None and definition.from_input is not _as_mapping
