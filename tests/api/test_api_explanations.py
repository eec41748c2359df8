"""flow_run_explanation and flow_run_event_page over HTTP: what the tables say, as queries."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from api_world import Api
from serialized_flows import serialized_flow

EXPLAIN = """
query($id: UUID!) {
  flow_run_explanation(flow_run_id: $id) {
    state reason message since until labels agent_id
    agents { name labels is_live may_take missing_labels }
  }
}
"""
PAGE = """
query($id: UUID!, $after: String, $limit: Int) {
  flow_run_event_page(flow_run_id: $id, after: $after, limit: $limit) {
    cursor finished events { kind state message }
  }
}
"""


@pytest.fixture
def api(shared_api: Api) -> Api:
    return shared_api


async def new_run(api: Api, **members: Any) -> str:
    project = await api.mutate("create_project", name=f"project {uuid4()}")
    flow = await api.mutate("create_flow", project_id=project["id"], serialized_flow=serialized_flow())
    run_id: str = (await api.mutate("create_flow_run", flow_id=flow["id"], **members))["id"]
    return run_id


async def new_agent(api: Api, name: str, *labels: str) -> str:
    agent_id: str = (await api.mutate("register_agent", type="LocalAgent", name=name, labels=list(labels)))["id"]
    return agent_id


async def explanation(api: Api, run_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await api.data(EXPLAIN, {"id": run_id}))["flow_run_explanation"]
    return found


async def test_a_run_is_explained_through_its_life(own_api: Api) -> None:
    api = own_api
    run_id = await new_run(api, labels=["gpu", "big"])
    alone = await explanation(api, run_id)
    assert (alone["reason"], alone["labels"], alone["agents"]) == ("NO_AGENT", ["big", "gpu"], [])
    await new_agent(api, "far", "other")
    await new_agent(api, "near", "gpu", "x")
    gone = await new_agent(api, "gone", "gpu", "big")
    await api.database.execute(
        "update agent set last_queried = now() - interval '5 minutes' where id = $1::text::uuid", gone
    )
    waits = await explanation(api, run_id)
    assert waits["reason"] == "NO_AGENT"
    assert [(agent["name"], agent["is_live"], agent["missing_labels"]) for agent in waits["agents"]] == [
        ("gone", False, []),
        ("near", True, ["big"]),
        ("far", True, ["big", "gpu"]),
    ]
    assert "Closest: Agent 'near' lacks {'big'}" in waits["message"]
    assert "Agent 'gone' fits, but was last seen 5 minutes ago." in waits["message"]
    agent_id = await new_agent(api, "right", "gpu", "big", "more")
    expected = await explanation(api, run_id)
    assert (expected["reason"], expected["agents"][0]["name"]) == ("AGENT_EXPECTED", "right")
    claimed = await api.mutate(
        "claim_flow_runs", "flow_runs { id claim_token }", agent_id=agent_id, labels=["gpu", "big", "more"]
    )
    assert claimed["flow_runs"][0]["id"] == run_id
    taken = await explanation(api, run_id)
    assert (taken["reason"], taken["state"], taken["agent_id"], taken["agents"]) == (
        "CLAIMED",
        "Submitted",
        agent_id,
        [],
    )
    assert taken["message"].startswith("Agent 'right' has claimed the run, which is not yet running")
    assert taken["since"] < taken["until"]
    for state, reason in (("Running", "RUNNING"), ("Cancelling", "CANCELLING"), ("Cancelled", "FINISHED")):
        states = [{"flow_run_id": run_id, "state": {"type": state, "message": "so"}}]
        await api.mutate("set_flow_run_states", "states { id }", states=states)
        assert (await explanation(api, run_id))["reason"] == reason


async def test_a_run_that_was_claimed_before_its_start(api: Api) -> None:
    start = (datetime.now(UTC) + timedelta(seconds=40)).isoformat()
    run_id = await new_run(api, scheduled_start_time=start, labels=["early"])
    claim = {"agent_id": await new_agent(api, "early", "early"), "labels": ["early"]}
    before = (datetime.now(UTC) + timedelta(seconds=50)).isoformat()
    claimed = await api.mutate("claim_flow_runs", "flow_runs { id }", before=before, **claim)
    assert [run["id"] for run in claimed["flow_runs"]] == [run_id]
    found = await explanation(api, run_id)
    assert (found["reason"], found["state"], found["until"]) == ("STARTS_LATER", "Submitted", start)
    assert found["message"].endswith("; agent 'early' has it already.")


async def test_a_later_start_and_a_run_without_labels(api: Api) -> None:
    later = await explanation(api, await new_run(api, scheduled_start_time="2099-01-01T00:00:00+00:00"))
    assert (later["reason"], later["until"][:10]) == ("STARTS_LATER", "2099-01-01")
    await new_agent(api, "labelled", "x")
    plain = await explanation(api, await new_run(api, labels=[]))
    assert plain["reason"] == "NO_AGENT"
    assert "Agent 'labelled' has {'x'}" in plain["message"]


async def test_pages_of_events_are_those_of_the_subscription(api: Api) -> None:
    run_id = await new_run(api)
    lines = [{"flow_run_id": run_id, "message": f"line {number}", "name": "prefect"} for number in range(7)]
    await api.mutate("write_run_logs", "success", logs=lines)
    seen: list[str] = []
    after = None
    while True:
        page = (await api.data(PAGE, {"id": run_id, "after": after, "limit": 3}))["flow_run_event_page"]
        seen += [event["message"] for event in page["events"] if event["kind"] == "LOG"]
        if not page["events"]:
            break
        assert len(page["events"]) <= 3
        after = page["cursor"]
    assert seen == [f"line {number}" for number in range(7)]
    assert (page["cursor"], page["finished"]) == (after, False)
    await api.mutate(
        "set_flow_run_states", "states { id }", states=[{"flow_run_id": run_id, "state": {"type": "Failed"}}]
    )
    end = (await api.data(PAGE, {"id": run_id, "after": after}))["flow_run_event_page"]
    assert ([event["state"] for event in end["events"]], end["finished"]) == (["Failed"], True)


@pytest.mark.parametrize(
    ("query", "variables", "code"),
    [
        (EXPLAIN, {"id": str(uuid4())}, "NOT_FOUND"),
        (PAGE, {"id": str(uuid4())}, "NOT_FOUND"),
        (PAGE, {"id": str(uuid4()), "after": "yesterday"}, "BAD_USER_INPUT"),
        (PAGE, {"id": str(uuid4()), "limit": 501}, "BAD_USER_INPUT"),
    ],
)
async def test_what_cannot_be_answered(api: Api, query: str, variables: dict[str, Any], code: str) -> None:
    (error,) = await api.errors(query, variables)
    assert error["extensions"]["code"] == code
