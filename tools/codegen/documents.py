"""Reads the schema and the operations, and checks one against the other.

Raises `CodegenError` with every problem found: unreadable or malformed files, anonymous or badly named operations, and
whatever GraphQL's validation rules say.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    Node,
    OperationDefinitionNode,
    Source,
    build_schema,
    extend_schema,
    parse,
    validate,
)

from tools.codegen.errors import CodegenError, Problem

REQUIRED = "required"
_SNAKE = re.compile(r"[a-z][a-z0-9_]*")
# Known to the generator only: it is removed from what is sent.
_CLIENT_DIRECTIVES = f"""
"The field is never null in a useful answer: the parser raises instead of handing on None."
directive @{REQUIRED} on FIELD
"""


@dataclass(frozen=True, slots=True)
class Operations:
    """Checked operations: by module (the stem of their file), and every fragment by name with its module."""

    schema: GraphQLSchema
    operations: dict[str, list[OperationDefinitionNode]]
    fragments: dict[str, tuple[str, FragmentDefinitionNode]]


def place_of(node: Node) -> str:
    """Return `file:line:column` of a parsed node."""
    assert node.loc is not None
    line, column = node.loc.source.get_location(node.loc.start)
    return f"{node.loc.source.name}:{line}:{column}"


def _problem(error: GraphQLError, file: str) -> Problem:
    if error.nodes and error.nodes[0].loc is not None:
        return Problem(place_of(error.nodes[0]), error.message)
    if error.locations:
        place = error.locations[0]
        return Problem(f"{file}:{place.line}:{place.column}", error.message)
    return Problem(file, error.message)


def read_schema(path: Path) -> GraphQLSchema:
    """Return the schema in an SDL file, with the client-only directives added."""
    try:
        schema = build_schema(path.read_text(encoding="utf-8"))
        return extend_schema(schema, parse(_CLIENT_DIRECTIVES))
    except OSError as error:
        raise CodegenError([Problem(str(path), f"cannot read the schema: {error.strerror}")]) from error
    except GraphQLError as error:
        raise CodegenError([_problem(error, str(path))]) from error
    except TypeError as error:  # what graphql raises for a schema that parses but contradicts itself
        raise CodegenError([Problem(str(path), str(error))]) from error


def _parse_files(folder: Path) -> dict[str, DocumentNode]:
    files = sorted(folder.glob("*.graphql"))
    if not files:
        raise CodegenError([Problem(str(folder), "there is no .graphql file here")])
    documents: dict[str, DocumentNode] = {}
    problems: list[Problem] = []
    for file in files:
        try:
            documents[file.stem] = parse(Source(file.read_text(encoding="utf-8"), file.name))
        except GraphQLError as error:
            problems.append(_problem(error, file.name))
        except (OSError, UnicodeDecodeError) as error:
            problems.append(Problem(file.name, f"cannot be read: {error}"))
        if not _SNAKE.fullmatch(file.stem):
            problems.append(Problem(file.name, "a file of operations becomes a Python module: name it in snake_case"))
    if problems:
        raise CodegenError(problems)
    return documents


def load(schema_path: Path, folder: Path) -> Operations:
    """Return the checked operations of `folder`; raises `CodegenError`."""
    schema = read_schema(schema_path)
    documents = _parse_files(folder)
    definitions = tuple(node for document in documents.values() for node in document.definitions)
    problems = [_problem(error, "operations") for error in validate(schema, DocumentNode(definitions=definitions))]
    operations: dict[str, list[OperationDefinitionNode]] = {module: [] for module in documents}
    fragments: dict[str, tuple[str, FragmentDefinitionNode]] = {}
    for module, document in documents.items():
        for node in document.definitions:
            if isinstance(node, OperationDefinitionNode):
                operations[module].append(node)
                if node.name is None:
                    problems.append(Problem(place_of(node), "every operation needs a name"))
                elif not _SNAKE.fullmatch(node.name.value):
                    problems.append(
                        Problem(
                            place_of(node), f"operation {node.name.value!r} becomes a function: name it in snake_case"
                        )
                    )
            elif isinstance(node, FragmentDefinitionNode):
                fragments[node.name.value] = (module, node)
    if problems:
        raise CodegenError(problems)
    return Operations(schema, operations, fragments)
