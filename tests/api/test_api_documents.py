"""The cache of parsed and validated documents."""

import pytest
from graphql import GraphQLError, GraphQLSyntaxError, OperationType, build_schema

from flowstead_server.api.documents import DocumentCache, is_syntax_error

SCHEMA = build_schema("type Query { a: Query b: String } type Mutation { c: String }")


def test_a_document_is_kept_when_it_comes_again() -> None:
    cache = DocumentCache(SCHEMA)
    first = cache.prepare("{ b }")
    assert len(cache) == 0
    second = cache.prepare("{ b }")
    assert len(cache) == 1
    assert cache.prepare("{ b }") is second
    assert first.document == second.document


def test_the_cache_is_bounded_and_forgets_the_least_used() -> None:
    cache = DocumentCache(SCHEMA, max_entries=2)
    for text in ("{ b }", "{ b b }", "{ b b b }"):
        cache.prepare(text)
        cache.prepare(text)
        cache.prepare("{ b }")
    assert len(cache) == 2


def test_the_cache_is_bounded_by_the_text_of_its_documents() -> None:
    cache = DocumentCache(SCHEMA, max_text=1_000)
    texts = [f"{{ x{number}: b {'b ' * 150} }}" for number in range(6)]
    for text in texts:
        cache.prepare(text)
        cache.prepare(text)
    assert len(cache) == 1_000 // len(texts[0])
    kept = cache.prepare(texts[-1])
    assert cache.prepare(texts[-1]) is kept


def test_one_way_documents_do_not_fill_it() -> None:
    cache = DocumentCache(SCHEMA)
    for number in range(2_000):
        cache.prepare(f"{{ x{number}: b }}")
    assert len(cache) == 0


def test_mistakes_point_at_their_place() -> None:
    prepared = DocumentCache(SCHEMA).prepare("{\n  nothing\n}")
    (error,) = prepared.errors
    assert error.locations is not None
    assert (error.locations[0].line, error.locations[0].column) == (2, 3)


def test_text_that_is_no_graphql() -> None:
    with pytest.raises(GraphQLSyntaxError) as caught:
        DocumentCache(SCHEMA).prepare("{ b")
    assert is_syntax_error(caught.value)


def test_nesting_beyond_all_reason_is_a_syntax_error() -> None:
    with pytest.raises(GraphQLError) as caught:
        DocumentCache(SCHEMA).prepare("{ a " * 100_000 + "}" * 100_000)
    assert is_syntax_error(caught.value)


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        ("{ b }", None, OperationType.QUERY),
        ("mutation { c }", "", OperationType.MUTATION),
        ("query one { b } mutation two { c }", "two", OperationType.MUTATION),
    ],
)
def test_the_operation_that_is_meant(text: str, name: str | None, kind: OperationType) -> None:
    assert DocumentCache(SCHEMA).prepare(text).operation_type(name) is kind


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("query one { b } query two { b }", None, "several operations"),
        ("query one { b }", "three", "no operation named 'three'"),
        ("fragment f on Query { b }", None, "no operation"),
    ],
)
def test_no_operation_is_meant(text: str, name: str | None, message: str) -> None:
    with pytest.raises(GraphQLError, match=message):
        DocumentCache(SCHEMA).prepare(text).operation_type(name)
