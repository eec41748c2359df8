"""Mutations with their input written into the document, as people send them from the playground."""

from typing import Any

import pytest
from serialized_flows import serialized_flow


@pytest.fixture
def api(shared_api: Any) -> Any:
    return shared_api


async def _flow(api: Any, name: str) -> str:
    project = await api.mutate("create_project", name=name)
    flow = await api.mutate("create_flow", project_id=project["id"], serialized_flow=serialized_flow())
    flow_id: str = flow["id"]
    return flow_id


async def test_a_run_is_created_and_moved_with_literals(api: Any) -> None:
    flow_id = await _flow(api, "literal runs")
    created = await api.data(
        f"""
        mutation {{
          create_flow_run(input: {{
            flow_id: "{flow_id}",
            flow_run_name: "by hand",
            context: {{note: "from the playground", deep: {{list: [1, 2.5, true, null]}}}},
            scheduled_start_time: "2035-01-01T00:00:00"
          }}) {{ id }}
        }}
        """
    )
    run_id = created["create_flow_run"]["id"]
    moved = await api.data(
        f"""
        mutation {{
          set_flow_run_states(input: {{
            states: [{{flow_run_id: "{run_id}", version: 1, state: {{type: "Cancelled", message: "not needed"}}}}]
          }}) {{ states {{ id status message }} }}
          set_flow_run_name(input: {{flow_run_id: "{run_id}", name: "cancelled by hand"}}) {{ success }}
        }}
        """
    )
    assert moved["set_flow_run_states"]["states"][0]["status"] == "SUCCESS"
    assert moved["set_flow_run_name"] == {"success": True}
    found = await api.data(
        f'{{ flow_run_by_pk(id: "{run_id}") {{ name state state_message context scheduled_start_time }} }}'
    )
    assert found["flow_run_by_pk"] == {
        "name": "cancelled by hand",
        "state": "Cancelled",
        "state_message": "not needed",
        "context": {"note": "from the playground", "deep": {"list": [1, 2.5, True, None]}},
        "scheduled_start_time": "2035-01-01T00:00:00+00:00",
    }


async def test_projects_with_literals(api: Any) -> None:
    data = await api.data(
        """
        mutation {
          first: create_project(input: {name: "literal one", description: "by hand"}) { id }
          second: create_project(input: {name: "literal two"}) { id }
        }
        """
    )
    deleted = await api.data(
        f"""mutation {{ delete_project(input: {{project_id: "{data["first"]["id"]}"}}) {{ success }} }}"""
    )
    assert deleted == {"delete_project": {"success": True}}
    left = await api.data('{ project(where: {name: {_ilike: "LITERAL T%"}}) { id description } }')
    assert left == {"project": [{"id": data["second"]["id"], "description": None}]}
    assert await api.data('{ project(where: {name: {_eq: "literal one"}}) { id } }') == {"project": []}
