"""The rules of the HTTP side: bodies, variables, status codes, error shapes, probes."""

import asyncio
import json
import logging
from typing import Any
from uuid import uuid4

import httpx
import pytest

HELLO = {"data": {"hello": "\N{WAVING HAND SIGN}"}}


@pytest.fixture
def api(shared_api: Any) -> Any:
    """Most tests here leave the database alone."""
    return shared_api


@pytest.mark.parametrize("path", ["/", "/graphql", "/graphql/", "/anything/below"])
async def test_posts_are_answered_on_every_path(api: Any, path: str) -> None:
    response = await api.http.post(path, json={"query": "{ hello }"})
    assert (response.status_code, response.json()) == (200, HELLO)
    assert response.headers["content-type"] == "application/json"
    assert response.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "variables",
    ["null", None, {}, "{}", '{"yes": true}', {"yes": True}],
)
async def test_variables_in_every_accepted_form(api: Any, variables: Any) -> None:
    query = "query($yes: Boolean = true) { hello @include(if: $yes) }"
    response = await api.http.post("/", json={"query": query, "variables": variables})
    assert (response.status_code, response.json()) == (200, HELLO)


async def test_absent_variables_and_a_body_without_a_content_type(api: Any) -> None:
    response = await api.http.post("/", content=b'{"query": "{ hello }"}')
    assert response.json() == HELLO


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b"{}", 'no member "query"'),
        (b'{"query": ""}', 'no member "query"'),
        (b'{"query": 7}', 'no member "query"'),
        (b'{"query": "{ hello }", "variables": "{"}', "string that is not valid JSON"),
        (b'{"query": "{ hello }", "variables": "[]"}', "must be an object"),
        (b'{"query": "{ hello }", "variables": [1]}', "must be an object"),
        (b'{"query": "{ hello }", "operationName": 7}', '"operationName" must be a string'),
    ],
)
async def test_bodies_that_cannot_be_understood_are_400(api: Any, body: bytes, sentence: str) -> None:
    response = await api.http.post("/", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    (error,) = response.json()["errors"]
    assert sentence in error["message"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}


@pytest.mark.parametrize(
    ("query", "variables", "code", "sentence"),
    [
        ("{ hello", None, "GRAPHQL_PARSE_FAILED", "Syntax Error"),
        ("{ nothing_here }", None, "GRAPHQL_VALIDATION_FAILED", "Cannot query field 'nothing_here'"),
        ("query($x: uuid!) { flow_by_pk(id: $x) { id } }", None, "BAD_USER_INPUT", "$x"),
        (
            "mutation($input: archive_flow_input!) { archive_flow(input: $input) { success } }",
            {"input": {"flow_id": "nonsense"}},
            "BAD_USER_INPUT",
            "Could not parse UUID: nonsense",
        ),
        (
            'mutation { archive_flow(input: {flow_id: "nonsense"}) { success } }',
            None,
            "GRAPHQL_VALIDATION_FAILED",
            "Could not parse UUID: nonsense",
        ),
        ("subscription { runs_ready { waiting } }", None, "GRAPHQL_VALIDATION_FAILED", "websocket"),
        ("fragment f on Query { hello }", None, "GRAPHQL_VALIDATION_FAILED", "f"),
        ("query a { hello } query b { hello }", None, "GRAPHQL_VALIDATION_FAILED", "several operations"),
    ],
)
async def test_mistakes_in_the_request_are_400_with_code_and_without_data(
    api: Any, query: str, variables: Any, code: str, sentence: str
) -> None:
    for _ in range(3):
        response = await api.post(query, variables)
        assert response.status_code == 400
        content = response.json()
        assert list(content) == ["errors"]
        assert {error["extensions"]["code"] for error in content["errors"]} == {code}
        assert sentence in json.dumps([error["message"] for error in content["errors"]])


async def test_the_operation_is_chosen_by_name(api: Any) -> None:
    body = {"query": "query a { hello } query b { __typename }", "operationName": "b"}
    assert (await api.http.post("/", json=body)).json() == {"data": {"__typename": "Query"}}
    body["operationName"] = "c"
    response = await api.http.post("/", json=body)
    assert response.status_code == 400
    assert "'c'" in response.json()["errors"][0]["message"]


async def test_a_body_beyond_the_limit_is_refused_with_the_limit(api: Any) -> None:
    limit = 200_000

    body = json.dumps({"query": "{ hello }", "padding": "x" * limit}).encode()
    response = await api.http.post("/", content=body)
    assert response.status_code == 400
    assert f"{limit} bytes" in response.json()["errors"][0]["message"]
    assert (await api.http.post("/", json={"query": "{ hello }"})).json() == HELLO


async def test_a_body_just_within_the_limit_is_taken(api: Any) -> None:
    frame = len(json.dumps({"query": "{ hello }", "padding": ""}))
    body = json.dumps({"query": "{ hello }", "padding": "x" * (200_000 - frame)}).encode()
    assert len(body) == 200_000
    assert (await api.http.post("/", content=body)).json() == HELLO


async def test_a_body_that_goes_on_and_on_ends_the_connection(api: Any) -> None:
    host, port = api.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    for _ in range(40):
        writer.write(chunk)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    assert b" 400 " in head
    assert b"connection: close" in head.lower()
    writer.close()


async def test_ids_in_headers_must_be_ids(api: Any) -> None:
    response = await api.post("{ hello }", **{"X-PREFECT-CLAIM-TOKEN": "nonsense"})
    assert response.status_code == 400
    assert "X-PREFECT-CLAIM-TOKEN" in response.json()["errors"][0]["message"]


async def test_other_methods_and_paths(api: Any) -> None:
    response = await api.http.put("/", json={})
    assert response.status_code == 405
    assert "POST" in response.headers["allow"]
    response = await api.http.get("/nowhere")
    assert response.status_code == 404


async def test_preflight_lets_any_page_ask(api: Any) -> None:
    response = await api.http.options(
        "/graphql",
        headers={
            "Origin": "http://localhost:8080",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,x-prefect-ui",
        },
    )
    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == "*"
    assert "POST" in response.headers["access-control-allow-methods"]
    assert response.headers["access-control-allow-headers"] == "content-type,x-prefect-ui"


async def test_probes(api: Any) -> None:
    response = await api.http.get("/health")
    assert (response.status_code, response.json()) == (200, {"status": "ok", "version": "9.9.9"})
    assert (await api.http.get("/healthz")).status_code == 200
    assert (await api.http.get("/.well-known/apollo/server-health")).json() == {"status": "pass"}
    page = await api.http.get("/", headers={"accept": "*/*"})
    assert page.status_code == 200
    assert "GraphQL API" in page.text


async def test_health_says_that_the_database_is_gone(own_api: Any) -> None:
    await own_api.database.close()
    response = await own_api.http.get("/health")
    assert response.status_code == 503
    assert response.json()["status"] == "unavailable"


async def test_without_a_database_operations_fail_in_a_way_that_clients_retry(own_api: Any) -> None:
    await own_api.database.close()
    response = await own_api.post("{ tenant { id } }")
    assert response.status_code == 200
    assert response.json()["errors"][0]["extensions"]["code"] == "API_ERROR"
    response = await own_api.post(
        "mutation($input: create_project_input!) { create_project(input: $input) { id } }", {"input": {"name": "p"}}
    )
    assert response.status_code == 200
    assert response.json()["errors"][0]["extensions"]["code"] == "API_ERROR"
    # whoever wants to hear of refusals is not told that this is one
    members = [{"task_run_id": str(uuid4()), "state": {"type": "Success"}} for _ in range(2)]
    response = await own_api.post(
        "mutation($input: set_task_run_states_input!) { set_task_run_states(input: $input) { states { status } } }",
        {"input": {"states": members, "report_refusals": True}},
    )
    assert response.json()["errors"][0]["extensions"]["code"] == "API_ERROR"


async def test_an_internal_error_is_masked_and_its_id_is_in_the_log(
    own_api: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await own_api.database.execute("alter table project rename to mislaid")
    query = "mutation($input: create_project_input!) { create_project(input: $input) { id } }"
    with caplog.at_level(logging.ERROR):
        response = await own_api.post(query, {"input": {"name": "p"}})
    assert response.status_code == 200
    content = response.json()
    (error,) = content["errors"]
    assert content["data"] == {"create_project": None}
    assert error["message"] == "Unable to complete operation. An internal API error occurred."
    assert error["path"] == ["create_project"]
    assert error["extensions"]["code"] == "API_ERROR"
    assert error["extensions"]["id"] in caplog.text
    assert "mislaid" not in response.text
    assert "mislaid" in caplog.text or "project" in caplog.text


async def test_many_at_once_over_one_connection_each(api: Any) -> None:
    async with httpx.AsyncClient(base_url=api.url) as client:
        answers = await asyncio.gather(*(client.post("/", json={"query": "{ hello }"}) for _ in range(200)))
    assert {answer.status_code for answer in answers} == {200}


async def test_documents_with_ids_in_them_do_not_fill_the_cache(api: Any) -> None:
    from flowstead_server.api.schema import api_schema

    before = len(api_schema().documents)
    for number in range(20):
        assert (await api.data(f"{{ once_{number}: hello }}")) == {f"once_{number}": "\N{WAVING HAND SIGN}"}
    assert len(api_schema().documents) == before
    for _ in range(2):
        await api.data("{ often: hello }")
    assert len(api_schema().documents) == before + 1
