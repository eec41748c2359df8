"""§29.1: GraphQL documents written as Python structures."""

import uuid
from datetime import UTC, datetime

import pytest
from graphql import parse, print_ast

from prefect.utilities.graphql import (
    EnumValue,
    GraphQLResult,
    LiteralSetValue,
    compress,
    decompress,
    parse_graphql,
    parse_graphql_arguments,
    with_args,
)


def same(document, text):
    return print_ast(parse(parse_graphql(document))) == print_ast(parse(text))


def test_dictionaries_open_blocks_and_collections_list_fields():
    assert same({"query": {"a": {"b": ["c", "d"]}}}, "query { a { b { c d } } }")
    assert same({"query": {"a": ("c", {"d": {"e"}})}}, "query { a { c d { e } } }")
    assert same({"query": [{"a": ...}, {"b": True}, {"c": {"x"}}]}, "query { a b c { x } }")
    assert parse_graphql("query { already }") == "query { already }"


def test_arrays_as_text():
    assert with_args("f", {"labels": LiteralSetValue(["x", "y"])}) == 'f(labels: "{x, y}")'


def test_arguments_of_every_kind():
    arguments = {
        "a": 'say "hi"\n\N{GRINNING FACE}',
        "b": [1, 2.5, None, True],
        "c": {"_and": [{}, {"x": {"_eq": EnumValue("desc")}}]},
        "d": uuid.UUID(int=1),
        "e": datetime(2026, 1, 1, tzinfo=UTC),
    }
    assert same(
        {"query": {with_args("f", arguments): {"id"}}},
        r'query { f(a: "say \"hi\"\n😀", b: [1, 2.5, null, true], c: {_and: [{}, {x: {_eq: desc}}]},'
        ' d: "00000000-0000-0000-0000-000000000001", e: "2026-01-01T00:00:00+00:00") { id } }',
    )
    assert with_args("f", "x: $x") == "f(x: $x)"
    assert parse_graphql_arguments({"where": {"a": None}}) == "where: { a: null }"


@pytest.mark.parametrize("wrong", [3, {"a": 3}, [object()]])
def test_what_is_no_document(wrong):
    with pytest.raises(TypeError, match="made of dicts"):
        parse_graphql(wrong)


def test_results_are_read_by_attribute_or_item():
    result = GraphQLResult({"data": {"flow": [{"id": "1", "items": 2}]}})
    assert result.data.flow[0].id == result["data"]["flow"][0]["id"] == "1"
    assert result.to_dict() == {"data": {"flow": [{"id": "1", "items": 2}]}}
    assert type(result.to_dict()["data"]) is dict
    with pytest.raises(AttributeError, match="nothing"):
        _ = result.nothing


def test_compression_round_trip():
    flow = {"name": "ü\N{GRINNING FACE}", "tasks": [{"slug": "a"}] * 100}
    packed = compress(flow)
    assert packed.isascii()
    assert len(packed) < 200
    assert decompress(packed) == flow
