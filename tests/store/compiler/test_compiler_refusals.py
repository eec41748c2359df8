"""What cannot be answered is refused with one sentence, before or by the database."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from compiler_world import our_rows

from flowstead_server.api.schema import api_schema
from flowstead_server.compiler.limits import Limits
from flowstead_server.db import Database
from flowstead_server.domain.errors import ApiUnavailableError

RUNS = our_rows("flow_run")

BAD: list[tuple[str, Any, str]] = [
    ('{ flow(where: {id: {_eq: "nonsense"}}) { id } }', None, "'nonsense' is not a uuid."),
    ('{ flow(where: {id: {_in: ["nonsense"]}}) { id } }', None, "'nonsense' is not a uuid."),
    ('{ flow_by_pk(id: "") { id } }', None, "'' is not a uuid."),
    ('{ flow(where: {created: {_gt: "nonsense"}}) { id } }', None, 'timestamp with time zone: "nonsense".'),
    ('{ flow(where: {created: {_gt: "2026-13-45"}}) { id } }', None, 'out of range: "2026-13-45".'),
    ('{ task(where: {retry_delay: {_gt: "soon"}}) { id } }', None, 'interval: "soon".'),
    ('{ flow(where: {name: {_regex: "("}}) { id } }', None, "invalid regular expression"),
    ('{ flow(where: {name: {_like: "\\\\"}}) { id } }', None, "LIKE pattern must not end with escape character."),
    ("{ flow(limit: -1) { id } }", None, "limit cannot be negative, but is -1."),
    ("{ flow(offset: -3) { id } }", None, "offset cannot be negative, but is -3."),
    ("{ flow { tasks(limit: -1) { id } } }", None, "limit cannot be negative, but is -1."),
    ("{ flow(distinct_on: name, order_by: {version: asc}) { id } }", None, "begin order_by with name."),
    ("{ flow(distinct_on: [name, version], order_by: [{name: asc}, {id: asc}]) { id } }", None, "name, version."),
    ('{ flow { parameters(path: "a..b") } }', None, "'a..b' is not a path"),
    ('{ flow { parameters(path: "$[") } }', None, "is not a path"),
    ("query($n: String) { flow(where: {name: {_eq: $n}}) { id } }", {"n": "a\0b"}, "zero character"),
    ("query($n: String) { flow(where: {name: {_eq: $n}}) { id } }", {"n": "\ud800"}, "surrogate pair"),
    ("query($n: jsonb) { flow(where: {storage: {_eq: $n}}) { id } }", {"n": {"a": "\0"}}, "unsupported Unicode escape"),
    (
        "query($n: jsonb) { flow(where: {storage: {_eq: $n}}) { id } }",
        {"n": {"a": float("inf")}},
        "cannot be written as JSON",
    ),
    ("{ flow(where: {storage: {_eq: {a: 1e999}}}) { id } }", None, "cannot be written as JSON"),
]


@pytest.mark.parametrize(("text", "variables", "message"), BAD, ids=[text for text, _, _ in BAD])
async def test_bad_values_are_named_in_one_sentence(asker: Any, text: str, variables: Any, message: str) -> None:
    error = await asker.fail(text, variables)
    assert message in error.message
    assert "\n" not in error.message
    assert error.extensions == {"code": "BAD_USER_INPUT"}
    assert error.original_error is None
    assert error.path == [text.partition("(")[0].partition("{")[2].split()[0]] if text.startswith("{") else error.path


async def test_variables_of_the_wrong_type_are_refused_before_the_database(asker: Any) -> None:
    error = await asker.fail("query($id: uuid!) { flow_by_pk(id: $id) { id } }", {"id": 3})
    assert error.message == "Variable '$id' has invalid value: uuid is written as a string, not as 3."
    error = await asker.fail("query($id: uuid!) { flow_by_pk(id: $id) { id } }")
    assert "$id" in error.message


@pytest.mark.parametrize(
    ("text", "variable"),
    [
        ('query($v: uuid = "x") { flow(where: {id: {_in: [$v]}}) { id } }', "v"),
        ('query($v: uuid = "x") { flow_by_pk(id: $v) { id } }', "v"),
        ("query($v: flow_bool_exp = {}) { flow(where: {_or: [$v]}) { id } }", "v"),
        ("query($v: flow_order_by = {}) { flow(order_by: [$v]) { id } }", "v"),
        ("query($v: flow_select_column = id) { flow(distinct_on: [$v]) { id } }", "v"),
    ],
)
async def test_null_where_a_default_let_validation_pass(asker: Any, text: str, variable: str) -> None:
    error = await asker.fail(text, {variable: None})
    assert "null" in error.message
    assert error.original_error is None


async def test_a_lost_database_is_an_error_that_may_be_tried_again(asker: Any, world_dsn: str) -> None:
    database = await Database.connect(world_dsn, max_connections=2)
    await database.close()
    error = await replace(asker, database=database).fail("{ flow { id } }")
    assert isinstance(error.original_error, ApiUnavailableError)
    assert error.original_error.retryable


async def test_a_slow_question_is_stopped(asker: Any, world_dsn: str) -> None:
    async with await Database.connect(world_dsn, max_connections=2, statement_timeout=0.02) as database:
        runs = "flow_runs { task_runs { logs { id } flow_run { id } } }"
        many = " ".join(f"a{number}: {runs}" for number in range(400))
        unbounded = api_schema(Limits(cost=10**15, tables=10_000))
        error = await replace(asker, database=database, schema=unbounded).fail(f"{{ flow {{ {many} }} }}")
        assert error.extensions == {"code": "QUERY_TIMEOUT", "limit": "statement_timeout"}
        assert error.path == ["flow"]


async def test_queries_of_a_websocket_are_answered_alike(asker: Any) -> None:
    text = "{ flow(limit: 1) { __typename } hello }"
    results = [result async for result in await asker.schema.stream(text, context_value=asker.context())]
    assert [orjson.loads(orjson.dumps(result.data)) for result in results] == [
        {"flow": [{"__typename": "flow"}], "hello": "👋"}
    ]


async def test_deep_and_wide_questions_are_refused_or_answered(asker: Any) -> None:
    deep: Any = {"state": {"_eq": "Running"}}
    for _ in range(400):
        deep = {"_not": deep}
    text = "query($where: flow_run_bool_exp) { flow_run(where: $where) { id } }"
    result = await asker.ask(text, {"where": {"_or": [{"version": {"_eq": number % 10}} for number in range(5000)]}})
    assert len(result["flow_run"]) == len(RUNS)
    error = await asker.fail(text, {"where": {"_or": [{"version": {"_eq": 1}}] * 40_000}})
    assert "more than 32000 values" in error.message
    error = await asker.fail(text, {"where": deep})
    assert "deep" in error.message
    many = " ".join(f"a{number}: id" for number in range(1_001))
    error = await asker.fail(f"{{ flow {{ {many} }} }}")
    assert "1001 aliases" in error.message
