"""docs/api.md: its operations are valid, its codes are those of the server, its fields exist."""

import re
from pathlib import Path
from typing import Any

import pytest
from graphql import build_schema, parse, validate

from flowstead_server.api import errors
from flowstead_server.api.document_limits import INTROSPECTION_DISABLED
from flowstead_server.api.schema import api_schema
from flowstead_server.compiler.errors import CompileError
from flowstead_server.domain.errors import FlowsteadError, StartupError

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
SCHEMA = build_schema((ROOT / "schema.graphql").read_text(encoding="utf-8"))
OPERATIONS = re.findall(r"```graphql\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("text", OPERATIONS)
def test_operations_fit_the_schema(text: str) -> None:
    assert validate(SCHEMA, parse(text)) == []


def test_the_codes_are_those_of_the_server() -> None:
    assert api_schema(), "with the schema every module that has errors is loaded"
    section = PAGE.split("## Errors")[1].split("##")[0]
    first_cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    named = {code for cell in first_cells for code in re.findall(r"`([A-Z_]+)`", cell)}
    codes = {errors.PARSE_FAILED, errors.VALIDATION_FAILED, INTROSPECTION_DISABLED}
    waiting: list[Any] = [*FlowsteadError.__subclasses__(), CompileError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if not issubclass(kind, StartupError):
            codes.add(kind.code)
    assert named == codes


def test_every_subscription_is_named() -> None:
    assert SCHEMA.subscription_type is not None
    section = PAGE.split("## Subscriptions")[1]
    assert set(re.findall(r"^\| `(\w+)\(", section, re.MULTILINE)) == set(SCHEMA.subscription_type.fields)
