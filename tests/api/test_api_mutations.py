"""Every mutation over HTTP: what it answers, and how it refuses."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest
from serialized_flows import (
    compressed,
    serialized_edge,
    serialized_flow,
    serialized_parameter,
    serialized_task,
)

NOBODY = "00000000-0000-4000-8000-000000000000"
SUBMITTED = {"type": "Submitted", "message": "Submitted for execution", "state": {"type": "Scheduled"}}


async def new_flow(api: Any, flow: dict[str, Any] | None = None, **members: Any) -> str:
    """Register a flow in a project of its own; return its id."""
    project = await api.mutate("create_project", name=f"project {uuid4()}")
    payload = await api.mutate(
        "create_flow", project_id=project["id"], serialized_flow=flow or serialized_flow(), **members
    )
    return payload["id"]


async def new_run(api: Any, **members: Any) -> str:
    """Create a run of a new flow; return its id."""
    payload = await api.mutate("create_flow_run", flow_id=await new_flow(api), **members)
    return payload["id"]


async def run_row(api: Any, run_id: str, select: str) -> dict[str, Any]:
    data = await api.data(f'{{ flow_run_by_pk(id: "{run_id}") {{ {select} }} }}')
    return data["flow_run_by_pk"]


async def set_state(api: Any, run_id: str, state: dict[str, Any], **members: Any) -> Any:
    payload = await api.mutate(
        "set_flow_run_states",
        "states { id status message }",
        states=[{"flow_run_id": run_id, "state": state, "version": None, **members}],
    )
    return payload["states"]


async def test_the_worked_exchange_of_a_1x_client(api: Any) -> None:
    flow_id = await new_flow(api, serialized_flow(parameters=[serialized_parameter("a", default=7)]))
    body = {
        "query": "mutation($input: create_flow_run_input!) {\n    create_flow_run(input: $input) {\n id\n }\n}",
        "variables": json.dumps(
            {"input": {"flow_id": flow_id, "idempotency_key": uuid4().hex, "parameters": {"a": 1}, "context": {}}}
        ),
    }
    headers = {"X-PREFECT-CORE-VERSION": "1.4.1"}
    first = await api.http.post("/", json=body, headers=headers)
    assert first.status_code == 200
    run_id = first.json()["data"]["create_flow_run"]["id"]
    assert first.json() == {"data": {"create_flow_run": {"id": run_id}}}
    assert (await api.http.post("/", json=body, headers=headers)).json() == first.json()

    agent = await api.mutate(
        "register_agent", type="LocalAgent", name="agent", labels=[], tenant_id=str(api.tenant_id), agent_config_id=None
    )
    queue = await api.data(
        "mutation($input: get_runs_in_queue_input!) { get_runs_in_queue(input: $input) { flow_run_ids } }",
        {"input": {"tenant_id": str(api.tenant_id), "labels": [], "before": "2100-01-01T00:00:00+00:00"}},
        **{"X-PREFECT-AGENT-ID": agent["id"]},
    )
    assert queue == {"get_runs_in_queue": {"flow_run_ids": [run_id]}}
    assert await set_state(api, run_id, SUBMITTED, version=1) == [{"id": run_id, "status": "SUCCESS", "message": None}]
    assert (await run_row(api, run_id, "state version parameters")) == {
        "state": "Submitted",
        "version": 2,
        "parameters": {"a": 1},
    }
    tasks = await api.data(f'{{ flow_by_pk(id: "{flow_id}") {{ tasks {{ id slug }} }} }}')
    info = await api.data(
        "mutation { get_or_create_task_run_info(input: "
        f'{{flow_run_id: "{run_id}", task_id: "{tasks["flow_by_pk"]["tasks"][0]["id"]}", map_index: -1}}) '
        "{ id version serialized_state } }"
    )
    assert info["get_or_create_task_run_info"]["version"] == 1
    assert info["get_or_create_task_run_info"]["serialized_state"]["type"] == "Pending"
    await api.mutate("create_project", name="twice")
    answer = await api.post(
        "mutation($input: create_project_input!) { create_project(input: $input) { id } }", {"input": {"name": "twice"}}
    )
    assert answer.status_code == 200
    assert answer.json()["data"] == {"create_project": None}
    assert answer.json()["errors"][0]["message"] == "Uniqueness violation."
    assert answer.json()["errors"][0]["path"] == ["create_project"]


async def test_inline_literals_create_a_run(api: Any) -> None:
    flow_id = await new_flow(api)
    data = await api.data(
        f'mutation {{ create_flow_run(input: {{ flow_id: "{flow_id}", parameters: "{{\\"a\\": 2}}", '
        'context: {b: [1, true]}, labels: "one", scheduled_start_time: "2030-01-31 12:00" }) { id } }'
    )
    row = await run_row(api, data["create_flow_run"]["id"], "parameters context labels scheduled_start_time")
    assert row == {
        "parameters": {"a": 2},
        "context": {"b": [1, True]},
        "labels": ["one"],
        "scheduled_start_time": "2030-01-31T12:00:00+00:00",
    }


async def test_tenants(api: Any) -> None:
    payload = await api.mutate("create_tenant", name="Second", slug="second")
    assert payload["id"]
    assert await api.refusal("create_tenant", name="Again", slug="second") == (
        "Uniqueness violation.",
        "UNIQUENESS_VIOLATION",
    )
    message, code = await api.refusal("create_tenant", name="Bad", slug="Not A Slug")
    assert message == 'Slug must be "slugified" (lowercase; no spaces)'
    assert code == "BAD_USER_INPUT"


async def test_projects(api: Any) -> None:
    payload = await api.mutate("create_project", name="p", description=None, tenant_id=str(api.tenant_id))
    data = await api.data("{ project { id name description } }")
    assert data == {"project": [{"id": payload["id"], "name": "p", "description": None}]}
    assert (await api.refusal("create_project", name="q", tenant_id=NOBODY))[0] == "Foreign key violation."


async def test_flows_compressed_and_in_pieces(api: Any) -> None:
    project = await api.mutate("create_project", name="p")
    bare = serialized_flow(tasks=[], edges=[])
    del bare["tasks"], bare["edges"]
    given = {"project_id": project["id"], "set_schedule_active": False, "version_group_id": None}
    flow = await api.mutate("create_flow_from_compressed_string", serialized_flow=compressed(bare), **given)
    tasks = [serialized_task("first-1"), serialized_task("second-1")]
    for _ in range(2):
        done = await api.mutate("register_tasks", "success", flow_id=flow["id"], serialized_tasks=tasks)
        assert done == {"success": True}
        done = await api.mutate(
            "register_edges", "success", flow_id=flow["id"], serialized_edges=[serialized_edge("first-1", "second-1")]
        )
        assert done == {"success": True}
    data = await api.data(
        f'{{ flow_by_pk(id: "{flow["id"]}") {{ version tasks_aggregate {{ aggregate {{ count }} }} }} }}'
    )
    assert data["flow_by_pk"] == {"version": 1, "tasks_aggregate": {"aggregate": {"count": 2}}}
    message, code = await api.refusal("create_flow_from_compressed_string", serialized_flow="nonsense", **given)
    assert (message, code) == ("Unable to decompress serialized flow", "BAD_USER_INPUT")
    message, _ = await api.refusal("create_flow", serialized_flow=serialized_flow(), project_id=NOBODY)
    assert message == "Invalid project."
    message, _ = await api.refusal(
        "register_edges", "success", flow_id=flow["id"], serialized_edges=[serialized_edge("first-1", "nowhere-1")]
    )
    assert message.startswith("Edges could not be registered")


async def test_a_flow_can_be_sent_as_text_inside_a_document(api: Any) -> None:
    project = await api.mutate("create_project", name="p")
    text = json.dumps(json.dumps(serialized_flow()))
    data = await api.data(
        f'mutation {{ create_flow(input: {{ project_id: "{project["id"]}", serialized_flow: {text} }}) {{ id }} }}'
    )
    assert data["create_flow"]["id"]


async def test_archiving_and_schedules(api: Any) -> None:
    flow_id = await new_flow(api)
    assert await api.mutate("set_schedule_active", "success", flow_id=flow_id) == {"success": False}
    assert await api.mutate("set_schedule_inactive", "success", flow_id=flow_id) == {"success": True}
    assert await api.mutate("archive_flow", "success error", flow_id=flow_id) == {"success": True, "error": None}
    assert await api.mutate("archive_flow", "success", flow_id=NOBODY) == {"success": False}
    message, _ = await api.refusal("create_flow_run", flow_id=flow_id)
    assert message == f"Flow {flow_id} is archived."


async def test_refusals_to_create_a_run(api: Any) -> None:
    assert (await api.refusal("create_flow_run", flow_id=NOBODY))[0] == f"Flow {NOBODY} not found"
    assert (await api.refusal("create_flow_run"))[0] == "A flow id or version group ID must be provided."
    flow_id = await new_flow(api, serialized_flow(parameters=[serialized_parameter("x", required=True)]))
    message, code = await api.refusal("create_flow_run", flow_id=flow_id)
    assert message == "Required parameters were not supplied: {'x'}"
    assert code == "BAD_USER_INPUT"
    for members in ({"parameters": [1]}, {"parameters": "text"}, {"run_config": 7}, {"flow_run_name": "n" * 5_000}):
        _, code = await api.refusal("create_flow_run", flow_id=flow_id, **members)
        assert code == "BAD_USER_INPUT"
    data = await api.data("{ flow_run_aggregate { aggregate { count } } }")
    assert data == {"flow_run_aggregate": {"aggregate": {"count": 0}}}


async def test_one_bad_request_among_many_at_once_fails_alone(api: Any) -> None:
    flow_id = await new_flow(api)
    query = "mutation($input: create_flow_run_input!) { create_flow_run(input: $input) { id } }"
    inputs: list[dict[str, Any]] = [{"flow_id": flow_id}] * 20 + [{"flow_id": NOBODY}] + [{"flow_id": flow_id}] * 20
    answers = await asyncio.gather(*(api.post(query, {"input": given}) for given in inputs))
    failed = [index for index, answer in enumerate(answers) if "errors" in answer.json()]
    assert failed == [20]
    assert len({answer.json()["data"]["create_flow_run"]["id"] for i, answer in enumerate(answers) if i != 20}) == 40


async def test_names_and_heartbeats(api: Any) -> None:
    run_id = await new_run(api, flow_run_name="before")
    assert await api.mutate("set_flow_run_name", "success", flow_run_id=run_id, name="after") == {"success": True}
    assert (await run_row(api, run_id, "name heartbeat"))["name"] == "after"
    assert (await api.refusal("set_flow_run_name", "success", flow_run_id=run_id, name=""))[0] == "Invalid name"
    assert await api.mutate("set_flow_run_name", "success", flow_run_id=NOBODY, name="x") == {"success": False}
    for known in (run_id, NOBODY):
        data = await api.data(
            f'mutation {{ update_flow_run_heartbeat(input: {{flow_run_id: "{known}"}}) {{ success }} }}'
        )
        assert data == {"update_flow_run_heartbeat": {"success": True}}
    assert (await run_row(api, run_id, "heartbeat"))["heartbeat"] is not None


async def test_task_runs(api: Any) -> None:
    run_id = await new_run(api)
    data = await api.data(f'{{ flow_run_by_pk(id: "{run_id}") {{ task_runs {{ id task_id }} }} }}')
    task_run = data["flow_run_by_pk"]["task_runs"][0]
    given = {"flow_run_id": run_id, "task_id": task_run["task_id"]}
    assert await api.mutate("get_or_create_task_run", **given) == {"id": task_run["id"]}
    select = "id version state serialized_state"
    infos = await asyncio.gather(
        *(api.mutate("get_or_create_task_run_info", select, map_index=3, **given) for _ in range(8))
    )
    assert len({info["id"] for info in infos}) == 1
    assert infos[0]["version"] == 1
    assert infos[0]["state"] == "Pending"
    child = infos[0]["id"]
    assert await api.data(f'{{ get_task_run_info(task_run_id: "{child}") {{ {select} }} }}') == {
        "get_task_run_info": infos[0]
    }
    assert await api.mutate("set_task_run_name", "success", task_run_id=child, name="third") == {"success": True}
    message, _ = await api.refusal("get_or_create_task_run_info", flow_run_id=run_id, task_id=NOBODY)
    assert message == "Invalid task ID"
    message, _ = await api.refusal("get_or_create_task_run", flow_run_id=run_id, task_id=NOBODY)
    assert message == "Invalid ID"
    (error,) = await api.errors(f'{{ get_task_run_info(task_run_id: "{NOBODY}") {{ id }} }}')
    assert error["message"] == "Invalid task run ID"
    assert error["extensions"]["code"] == "NOT_FOUND"


async def test_states_of_flow_runs(api: Any) -> None:
    run_id, other = await new_run(api), await new_run(api)
    await set_state(api, run_id, SUBMITTED)
    query = "mutation($input: set_flow_run_states_input!) { set_flow_run_states(input: $input) { states { id } } }"
    states = [
        {"flow_run_id": run_id, "state": SUBMITTED},
        {"flow_run_id": other, "state": SUBMITTED},
    ]
    answer = (await api.post(query, {"input": {"states": states}})).json()
    assert answer["data"] == {"set_flow_run_states": None}
    assert answer["errors"][0]["message"] == "State update failed: this run has already been submitted."
    assert (await run_row(api, other, "state"))["state"] == "Submitted"
    for state in ({"type": "Nonsense"}, "text", 7, [], {}, {"type": "Success", "message": "x" * 1_100_000}):
        body = {"query": query, "variables": {"input": {"states": {"flow_run_id": run_id, "state": state}}}}
        if len(json.dumps(body)) > 200_000:
            continue
        refused = (await api.http.post("/", json=body)).json()
        assert refused["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    message, _ = await api.refusal(
        "set_flow_run_states", "states { id }", states=[{"flow_run_id": NOBODY, "state": SUBMITTED}]
    )
    assert message == f"State update failed for flow run ID {NOBODY}"


async def test_states_of_task_runs(api: Any) -> None:
    run_id = await new_run(api)
    data = await api.data(f'{{ flow_run_by_pk(id: "{run_id}") {{ task_runs {{ id }} }} }}')
    task_run = data["flow_run_by_pk"]["task_runs"][0]["id"]
    running = {"type": "Running", "message": "Starting task run."}
    message, _ = await api.refusal(
        "set_task_run_states", "states { id }", states=[{"task_run_id": task_run, "state": running, "version": 1}]
    )
    assert message.startswith(f"State update failed for task run ID {task_run}: provided a running state")
    await set_state(api, run_id, SUBMITTED)
    await set_state(api, run_id, {"type": "Running"}, version=2)
    payload = await api.mutate(
        "set_task_run_states",
        "states { id status message }",
        states={"task_run_id": task_run, "state": running, "version": 1, "flow_run_version": None},
    )
    assert payload == {"states": [{"id": task_run, "status": "SUCCESS", "message": None}]}
    unknown = str(uuid4())
    members = [{"task_run_id": one, "state": {"type": "Success"}} for one in (unknown, task_run)]
    await api.refusal("set_task_run_states", "states { id }", states=members)
    payload = await api.mutate(
        "set_task_run_states", "states { id status message code }", states=members, report_refusals=True
    )
    refused = f"State update failed for task run ID {unknown}"
    assert payload["states"] == [
        {"id": unknown, "status": "REFUSED", "message": refused, "code": "NOT_FOUND"},
        {"id": task_run, "status": "SUCCESS", "message": None, "code": None},
    ]


async def test_a_stale_copy_of_a_finished_run_is_told_so(api: Any) -> None:
    run_id = await new_run(api)
    for state in ("Running", "Success"):
        await set_state(api, run_id, {"type": state})
    _, code = await api.refusal(
        "set_flow_run_states", "states { id }", states=[{"flow_run_id": run_id, "state": {"type": "Running"}}]
    )
    assert code == "VERSION_LOCKING_ERROR"


async def test_cancelling(api: Any) -> None:
    run_id = await new_run(api)
    assert await api.mutate("cancel_flow_run", "state", flow_run_id=run_id) == {"state": "Cancelled"}
    assert await api.mutate("cancel_flow_run", "state", flow_run_id=run_id) == {"state": "Cancelled"}
    running = await new_run(api)
    await set_state(api, running, {"type": "Running"})
    assert await api.mutate("cancel_flow_run", "state", flow_run_id=running) == {"state": "Cancelling"}
    assert (await api.refusal("cancel_flow_run", "state", flow_run_id=NOBODY))[0] == f"Invalid flow run ID: {NOBODY}."


@pytest.mark.parametrize("as_list", [True, False])
async def test_logs(api: Any, as_list: bool) -> None:
    run_id = await new_run(api)
    line = {
        "flow_run_id": run_id,
        "task_run_id": None,
        "timestamp": "2030-01-31T12:00:00.5",
        "name": "prefect",
        "level": "Level 15",
        "message": "\ud83d\ude00 line",
        "info": {"a": [1]},
    }
    logs: Any = [line, {"flow_run_id": run_id}] if as_list else line
    assert await api.mutate("write_run_logs", "success", logs=logs) == {"success": True}
    row = await run_row(api, run_id, "logs(order_by: {timestamp: desc}) { timestamp name level message info }")
    assert row["logs"][0] == {
        "timestamp": "2030-01-31T12:00:00.5+00:00",
        "name": "prefect",
        "level": "Level 15",
        "message": "\N{GRINNING FACE} line",
        "info": {"a": [1]},
    }
    if as_list:
        assert row["logs"][1]["level"] == "INFO"


async def test_logs_of_unknown_runs_fail_the_batch(api: Any) -> None:
    run_id = await new_run(api)
    lines = [{"flow_run_id": run_id, "message": "kept?"}, {"flow_run_id": NOBODY, "message": "lost"}]
    assert (await api.refusal("write_run_logs", "success", logs=lines))[0] == "Foreign key violation."
    assert (await run_row(api, run_id, "logs { id }"))["logs"] == []
    assert await api.mutate("write_run_logs", "success", logs=[]) == {"success": True}


async def test_agents(api: Any) -> None:
    given = {"type": "LocalAgent", "name": "agent", "labels": ["b", "a"], "tenant_id": None}
    first = await api.mutate("register_agent", **given)
    assert await api.mutate("register_agent", **{**given, "labels": ["a", "b"]}) == first
    data = await api.data("{ agent { id name type labels core_version } }")
    assert data["agent"] == [
        {"id": first["id"], "name": "agent", "type": "LocalAgent", "labels": ["a", "b"], "core_version": "1.4.1"}
    ]
    assert (await api.refusal("register_agent", type="LocalAgent", tenant_id=NOBODY))[0] == "No tenant found."


async def test_claims(api: Any) -> None:
    run_id = await new_run(api, parameters={"a": 1})
    later = await new_run(api, scheduled_start_time="2100-01-01T00:00:00+00:00")
    agent = (await api.mutate("register_agent", type="LocalAgent"))["id"]
    select = (
        "flow_runs { id name version claim_token lease_expires start_time restart parameters run_config flow_id "
        "flow_name storage core_version } next_start_time"
    )
    payload = await api.mutate("claim_flow_runs", select, agent_id=agent, limit=10)
    (claimed,) = payload["flow_runs"]
    assert (claimed["id"], claimed["version"], claimed["restart"]) == (run_id, 2, False)
    assert claimed["flow_name"] == "flow"
    assert claimed["parameters"] == {"a": 1}
    assert claimed["storage"]["type"] == "Local"
    assert payload["next_start_time"].startswith("2100-01-01T00:00:00")
    assert (await run_row(api, later, "state"))["state"] == "Scheduled"
    assert (await api.mutate("claim_flow_runs", "flow_runs { id }", agent_id=agent))["flow_runs"] == []

    token = claimed["claim_token"]
    claims = [{"flow_run_id": run_id, "claim_token": token}, {"flow_run_id": NOBODY, "claim_token": token}]
    extended = await api.mutate(
        "extend_flow_run_claims", "lease_expires lost", agent_id=agent, claims=claims, lease_seconds=600
    )
    assert extended["lost"] == [NOBODY]
    assert extended["lease_expires"] > claimed["lease_expires"]

    query = "mutation($input: set_flow_run_states_input!) { set_flow_run_states(input: $input) { states { status } } }"
    running = {"input": {"states": [{"flow_run_id": run_id, "state": {"type": "Running"}, "version": 2}]}}
    (error,) = await api.errors(query, running, **{"X-PREFECT-CLAIM-TOKEN": str(uuid4())})
    assert error["extensions"]["code"] == "VERSION_LOCKING_ERROR"
    data = await api.data(query, running, **{"X-PREFECT-CLAIM-TOKEN": token})
    assert data == {"set_flow_run_states": {"states": [{"status": "SUCCESS"}]}}


@pytest.mark.parametrize("members", [{"limit": 0}, {"limit": 101}, {"lease_seconds": 1}, {"lease_seconds": 4_000}])
async def test_claims_within_their_limits(api: Any, members: dict[str, int]) -> None:
    agent = (await api.mutate("register_agent", type="LocalAgent"))["id"]
    _, code = await api.refusal("claim_flow_runs", "flow_runs { id }", agent_id=agent, **members)
    assert code == "BAD_USER_INPUT"


async def test_text_that_postgresql_cannot_store_is_the_senders_mistake(api: Any) -> None:
    flow_id = await new_flow(api)
    for members in ({"parameters": {"a": "\0"}}, {"flow_run_name": "a\0b"}, {"labels": ["\0"]}, {"context": {"\0": 1}}):
        _, code = await api.refusal("create_flow_run", flow_id=flow_id, **members)
        assert code == "BAD_USER_INPUT", members
