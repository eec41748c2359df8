"""What a client writes is never SQL: values are bind arguments, names come from the catalog."""

from typing import Any

import asyncpg
import pytest
from compiler_world import OURS, our_rows
from graphql import parse, validate

from flowstead_server.api.schema import api_schema
from flowstead_server.compiler.statement import compile_fields

ATTEMPTS = [
    "' or '1'='1",
    "'; drop table flow; --",
    '"; drop table flow; --',
    "$1",
    "$$; drop table flow; $$",
    "%s %(name)s {row} {tenant} {0}",
    "\\'; drop table flow; --",
    "\\",
    "/* */ -- ",
    "e'\\x27'",
    "ʼ or 1=1",
    "\u2028\u2029\ufeff",
    "{a,b}",
    "\n\r\t\b\f\x1b\x7f",
]


@pytest.fixture
async def stranger(asker: Any, world_dsn: str) -> Any:
    """A way to give one project any name, undone afterwards."""
    connection = await asyncpg.connect(world_dsn)
    project = our_rows("project")[0]

    async def rename(name: str) -> None:
        await connection.execute("update project set name = $1 where id::text = $2", name, project["id"])

    yield rename
    await rename(project["name"])
    await connection.close()


@pytest.mark.parametrize("text", ATTEMPTS)
async def test_text_is_found_and_answered_as_it_is(asker: Any, stranger: Any, text: str) -> None:
    await stranger(text)
    for operator in ({"_eq": text}, {"_in": [text]}, {"_in": text}):
        data = await asker.ask(
            "query($where: project_bool_exp) { project(where: $where) { name } }", {"where": {"name": operator}}
        )
        assert data == {"project": [{"name": text}]}
    data = await asker.ask("query($name: String) { project(where: {name: {_neq: $name}}) { name } }", {"name": text})
    assert data == {"project": [{"name": "two"}]}


@pytest.mark.parametrize("text", ATTEMPTS)
async def test_text_in_every_other_place(asker: Any, text: str) -> None:
    data = await asker.ask(
        """query($text: String, $pattern: String, $json: jsonb, $keys: [String!]) {
            key: flow_run(where: {parameters: {_has_key: $text}}) { id }
            any: flow_run(where: {parameters: {_has_keys_any: $keys}}) { id }
            value: flow_run(where: {parameters: {_contains: $json}}) { id }
            equal: flow_run(where: {parameters: {_eq: $json}}) { id }
            cast: flow_run(where: {parameters: {_cast: {String: {_eq: $text}}}}) { id }
            like: flow_run(where: {name: {_ilike: $pattern, _eq: "no run has this name"}}) { id }
        }""",
        # a pattern may not end with its escape character
        {"text": text, "pattern": f"%{text}%", "json": {text: [text]}, "keys": [text, text]},
    )
    assert set(map(len, data.values())) == {0}


@pytest.mark.parametrize("path", ["a'b", "$.a'); drop table flow; --", 'a"b', "a b", "a{b}", "[x]", "a.b'", "[0"])
async def test_paths_are_steps_or_refused(asker: Any, path: str) -> None:
    error = await asker.fail("query($path: String) { flow { parameters(path: $path) } }", {"path": path})
    assert error.extensions == {"code": "BAD_USER_INPUT"}


@pytest.mark.parametrize("path", ['$["\'; drop table flow; --"]', "$['\" || 1']", "['{a,b}']"])
async def test_quoted_steps_may_hold_anything(asker: Any, path: str) -> None:
    data = await asker.ask("query($path: String) { flow { parameters(path: $path) } }", {"path": path})
    assert {row["parameters"] for row in data["flow"]} == {None}


@pytest.mark.parametrize(
    "text",
    [
        '{ flow(order_by: {name: "asc; drop table flow"}) { id } }',
        "{ flow(order_by: {nothing: asc}) { id } }",
        "{ flow(distinct_on: nothing) { id } }",
        '{ flow(distinct_on: "name") { id } }',
        "{ flow(where: {nothing: {_eq: 1}}) { id } }",
        "{ flow(where: {name: {_nothing: 1}}) { id } }",
        "{ flow { claim_token } }",
        "{ log { seq } }",
        "{ flow_run(order_by: {queue_time: asc}) { id } }",
        "{ label_set { id } }",
        "{ schema_migration { version } }",
    ],
)
async def test_unknown_names_never_reach_the_compiler(asker: Any, text: str) -> None:
    result = await asker.schema.execute(text)
    assert result.data is None
    assert result.errors


@pytest.mark.parametrize(
    "variables",
    [
        {"order": {"name": "asc; drop table flow"}},
        {"order": {"name; drop table flow": "asc"}},
        {"order": "name"},
        {"columns": ["name; drop table flow"]},
        {"limit": "1; drop table flow"},
    ],
)
async def test_unknown_names_in_variables_never_reach_the_compiler(asker: Any, variables: dict[str, Any]) -> None:
    text = """query($order: [flow_order_by!], $columns: [flow_select_column!], $limit: Int) {
        flow(order_by: $order, distinct_on: $columns, limit: $limit) { id } }"""
    error = await asker.fail(text, variables)
    assert error.message.startswith("Variable ")
    assert len((await asker.ask("{ flow { id } }"))["flow"]) == len(our_rows("flow"))


def _sql(text: str, variables: dict[str, Any]) -> str:
    document = parse(text)
    assert validate(api_schema()._schema, document) == []
    fields = {node.name.value: [node] for node in document.definitions[0].selection_set.selections}
    return compile_fields(fields, tenant_id=OURS, fragments={}, variables=variables).sql


def test_one_shape_is_one_statement_whatever_the_values() -> None:
    shape = '{{ flow_run(where: {{name: {{_eq: "{}"}}, version: {{_gt: {}}}}}, limit: {}) {{ id flow {{ name }} }} }}'
    first, second = _sql(shape.format("a", 7401, 7402), {}), _sql(shape.format("b", 3, 4), {})
    assert first == second
    by_variable = (
        "query($n: String) { flow_run(where: {name: {_eq: $n}, version: {_gt: 5}}, limit: 6) { id flow { name } } }"
    )
    assert _sql(by_variable, {"n": "c"}) == first
    assert all(value not in first for value in ("'a'", "7401", "7402"))
