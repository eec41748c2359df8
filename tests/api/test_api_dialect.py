"""What 1.x programs send beside plain GraphQL (wire-protocol 1.3 to 1.9): headers, escapes, nulls, single objects."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest
from serialized_flows import serialized_flow


@pytest.fixture
def api(shared_api: Any) -> Any:
    """Tests here store rows of their own names."""
    return shared_api


async def new_flow(api: Any, **members: Any) -> str:
    project = await api.mutate("create_project", name=f"project {uuid4()}")
    flow = await api.mutate("create_flow", project_id=project["id"], serialized_flow=serialized_flow(**members))
    return str(flow["id"])


async def test_headers_of_an_agent(api: Any) -> None:
    register = "mutation($input: register_agent_input!) { register_agent(input: $input) { id } }"
    given = {"input": {"type": "LocalAgent", "name": str(uuid4()), "tenant_id": str(api.tenant_id)}}
    agent_id = (await api.data(register, given, **{"x-prefect-core-version": "1.4.1"}))["register_agent"]["id"]
    await api.database.execute("update agent set last_queried = null where id = $1::text::uuid", agent_id)
    headers = {"X-PREFECT-AGENT-ID": agent_id, "X-PREFECT-TENANT-ID": str(api.tenant_id), "Authorization": "Bearer k"}
    poll = "mutation($input: get_runs_in_queue_input!) { get_runs_in_queue(input: $input) { flow_run_ids } }"
    await api.data(poll, {"input": {"tenant_id": str(api.tenant_id), "labels": [str(uuid4())]}}, **headers)
    run_id = (await api.mutate("create_flow_run", flow_id=await new_flow(api)))["id"]
    submit = "mutation($input: set_flow_run_states_input!) { set_flow_run_states(input: $input) { states { status } } }"
    state = {"flow_run_id": run_id, "version": None, "state": {"type": "Submitted"}}
    await api.data(submit, {"input": {"states": [state]}}, **headers)
    data = await api.data(
        f"""{{ agent_by_pk(id: "{agent_id}") {{ core_version last_queried }}
            flow_run_by_pk(id: "{run_id}") {{ agent_id }} }}"""
    )
    assert data["agent_by_pk"]["core_version"] == "1.4.1"
    assert data["agent_by_pk"]["last_queried"] is not None
    assert data["flow_run_by_pk"] == {"agent_id": agent_id}


async def test_headers_that_mean_nothing_here_are_left_alone(api: Any) -> None:
    headers = {"X-PREFECT-HEARTBEAT-ID": "nonsense", "X-PREFECT-UI": "true", "X-PREFECT-TENANT-ID": "nonsense"}
    assert await api.data("{ tenant { id } }", None, **headers) == {"tenant": [{"id": str(api.tenant_id)}]}


@pytest.mark.parametrize("text", ["\N{GRINNING FACE}", 'quo"te\\', "line\nline", "Ünï\u2028"])
async def test_text_escaped_as_ascii_in_documents(api: Any, text: str) -> None:
    name = f"{text} {uuid4()}"
    literal = json.dumps(name)
    assert literal.isascii()
    created = await api.data(f"mutation {{ create_project(input: {{name: {literal}}}) {{ id }} }}")
    found = await api.data(f"{{ project(where: {{name: {{_eq: {literal}}}}}) {{ id name }} }}")
    assert found == {"project": [{"id": created["create_project"]["id"], "name": name}]}


async def test_nulls_in_filters_arguments_and_inputs(api: Any) -> None:
    flow_id = await new_flow(api, name=f"flow {uuid4()}")
    query = """query($name: String) { flow(where: {_and: [{id: {_eq: "%s"}, version: {_eq: null}}, {}],
        name: {_eq: $name}, project: {name: {_eq: null}}}, distinct_on: null, limit: null, order_by: null) { id } }"""
    for variables in (None, {}, {"name": None}):
        assert await api.data(query.replace("%s", flow_id), variables) == {"flow": [{"id": flow_id}]}
    run = await api.mutate(
        "create_flow_run", flow_id=flow_id, version_group_id=None, labels=None, parameters=None, context=None
    )
    assert run["id"]


async def test_an_object_stands_for_a_list_of_one(api: Any) -> None:
    run_id = (await api.mutate("create_flow_run", flow_id=await new_flow(api)))["id"]
    line = {"flow_run_id": run_id, "task_run_id": None, "name": "agent", "level": "Level 15", "message": "line"}
    assert await api.mutate("write_run_logs", "success", logs=line) == {"success": True}
    query = """query($order: [log_order_by!]) { flow_run(where: {_and: {id: {_eq: "%s"}}}, order_by: {created: desc},
        distinct_on: created) { logs(order_by: $order) { message level } } }"""
    data = await api.data(query.replace("%s", run_id), {"order": {"timestamp": "asc"}})
    assert data == {"flow_run": [{"logs": [{"message": "line", "level": "Level 15"}]}]}


async def test_empty_lists_and_naive_timestamps(api: Any) -> None:
    flow_id = await new_flow(api)
    run_id = (await api.mutate("create_flow_run", flow_id=flow_id, scheduled_start_time="2030-01-01T12:00:00"))["id"]
    query = """{ flow_run(where: {id: {_nin: [], _eq: "%s"}, scheduled_start_time: {_eq: "2030-01-01T12:00:00.000"}})
        { scheduled_start_time } none: flow_run(where: {id: {_in: []}}) { id } }"""
    data = await api.data(query.replace("%s", run_id))
    assert data["none"] == []
    assert data["flow_run"][0]["scheduled_start_time"].startswith("2030-01-01T12:00:00")


async def test_the_api_tells_what_it_is(api: Any) -> None:
    data = await api.data("query { api { backend mode version core_version release_timestamp } }")
    assert data["api"]["backend"] == "SERVER"
    assert data["api"]["mode"] == "normal"


async def test_probes_with_head_and_pages_on_both_paths(api: Any) -> None:
    for path in ("/", "/graphql", "/health", "/healthz", "/.well-known/apollo/server-health"):
        response = await api.http.head(path)
        assert (response.status_code, response.content) == (200, b"")
    for path in ("/", "/graphql"):
        response = await api.http.get(path, headers={"Accept": "text/html"})
        assert response.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("body", [b"{", b'{"query": "{ nothing }"}', b'{"query": "{ hello }"}'])
async def test_any_page_may_read_every_answer(api: Any, body: bytes) -> None:
    response = await api.http.post("/", content=body, headers={"Origin": "http://localhost:8080"})
    assert response.headers["access-control-allow-origin"] == "*"


async def test_batches_are_refused_with_a_sentence(api: Any) -> None:
    response = await api.http.post("/", json=[{"query": "{ hello }"}])
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}


async def test_no_redirects(api: Any) -> None:
    async with httpx.AsyncClient(base_url=api.url, follow_redirects=False) as client:
        for path in ("", "/", "//", "/graphql/", "/x/"):
            assert (await client.post(path, json={"query": "{ hello }"})).status_code == 200


async def test_errors_and_data_come_together(api: Any) -> None:
    """The first error always has extensions, which 1.x programs read without asking."""
    query = """mutation { archive_flow(input: {flow_id: "00000000-0000-0000-0000-000000000000"}) { success }
        ok: set_schedule_inactive(input: {flow_id: "%s"}) { success } }"""
    response = await api.post(query.replace("%s", await new_flow(api)))
    content = response.json()
    assert response.status_code == 200
    assert content["data"]["ok"] == {"success": True}
    assert all(error["extensions"]["code"] and error["path"] == ["archive_flow"] for error in content.get("errors", ()))
