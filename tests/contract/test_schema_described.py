"""Everything in the schema says what it is: people read it in the playground."""

import re
from collections.abc import Iterator
from pathlib import Path

from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLObjectType, build_schema
from graphql.type import is_introspection_type, is_specified_directive

SCHEMA = build_schema((Path(__file__).parents[2] / "schema.graphql").read_text())


def described() -> Iterator[tuple[str, str | None]]:
    """Yield the path and the description of every type, field, argument, enum value and directive."""
    for kind in SCHEMA.type_map.values():
        if is_introspection_type(kind):
            continue
        yield kind.name, kind.description
        if isinstance(kind, GraphQLEnumType):
            yield from ((f"{kind.name}.{name}", value.description) for name, value in kind.values.items())
        if isinstance(kind, GraphQLObjectType | GraphQLInputObjectType):
            for name, field in kind.fields.items():
                path = f"{kind.name}.{name}"
                yield path, field.description
                for argument, given in getattr(field, "args", {}).items():
                    yield f"{path}({argument})", given.description
    for directive in SCHEMA.directives:
        if not is_specified_directive(directive):
            yield f"@{directive.name}", directive.description


def test_everything_is_described() -> None:
    everything = dict(described())
    assert len(everything) > 3_000
    assert [path for path, text in everything.items() if not text or not text.strip()] == []


def test_descriptions_are_sentences() -> None:
    """They are more than a name repeated: what a reader sees begins and ends like a sentence."""
    sentence = re.compile(r"[A-Z`'\"(].*[.`)]", re.DOTALL)
    assert [(path, text) for path, text in described() if text and not sentence.fullmatch(text.strip())] == []
