"""The mutations with which people manage what is stored, and the queries beside the tables."""

import json
from typing import Any
from uuid import uuid4

import pytest
from serialized_flows import serialized_flow, serialized_parameter

from flowstead_server.domain.caller import Caller
from flowstead_server.orchestration.deletions import delete_tenant
from flowstead_server.orchestration.projects import CreateProject, create_project
from flowstead_server.orchestration.tenants import CreateTenant, create_tenant

NOBODY = "00000000-0000-4000-8000-000000000000"
DONE = {"success": True}
NOTHING = {"success": False}


async def new_flow(api: Any, name: str = "flow", project_id: str | None = None, **members: Any) -> dict[str, str]:
    """Register a flow; return its id and those of its project and group."""
    project_id = project_id or (await api.mutate("create_project", name=f"project {uuid4()}"))["id"]
    made = await api.mutate("create_flow", project_id=project_id, serialized_flow=serialized_flow(name=name, **members))
    data = await api.data(f'{{ flow_by_pk(id: "{made["id"]}") {{ flow_group_id }} }}')
    return {"id": made["id"], "project": project_id, "group": data["flow_by_pk"]["flow_group_id"]}


async def new_run(api: Any, flow_id: str, **members: Any) -> str:
    return (await api.mutate("create_flow_run", flow_id=flow_id, **members))["id"]


async def one(api: Any, table: str, ident: str, select: str) -> Any:
    return (await api.data(f'{{ {table}_by_pk(id: "{ident}") {{ {select} }} }}'))[f"{table}_by_pk"]


async def test_projects_are_renamed_described_and_deleted(api: Any) -> None:
    flow = await new_flow(api)
    run = await new_run(api, flow["id"])
    project = flow["project"]
    taken = await api.mutate("create_project", name="taken")
    assert await api.mutate("set_project_name", project_id=project, name="new") == {"id": project}
    assert await api.mutate("set_project_description", project_id=project, description="why") == {"id": project}
    assert await one(api, "project", project, "name description") == {"name": "new", "description": "why"}
    assert (await api.refusal("set_project_name", project_id=project, name="taken"))[0] == "Uniqueness violation."
    assert await api.refusal("set_project_name", project_id=NOBODY, name="x") == ("Update failed", "NOT_FOUND")
    assert await api.refusal("set_project_description", project_id=NOBODY) == ("Update failed", "NOT_FOUND")
    assert (await api.refusal("set_project_name", project_id=project, name=""))[1] == "BAD_USER_INPUT"
    assert await api.mutate("delete_project", "success", project_id=project) == DONE
    assert await api.mutate("delete_project", "success", project_id=project) == NOTHING
    assert await one(api, "flow_run", run, "id") is None
    assert await one(api, "flow", flow["id"], "id") is None
    assert await one(api, "flow_group", flow["group"], "id") is not None
    assert (await api.data("{ project { id } }"))["project"] == [taken]


async def test_tenants_change_themselves_only(api: Any) -> None:
    mine = str(api.tenant_id)
    assert await api.mutate("update_tenant_name", tenant_id=mine, name="Mine") == {"id": mine}
    assert await api.mutate("update_tenant_settings", tenant_id=mine, settings={"a": 1, "b": [2]}) == {"id": mine}
    assert await api.mutate("update_tenant_settings", tenant_id=mine, settings={"a": 3}) == {"id": mine}
    assert await api.mutate("update_tenant_settings", tenant_id=mine, settings=None) == {"id": mine}
    assert await api.mutate("update_tenant_slug", tenant_id=mine, slug="mine") == {"id": mine}
    assert (await api.data("{ tenant { name slug settings } }"))["tenant"] == [
        {"name": "Mine", "slug": "mine", "settings": {"a": 3, "b": [2]}}
    ]
    other = (await api.mutate("create_tenant", name="Other", slug="other"))["id"]
    for unknown in (other, NOBODY):
        assert (await api.refusal("update_tenant_name", tenant_id=unknown, name="x"))[0] == "Update failed."
        assert (await api.refusal("update_tenant_slug", tenant_id=unknown, slug="x"))[0] == "Update failed."
        message, _ = await api.refusal("update_tenant_settings", tenant_id=unknown, settings={})
        assert message == "Invalid tenant id."
        assert await api.mutate("delete_tenant", "success", tenant_id=unknown, confirm=True) == NOTHING
    assert (await api.refusal("update_tenant_slug", tenant_id=mine, slug="other"))[0] == "Uniqueness violation."
    message, _ = await api.refusal("update_tenant_slug", tenant_id=mine, slug="No Slug")
    assert message == 'Slug must be "slugified" (lowercase; no spaces)'
    message, _ = await api.refusal("delete_tenant", "success", tenant_id=mine, confirm=False)
    assert message == "Must pass `confirm=True` to proceed."
    message, code = await api.refusal("delete_tenant", "success", tenant_id=mine, confirm=True)
    assert message.startswith("The default tenant cannot be deleted")
    assert code == "BAD_USER_INPUT"


async def test_a_tenant_goes_with_everything_in_it(api: Any) -> None:
    caller = Caller(await create_tenant(api.database, CreateTenant("Gone", "gone")))
    await create_project(api.database, caller, CreateProject("p"))
    assert await delete_tenant(api.database, caller, caller.tenant_id, confirm=True)
    assert not await delete_tenant(api.database, caller, caller.tenant_id, confirm=True)
    assert await api.database.fetch("select from project where tenant_id = $1", caller.tenant_id) == []


async def test_flows_are_moved_and_deleted(api: Any) -> None:
    flow = await new_flow(api)
    runs = [await new_run(api, flow["id"]) for _ in range(3)]
    await api.mutate("write_run_logs", "success", logs=[{"flow_run_id": run, "message": "x"} for run in runs])
    other = (await api.mutate("create_project", name="other"))["id"]
    assert await api.mutate("update_flow_project", flow_id=flow["id"], project_id=other) == {"id": flow["id"]}
    assert (await one(api, "flow", flow["id"], "project_id"))["project_id"] == other
    for given in ({"flow_id": NOBODY, "project_id": other}, {"flow_id": flow["id"], "project_id": NOBODY}):
        message, code = await api.refusal("update_flow_project", **given)
        assert (message, code) == ("Invalid flow or project ID.", "NOT_FOUND")
    assert await api.mutate("delete_flow_run", "success", flow_run_id=runs[0]) == DONE
    assert await api.mutate("delete_flow_run", "success", flow_run_id=runs[0]) == NOTHING
    assert await api.mutate("delete_flow", "success", flow_id=flow["id"]) == DONE
    assert await api.mutate("delete_flow", "success", flow_id=flow["id"]) == NOTHING
    for table in ("flow_run", "task_run", "flow_run_state", "task_run_state", "log", "task", "edge"):
        assert await api.database.fetch_value(f"select count(*) from {table}") == 0, table
    assert await one(api, "flow_group", flow["group"], "id") == {"id": flow["group"]}


async def test_more_runs_than_are_deleted_at_once(api: Any) -> None:
    flow = await new_flow(api)
    await new_run(api, flow["id"])
    await api.database.execute(
        "insert into flow_run (tenant_id, flow_id, label_set_id) "
        "select tenant_id, flow_id, label_set_id from flow_run, generate_series(1, 450)"
    )
    assert await api.mutate("delete_flow_group", "success", flow_group_id=flow["group"]) == DONE
    assert await api.mutate("delete_flow_group", "success", flow_group_id=flow["group"]) == NOTHING
    data = await api.data("{ flow_run { id } flow { id } flow_group { id } }")
    assert data == {"flow_run": [], "flow": [], "flow_group": []}


async def test_a_run_is_not_deleted_by_an_ended_claim(api: Any) -> None:
    flow = await new_flow(api)
    run = await new_run(api, flow["id"])
    stale = {"X-PREFECT-CLAIM-TOKEN": str(uuid4())}
    for name, members in (("delete_flow_run", ""), ("set_flow_run_labels", ', labels: ["a"]')):
        query = f'mutation {{ {name}(input: {{flow_run_id: "{run}"{members}}}) {{ success }} }}'
        (error,) = await api.errors(query, **stale)
        assert error["extensions"]["code"] == "VERSION_LOCKING_ERROR"
    assert (await one(api, "flow_run", run, "labels")) == {"labels": []}


async def test_switches_of_a_flow(api: Any) -> None:
    first = await new_flow(api)
    flow = await new_flow(api, project_id=first["project"])
    assert flow["group"] == first["group"]
    for name, settings in (
        ("disable_flow_heartbeat", {"heartbeat_enabled": False, "disable_heartbeat": True}),
        ("enable_flow_heartbeat", {"heartbeat_enabled": True, "disable_heartbeat": False}),
        ("disable_flow_lazarus_process", {"lazarus_enabled": False}),
        ("enable_flow_lazarus_process", {"lazarus_enabled": True}),
        ("disable_flow_heartbeat", {"heartbeat_enabled": False}),
    ):
        assert await api.mutate(name, "success", flow_id=flow["id"]) == DONE
        stored = (await one(api, "flow_group", flow["group"], "settings"))["settings"]
        assert settings.items() <= stored.items()
        assert await api.refusal(name, "success", flow_id=NOBODY) == ("Invalid flow ID.", "NOT_FOUND")
    third = await new_flow(api, project_id=first["project"])
    for version in (first, flow, third):
        assert await one(api, "flow", version["id"], "settings") == {"settings": {"heartbeat_enabled": False}}


async def test_what_a_group_sets_for_later_runs(api: Any) -> None:
    flow = await new_flow(api, parameters=[serialized_parameter("x", required=True)])
    group = {"flow_group_id": flow["group"]}
    config = {"type": "LocalRun", "labels": ["c"]}
    for name, members in (
        ("default_parameters", {"parameters": {"x": 1}}),
        ("labels", {"labels": ["b", "a", "b"]}),
        ("description", {"description": "text"}),
        ("run_config", {"run_config": config}),
    ):
        assert await api.mutate(f"set_flow_group_{name}", "success", **group, **members) == DONE
        unknown = await api.mutate(f"set_flow_group_{name}", "success", flow_group_id=NOBODY, **members)
        assert unknown == NOTHING
    select = "default_parameters labels description run_config"
    assert await one(api, "flow_group", flow["group"], select) == {
        "default_parameters": {"x": 1},
        "labels": ["a", "b"],
        "description": "text",
        "run_config": config,
    }
    run = await new_run(api, flow["id"])
    assert await one(api, "flow_run", run, "parameters labels run_config") == {
        "parameters": {"x": 1},
        "labels": ["a", "b"],
        "run_config": config,
    }
    assert await api.mutate("set_flow_group_labels", "success", **group, labels=[]) == DONE
    assert (await one(api, "flow_group", flow["group"], "labels")) == {"labels": []}
    for name in ("labels", "description", "run_config"):
        assert await api.mutate(f"set_flow_group_{name}", "success", **group) == DONE
    assert await one(api, "flow_group", flow["group"], "labels description run_config") == {
        "labels": None,
        "description": None,
        "run_config": None,
    }
    for name, members in (
        ("default_parameters", {"parameters": [1]}),
        ("run_config", {"run_config": "text"}),
        ("run_config", {"run_config": {"labels": "a"}}),
        ("labels", {"labels": ["\0"]}),
        ("description", {"description": "\0"}),
    ):
        _, code = await api.refusal(f"set_flow_group_{name}", "success", **group, **members)
        assert code == "BAD_USER_INPUT", members


async def test_schedules_of_groups(api: Any) -> None:
    flow = await new_flow(api)
    group = {"flow_group_id": flow["group"]}
    made, kept = await new_run(api, flow["id"]), await new_run(api, flow["id"])
    await api.database.execute("update flow_run set auto_scheduled = true where id = $1", made)
    done = await api.mutate(
        "set_flow_group_schedule",
        "success",
        **group,
        cron_clocks=[{"cron": "0 9 * * *"}],
        interval_clocks={"interval": 3600, "parameter_defaults": {"x": 1}},
        timezone="Europe/Berlin",
    )
    assert done == DONE
    schedule = (await one(api, "flow_group", flow["group"], "schedule"))["schedule"]
    assert [clock["type"] for clock in schedule["clocks"]] == ["CronClock", "IntervalClock"]
    assert schedule["clocks"][1]["interval"] == 3_600_000_000
    assert {clock["start_date"]["tz"] for clock in schedule["clocks"]} == {"Europe/Berlin"}
    assert (await api.data("{ flow_run { id } }"))["flow_run"] == [{"id": kept}]
    assert await api.mutate("set_schedule_active", "success", flow_id=flow["id"]) == DONE
    assert (await api.mutate("set_flow_group_schedule", "success", **group, cron_clocks=None)) == DONE
    for members, text in (
        ({"cron_clocks": [{"cron": "nonsense"}]}, "Invalid clock provided for schedule: "),
        ({"interval_clocks": [{"interval": 5}]}, "Invalid clock provided for schedule: "),
        ({"timezone": "Nowhere/Land"}, "Invalid timezone provided for schedule: Nowhere/Land"),
    ):
        message, code = await api.refusal("set_flow_group_schedule", "success", **group, **members)
        assert message.startswith(text)
        assert code == "BAD_USER_INPUT"
    assert await api.mutate("delete_flow_group_schedule", "success", **group) == DONE
    assert (await one(api, "flow_group", flow["group"], "schedule")) == {"schedule": None}
    for name in ("set_flow_group_schedule", "delete_flow_group_schedule"):
        assert await api.mutate(name, "success", flow_group_id=NOBODY) == NOTHING


async def test_relabelled_runs_go_to_other_agents(api: Any) -> None:
    flow = await new_flow(api)
    run = await new_run(api, flow["id"], labels=["old"])
    assert await api.mutate("set_flow_run_labels", "success", flow_run_id=run, labels=["b", "a", "a"]) == DONE
    assert await one(api, "flow_run", run, "labels") == {"labels": ["a", "b"]}
    agent = (await api.mutate("register_agent", type="LocalAgent"))["id"]
    for labels, claimed in ((["old"], []), (["a", "b", "c"], [{"id": run}])):
        payload = await api.mutate("claim_flow_runs", "flow_runs { id }", agent_id=agent, labels=labels)
        assert payload["flow_runs"] == claimed
    assert await api.mutate("set_flow_run_labels", "success", flow_run_id=NOBODY, labels=[]) == NOTHING
    assert (await api.refusal("set_flow_run_labels", "success", flow_run_id=run, labels=["\0"]))[1] == "BAD_USER_INPUT"


async def test_agents_and_their_configurations(api: Any) -> None:
    config = (await api.mutate("create_agent_config", tenant_id=str(api.tenant_id), name="c", settings={"a": 1}))["id"]
    bare = (await api.mutate("create_agent_config"))["id"]
    assert await one(api, "agent_config", bare, "name settings") == {"name": None, "settings": {}}
    changed = await api.mutate("update_agent_config", "success", agent_config_id=config, settings={"b": 2})
    assert changed == DONE
    assert await one(api, "agent_config", config, "name settings") == {"name": "c", "settings": {"b": 2}}
    agent = (await api.mutate("register_agent", type="LocalAgent", agent_config_id=config))["id"]
    assert await api.mutate("delete_agent_config", "success", agent_config_id=config) == DONE
    assert await one(api, "agent", agent, "agent_config_id") == {"agent_config_id": None}
    assert await api.mutate("delete_agent", "success", agent_id=agent) == DONE
    assert await api.mutate("delete_agent", "success", agent_id=agent) == NOTHING
    assert await api.mutate("delete_agent_config", "success", agent_config_id=config) == NOTHING
    assert await api.mutate("update_agent_config", "success", agent_config_id=config, name="x") == NOTHING
    assert (await api.refusal("create_agent_config", tenant_id=NOBODY))[0] == "Foreign key violation."
    assert (await api.refusal("create_agent_config", settings=[1]))[1] == "BAD_USER_INPUT"
    assert (await api.refusal("update_agent_config", "success", agent_config_id=bare, settings=7))[
        1
    ] == "BAD_USER_INPUT"


async def test_artifacts(api: Any) -> None:
    flow = await new_flow(api)
    run = await new_run(api, flow["id"])
    task_run = (await api.data("{ task_run(limit: 1) { id } }"))["task_run"][0]["id"]
    given = {"task_run_id": task_run, "kind": "link", "data": {"link": "http://x"}, "tenant_id": None}
    artifact = (await api.mutate("create_task_run_artifact", **given))["id"]
    ident = {"task_run_artifact_id": artifact}
    assert await api.mutate("update_task_run_artifact", "success", **ident, data={"link": "y"}) == DONE
    assert await one(api, "task_run_artifact", artifact, "kind data task_run_id tenant_id") == {
        "kind": "link",
        "data": {"link": "y"},
        "task_run_id": task_run,
        "tenant_id": str(api.tenant_id),
    }
    message, code = await api.refusal("create_task_run_artifact", **{**given, "task_run_id": NOBODY})
    assert (message, code) == (f"Task run {NOBODY} not found", "NOT_FOUND")
    assert (await api.refusal("create_task_run_artifact", **{**given, "tenant_id": NOBODY}))[0] == "Invalid tenant ID."
    assert (await api.refusal("create_task_run_artifact", **{**given, "kind": ""}))[1] == "BAD_USER_INPUT"
    query = f'mutation {{ delete_task_run_artifact(input: {{task_run_artifact_id: "{artifact}"}}) {{ success }} }}'
    (error,) = await api.errors(query, **{"X-PREFECT-CLAIM-TOKEN": str(uuid4())})
    assert error["extensions"]["code"] == "VERSION_LOCKING_ERROR"
    assert await api.mutate("delete_task_run_artifact", "success", **ident) == DONE
    assert await api.mutate("delete_task_run_artifact", "success", **ident) == NOTHING
    assert await api.mutate("update_task_run_artifact", "success", **ident, data={}) == NOTHING
    assert await api.mutate("update_task_run_heartbeat", "success", task_run_id=task_run) == DONE
    assert await api.mutate("update_task_run_heartbeat", "success", task_run_id=NOBODY) == NOTHING
    assert (await one(api, "task_run", task_run, "heartbeat"))["heartbeat"] is not None
    assert await api.mutate("delete_flow_run", "success", flow_run_id=run) == DONE


async def test_messages(api: Any) -> None:
    message = str(
        await api.database.fetch_value(
            "insert into message (tenant_id, type) values ($1, 'CLOUD_HOOK') returning id", api.tenant_id
        )
    )
    for name, read in (("mark_message_as_read", True), ("mark_message_as_unread", False)):
        assert await api.mutate(name, "success", message_id=message) == DONE
        assert await one(api, "message", message, "read") == {"read": read}
        assert await api.mutate(name, "success", message_id=NOBODY) == NOTHING
    assert await api.mutate("delete_message", "success", message_id=message) == DONE
    assert await api.mutate("delete_message", "success", message_id=message) == NOTHING


async def test_reference_data(api: Any) -> None:
    data = (await api.data("{ reference_data { state_hierarchy state_info } }"))["reference_data"]
    assert data["state_hierarchy"]["Success"] == ["Success", "Cached", "Mapped", "Skipped"]
    assert data["state_info"]["Running"] == {"color": "#3d67ff"}


async def test_children_of_mapped_task_runs(api: Any) -> None:
    flow = await new_flow(api)
    run = await new_run(api, flow["id"])
    parent = (await api.data(f'{{ task_run(where: {{flow_run_id: {{_eq: "{run}"}}}}) {{ id task_id }} }}'))["task_run"][
        0
    ]
    select = "min_start_time max_end_time state_counts"
    empty = {"min_start_time": None, "max_end_time": None, "state_counts": {}}
    for ident in (parent["id"], NOBODY):
        assert await api.data(f'{{ mapped_children(task_run_id: "{ident}") {{ {select} }} }}') == {
            "mapped_children": empty
        }
    children = [
        (await api.mutate("get_or_create_task_run", flow_run_id=run, task_id=parent["task_id"], map_index=index))["id"]
        for index in range(3)
    ]
    running = [{"flow_run_id": run, "state": {"type": "Running"}}]
    await api.mutate("set_flow_run_states", "states { id }", states=running)
    for state in ("Running", "Success"):
        states = [{"task_run_id": child, "state": {"type": state}} for child in children[:2]]
        await api.mutate("set_task_run_states", "states { id }", states=states)
    found = (await api.data(f'{{ mapped_children(task_run_id: "{parent["id"]}") {{ {select} }} }}'))["mapped_children"]
    assert found["state_counts"] == {"Success": 2, "Pending": 1}
    assert found["min_start_time"] <= found["max_end_time"]
    child = (await api.data(f'{{ mapped_children(task_run_id: "{children[0]}") {{ {select} }} }}'))["mapped_children"]
    assert child == empty


@pytest.mark.parametrize("text", ["{not json", "[1,", ""])
async def test_json_written_in_a_document_must_be_json(api: Any, text: str) -> None:
    flow = await new_flow(api)
    (error,) = await api.errors(
        f'mutation {{ set_flow_group_default_parameters(input: {{flow_group_id: "{flow["group"]}", '
        f"parameters: {json.dumps(text)}}}) {{ success }} }}"
    )
    assert error["message"].startswith("Could not parse JSON: ") or "JSON" in error["message"]


async def test_projects_say_how_long_their_runs_are_kept(api: Any) -> None:
    project = (await api.mutate("create_project", name="kept"))["id"]
    ask = "query($id: UUID!) { project_retention(project_id: $id) { state logs_days runs_days is_own } }"

    async def kept(state: str) -> tuple[int, int, bool]:
        found = (await api.data(ask, {"id": project}))["project_retention"]
        (rule,) = [rule for rule in found if rule["state"] == state]
        return rule["logs_days"], rule["runs_days"], rule["is_own"]

    assert await kept("Success") == (90, 365, False)
    assert await kept("TimedOut") == (180, 730, False)
    rules = [{"state": "Finished", "logs_days": 7}, {"state": "Failed", "runs_days": 36500}]
    assert await api.mutate("set_project_retention", project_id=project, rules=rules) == {"id": project}
    assert await kept("Success") == (7, 365, True)
    assert await kept("TimedOut") == (7, 36500, True)
    stored = [{"state": rule["state"], "logs_days": None, "runs_days": None, **rule} for rule in rules]
    assert await one(api, "project", project, "retention") == {"retention": stored}
    for bad, said in (
        ([{"state": "Failed", "logs_days": 0}], "between 1 and 36500 days, not 0"),
        ([{"state": "Failed", "runs_days": -3}], "not -3"),
        ([{"state": "Running", "runs_days": 3}], "'Running' is none"),
        ([{"state": "Failed"}], "says nothing"),
    ):
        message, code = await api.refusal("set_project_retention", project_id=project, rules=bad)
        assert said in message
        assert code == "BAD_USER_INPUT"
    assert await one(api, "project", project, "retention") == {"retention": stored}, "a refused change changes nothing"
    nobody = await api.refusal("set_project_retention", project_id=NOBODY, rules=[])
    assert nobody == (f"There is no project {NOBODY}.", "NOT_FOUND")
    (error,) = await api.errors(ask, {"id": NOBODY})
    assert error["extensions"]["code"] == "NOT_FOUND"
    await api.mutate("set_project_retention", project_id=project, rules=[])
    assert await kept("Success") == (90, 365, False)
