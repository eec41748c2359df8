"""Write GraphQL documents as Python structures, and read answers with attribute access.

Pure functions: nothing here sends anything.  A structure that cannot be a document raises `TypeError`.
"""

import base64
import gzip
import json
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from prefect.utilities.collections import as_nested_dict

if TYPE_CHECKING:
    from typing import Self

__all__ = [
    "EnumValue",
    "GQLObject",
    "GraphQLResult",
    "LiteralSetValue",
    "compress",
    "decompress",
    "parse_graphql",
    "parse_graphql_arguments",
    "with_args",
]


class GraphQLResult(dict[str, Any]):
    """An answer of the API: nested dictionaries whose keys are attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"'GraphQLResult' object has no attribute {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        for key, value in dict(*args, **kwargs).items():
            self[key] = value if isinstance(value, GraphQLResult) else as_nested_dict(value, GraphQLResult)

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as plain nested dictionaries and lists."""
        plain: dict[str, Any] = as_nested_dict(self, dict)
        return plain


class EnumValue:
    """A value that is written into a document without quotes."""

    def __init__(self, value: str) -> None:
        self.value = value

    def __str__(self) -> str:
        return self.value

    def __repr__(self) -> str:
        return f"EnumValue({self.value!r})"


class LiteralSetValue(str):
    """Several values in the text form of a PostgreSQL array: `"{a, b}"`."""

    __slots__ = ()

    def __new__(cls, values: Iterable[Any]) -> "Self":
        """Return the text of the values."""
        return super().__new__(cls, f"{{{', '.join(str(value) for value in values)}}}")


class GQLObject:
    """A named GraphQL object whose class attributes are its fields; prints as its path in a document."""

    def __init__(self, name: str | None = None, _arguments: str | None = None) -> None:
        self._name = name or type(self).__name__.lower()
        self._arguments = _arguments

    def __call__(self, arguments: Any) -> "GQLObject":
        """Return the object with arguments: a mapping or ready-made text."""
        return type(self)(name=self._name, _arguments=parse_graphql_arguments(arguments))

    def __str__(self) -> str:
        return with_args(self._name, self._arguments) if self._arguments else self._name

    def __repr__(self) -> str:
        return f"<GQL: {self}>"


def parse_graphql(document: Any) -> str:
    """Return GraphQL text for nested dictionaries (blocks), sets or lists (fields) and strings (as they are)."""
    if isinstance(document, (str, GQLObject)):
        return str(document)
    return "\n".join(_lines(document, 0))


def _lines(document: Any, depth: int) -> Iterable[str]:
    indent = "    " * depth
    if document is None or document is True or document is ...:
        return
    if isinstance(document, Mapping):
        for key, value in document.items():
            if value is None or value is True or value is ...:
                yield f"{indent}{key}"
            else:
                yield f"{indent}{key} {{"
                yield from _lines(value, depth + 1)
                yield f"{indent}}}"
    elif isinstance(document, (str, GQLObject, EnumValue)):
        yield f"{indent}{document}"
    elif isinstance(document, Iterable):
        for item in document:
            yield from _lines(item, depth)
    elif isinstance(document, type) and issubclass(document, GQLObject):
        yield f"{indent}{document()}"
    else:
        raise TypeError(f"A GraphQL document is made of dicts, lists, sets and strings; got {document!r}.")


def parse_graphql_arguments(arguments: Any) -> str:
    """Return the text between the parentheses of a field; a string is used as it is."""
    if isinstance(arguments, str):
        return arguments
    if not isinstance(arguments, Mapping):
        raise TypeError(f"GraphQL arguments must be a dictionary or a string; got {arguments!r}.")
    return ", ".join(f"{key}: {_value(value)}" for key, value in arguments.items())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = parse_graphql_arguments(value)
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, (list, tuple, set, frozenset)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, (EnumValue, GQLObject)):
        return str(value)
    if isinstance(value, uuid.UUID):
        value = str(value)
    elif hasattr(value, "isoformat"):
        value = value.isoformat()
    return json.dumps(value)


def with_args(field: Any, arguments: Any) -> str:
    """Return `field(a: 1, b: "x")`; strings are quoted, `EnumValue`s are not."""
    return f"{parse_graphql(field)}({parse_graphql_arguments(arguments)})"


def compress(input: Any) -> str:  # noqa: A002 - the name is part of the 1.x API
    """Return JSON-able data as gzip-compressed JSON in base64."""
    return base64.b64encode(gzip.compress(json.dumps(input).encode())).decode()


def decompress(string: str) -> Any:
    """Return the data that `compress` turned into `string`; raises `ValueError` or `OSError` for anything else."""
    return json.loads(gzip.decompress(base64.b64decode(string)).decode())
