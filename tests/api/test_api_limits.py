"""What one operation may ask for: every refusal has a stable code and names the limit."""

import json
from typing import Any

import pytest
from graphql import get_introspection_query, parse

from flowstead_server.api.document_limits import limit_errors
from flowstead_server.api.schema import api_schema
from flowstead_server.compiler.limits import Limits
from flowstead_server.domain.errors import StartupError
from flowstead_server.settings import read_settings

BOMB = "{ ...F0 } " + " ".join(
    f"fragment F{n} on Query {{ a{n}: hello ...F{n + 1} b{n}: api {{ version }} ...F{n + 1} }}" for n in range(40)
)
BOMB += " fragment F40 on Query { hello }"


@pytest.fixture
def api(shared_api: Any) -> Any:
    return shared_api


@pytest.mark.parametrize(
    ("limit", "allowed", "text"),
    [
        ("depth", 20, "{ flow { project { " + "flows { project { " * 10 + "id" + " }" * 23),
        ("root_fields", 500, "{ " + " ".join(f"a{number}: hello" for number in range(501)) + " }"),
        ("aliases", 1000, "{ flow(limit: 1) { " + " ".join(f"a{number}: id" for number in range(1001)) + " } }"),
        ("repeated_fields", 200, "{ " + "hello " * 400 + " }"),
        ("repeated_fields", 200, "{ flow { id " + "project { id } " * 400 + " } }"),
        ("fields", 10_000, BOMB),
        ("tokens", 100_000, "{ flow(where: {version: {_in: [" + "$a" * 50_001 + "]}}) { id } }"),
        ("tables", 2_000, "{ flow(where: {_or: [" + "{flow_runs: {}} " * 2_000 + "]}) { id } }"),
        ("tables", 2_000, "{ flow(order_by: [" + "{flow_runs_aggregate: {count: asc}} " * 2_000 + "]) { id } }"),
        ("cost", 25_000_000, "{ flow(limit: 100000) { flow_runs(limit: 100000) { id } } }"),
    ],
)
async def test_too_much_is_refused(api: Any, limit: str, allowed: int, text: str) -> None:
    response = await api.http.post("/", content=json.dumps({"query": text}).encode())
    (error,) = response.json()["errors"]
    assert error["extensions"] == {"code": "QUERY_TOO_LARGE", "limit": limit, "allowed": allowed}
    assert str(allowed) in error["message"]
    assert "API_ERROR" not in response.text


async def test_a_mutation_is_measured_too(api: Any) -> None:
    names = " ".join(f'p{n}: create_project(input: {{name: "limit {n}"}}) {{ id }}' for n in range(501))
    (error,) = await api.errors(f"mutation {{ {names} }}")
    assert error["extensions"]["limit"] == "root_fields"
    assert await api.data('{ project(where: {name: {_like: "limit %"}}) { id } }') == {"project": []}


async def test_a_websocket_is_measured_too(api: Any) -> None:
    for text in ("{ " + "hello " * 400 + " }", "{ hello }" + "#\n" * 100_001):
        async with api.socket() as socket:
            await socket.init()
            await socket.subscribe(text)
            message = await socket.receive()
            assert message["type"] in {"error", "next"}, message
            assert "QUERY_TOO_LARGE" in json.dumps(message)
            assert '"hello"' not in json.dumps(message)


async def test_normal_clients_meet_no_limit(api: Any) -> None:
    data = await api.data(get_introspection_query(descriptions=True))
    assert data["__schema"]["queryType"]["name"] == "Query"
    batch = " ".join(f'p{n}: create_project(input: {{name: "batch {n}"}}) {{ id }}' for n in range(100))
    assert len(await api.data(f"mutation {{ {batch} }}")) == 100
    ids = " ".join(f'"00000000-0000-4000-8000-{n:012}"' for n in range(4_000))
    assert await api.data(f"{{ task_run(where: {{id: {{_in: [{ids}]}}}}) {{ id }} }}") == {"task_run": []}


def test_introspection_can_be_switched_off() -> None:
    schema = api_schema(Limits(introspection=False))
    for text in ("{ __schema { types { name } } }", '{ ...F } fragment F on Query { a: __type(name: "x") { name } }'):
        (error,) = schema.documents.prepare(text).errors
        assert error.extensions == {"code": "INTROSPECTION_DISABLED"}
    assert not schema.documents.prepare("{ hello __typename }").errors


@pytest.mark.parametrize(
    "text",
    [
        "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
        "{ ...A } fragment A on Query { api { ...A } }",
        "{ ...Nothing }",
        "{ flow { ...A } } fragment A on flow { project { flows { ...A } } }",
        "fragment A on Query { hello }",
        "{ }",
    ],
)
def test_what_is_not_valid_is_left_to_validation(text: str) -> None:
    document = parse(text)
    assert limit_errors(document, Limits()) == []
    assert api_schema().documents.prepare(text).errors or not document.definitions[0].selection_set.selections


def test_fragments_are_expanded_before_counting() -> None:
    text = "{ a { ...F } b { ...F } } fragment F on T { x y { ...G } } fragment G on T { one: z two: z }"
    # a, b and twice x, y, one, two
    for limit, size in (("fields", 10), ("depth", 3), ("aliases", 4), ("root_fields", 2)):
        assert limit_errors(parse(text), Limits(**{limit: size})) == []
        (error,) = limit_errors(parse(text), Limits(**{limit: size - 1}))
        assert error.extensions == {"code": "QUERY_TOO_LARGE", "limit": limit, "allowed": size - 1}


def test_settings_of_limits() -> None:
    assert read_settings([], {}).limits == Limits()
    environment = {
        "PREFECT__SERVER__LIMITS__DEPTH": "9",
        "PREFECT__SERVER__LIMITS__MOST_ROWS": "50",
        "PREFECT__SERVER__INTROSPECTION": "false",
        "PREFECT__SERVER__DATABASE__STATEMENT_TIMEOUT": "2.5",
    }
    settings = read_settings([], environment)
    assert settings.limits == Limits(depth=9, default_rows=50, most_rows=50, introspection=False)
    assert settings.statement_timeout == 2.5
    assert not read_settings(["--disable-introspection"], {}).limits.introspection


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PREFECT__SERVER__LIMITS__DEPTH", "0"),
        ("PREFECT__SERVER__LIMITS__COST", "many"),
        ("PREFECT__SERVER__DATABASE__STATEMENT_TIMEOUT", "0"),
        ("PREFECT__SERVER__DATABASE__STATEMENT_TIMEOUT", "soon"),
        ("PREFECT__SERVER__DATABASE__STATEMENT_TIMEOUT", "nan"),
        ("PREFECT__SERVER__INTROSPECTION", "perhaps"),
    ],
)
def test_settings_that_make_no_sense(name: str, value: str) -> None:
    with pytest.raises(StartupError, match=name):
        read_settings([], {name: value})
