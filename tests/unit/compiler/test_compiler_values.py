"""Reading values from documents and variables, and what becomes of them on the way to PostgreSQL."""

from typing import Any
from uuid import UUID

import pytest
from graphql import parse, parse_value
from hypothesis import given
from hypothesis import strategies as st

from flowstead_server.compiler.catalog import Scalar
from flowstead_server.compiler.errors import CompileError
from flowstead_server.compiler.values import (
    MISSING,
    as_json,
    as_list,
    bindable,
    cast,
    json_path,
    plain,
    shown,
    with_defaults,
)

IDENTITY = "826257fc-8f09-47a9-8ff1-ef73bd6ebb62"


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ('"text"', "text"),
        ('"""block"""', "block"),
        ("asc", "asc"),
        ("12", 12),
        ("-1.5e3", -1500.0),
        ("true", True),
        ("null", None),
        ("[]", []),
        ("{}", {}),
        ("[1, [2], {a: $given}, $given, $absent]", [1, [2], {"a": 7}, 7, None]),
        ("{a: $absent, b: null, c: $given}", {"b": None, "c": 7}),
        ("$absent", MISSING),
        (r'"\ud83d\ude00"', "\U0001f600"),
    ],
)
def test_literals(literal: str, value: Any) -> None:
    assert plain(parse_value(literal), {"given": 7}) == value


def test_objects_keep_the_order_in_which_they_are_written() -> None:
    assert list(plain(parse_value("{z: 1, a: 2, m: 3}"), {})) == ["z", "a", "m"]


def test_variables_get_their_defaults_only_when_absent() -> None:
    (operation,) = parse("query($a: Int = 1, $b: Int = 2, $c: Int, $d: Int) { hello }").definitions
    definitions = operation.variable_definitions
    assert with_defaults(definitions, {"b": None, "c": 3, "unknown": 4}) == {"a": 1, "b": None, "c": 3}
    assert with_defaults(definitions, None) == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("scalar", "value", "sent"),
    [
        (
            Scalar.UUID,
            "{82625 7fc-8f09-47a9-8ff1-ef73bd6ebb62}".replace(" ", ""),
            UUID("826257fc8f0947a98ff1ef73bd6ebb62"),
        ),
        (Scalar.INT, 3.0, 3),
        (Scalar.BOOLEAN, True, True),
        (Scalar.STRING, "ü", "ü"),
        (Scalar.TIMESTAMPTZ, "now", "now"),
        (Scalar.INTERVAL, "1 day", "1 day"),
        (Scalar.JSONB, {"a": [1, None, "ü", 2**70]}, '{"a": [1, null, "ü", 1180591620717411303424]}'),
        (Scalar.JSONB, "text", '"text"'),
    ],
)
def test_what_is_sent(scalar: Scalar, value: Any, sent: Any) -> None:
    assert bindable(scalar, value) == sent


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        (Scalar.UUID, "not-a-uuid"),
        (Scalar.UUID, ""),
        (Scalar.STRING, "a\0"),
        (Scalar.STRING, "\udc00"),
        (Scalar.TIMESTAMPTZ, "\0"),
        (Scalar.JSONB, {"a": "\ud800"}),
        (Scalar.JSONB, float("nan")),
        (Scalar.JSONB, {1, 2}),
    ],
)
def test_what_is_refused(scalar: Scalar, value: Any) -> None:
    with pytest.raises(CompileError) as caught:
        bindable(scalar, value)
    assert caught.value.message.endswith(".")


def test_very_deep_json_is_refused() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(CompileError, match="nested too deeply"):
        as_json(deep)


@given(value=st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_json_is_text_or_refused(value: Any) -> None:
    try:
        text = as_json(value)
    except CompileError:
        return
    text.encode()


def test_lists() -> None:
    assert as_list("one") == ["one"]
    assert as_list({}) == [{}]
    assert as_list([]) == []
    for value in (None, [None], ["a", None]):
        with pytest.raises(CompileError, match="null"):
            as_list(value)


def test_casts_name_the_type_of_the_column() -> None:
    assert cast(Scalar.UUID) == "::uuid"
    assert cast(Scalar.STRING, "[]") == "::text[]"
    assert cast(Scalar.TIMESTAMPTZ, "[]") == "::text[]::timestamptz[]"


def test_shown_values_are_short() -> None:
    assert shown("a\nb") == "'a\\nb'"
    assert len(shown("x" * 1000)) < 100


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("$", []),
        ("", []),
        ("$.a.b", ["a", "b"]),
        ("a.b", ["a", "b"]),
        ("[0]", ["0"]),
        ("$[0].a[12]", ["0", "a", "12"]),
        ("$['a b']['c']", ["a b", "c"]),
        ('a["x.y"].z-1', ["a", "x.y", "z-1"]),
    ],
)
def test_paths(path: str, steps: list[str]) -> None:
    assert json_path(path) == steps


@pytest.mark.parametrize("path", ["a..b", ".", "a b", "[", "[x]", "a[", "$a", "1", "a.", "[-1]", "['a]"])
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(CompileError, match="is not a path inside a JSON value"):
        json_path(path)
