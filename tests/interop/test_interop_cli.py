"""The command line of 1.4.1: creates and watches runs, lists and describes, agentless runs, and its agent's life."""

import json
import re
import signal

import pytest
from interop_world import FLOWS
from system_world import wait_until


@pytest.fixture(scope="session")
def flow_ids(interop):
    """The ids by name of the shared flows in the project `cli`."""
    interop.old_cli("create", "project", "cli", "--description", "for commands")
    interop.old_cli("register", "--project", "cli", "-p", str(FLOWS / "shared.py"))
    rows = interop.graphql('{ flow(where: {project: {name: {_eq: "cli"}}}) { id name } }')["flow"]
    return {row["name"]: row["id"] for row in rows}


@pytest.fixture(scope="session")
def done(interop, flow_ids, old_agent):
    """The id of a run with the name `a finished one`."""
    flow_run_id = interop.create_run(
        flow_ids["saying"], labels=["old"], flow_run_name="a finished one", parameters={"text": "hoi"}
    )
    assert interop.wait_for_state(flow_run_id)["state"] == "Success"
    interop.wait_for_message(flow_run_id, "Flow run SUCCESS")
    return flow_run_id


def created(out):
    """Return the id of the run that a command says it created."""
    return re.search(r"UUID: (\S+)", out)[1]


RUN = """query($id: uuid!) { flow_run_by_pk(id: $id) {
    name parameters context labels run_config idempotency_key flow_id state } }"""


def test_run_with_every_option(interop, flow_ids, tmp_path):
    file = tmp_path / "parameters.json"
    file.write_text('{"text": "from the file"}')
    out = interop.old_cli(
        *["run", "--project", "cli", "--name", "saying", "--param-file", str(file), "--param", 'text={"a": [1, "ü"]}'],
        *["--context", "colour=blue", "--label", "nobody", "--label", "else", "--run-name", "named 🚀"],
        *["--log-level", "DEBUG", "--idempotency-key", "only once"],
    )
    flow_run_id = created(out)
    run = interop.graphql(RUN, id=flow_run_id)["flow_run_by_pk"]
    assert run["run_config"].pop("env") == {"PREFECT__LOGGING__LEVEL": "DEBUG"}
    assert run["run_config"].pop("type") == "UniversalRun"
    del run["run_config"]
    assert sorted(run.pop("labels")) == ["else", "nobody"]
    assert run == {
        "name": "named 🚀",
        "parameters": {"text": {"a": [1, "ü"]}},
        "context": {"colour": "blue"},
        "idempotency_key": "only once",
        "flow_id": flow_ids["saying"],
        "state": "Scheduled",
    }
    again = interop.old_cli("run", "--id", flow_ids["saying"], "--idempotency-key", "only once", "--quiet")
    assert again.strip() == flow_run_id


def test_run_by_flow_group(interop, flow_ids):
    group = interop.flow(flow_ids["saying"], "flow_group_id")["flow_group_id"]
    flow_run_id = interop.old_cli("run", "--id", group, "--label", "nobody", "--quiet").strip()
    assert interop.graphql(RUN, id=flow_run_id)["flow_run_by_pk"]["flow_id"] == flow_ids["saying"]
    out = interop.old_cli("run", "--id", "01a205f4-b8d6-77b6-b33d-0b07aef8e5d3", code=1)
    assert "Failed to find flow id or flow group id matching" in out


def test_run_and_watch(interop, flow_ids, old_agent, library):
    """The 1.4.1 that watches polls, so that agents must be poked by somebody else."""
    watching = [interop.old_python, "-m", "prefect", "run", "--id", flow_ids["saying"], "--label", "old"]
    process = interop.start_process([*watching, "--param", "text=watched", "--watch"])
    flow_run_id = process.wait_for(r"UUID: (\S+)")[1]
    interop.poke()
    assert process.wait_end() == 0
    assert "said watched" in process.text
    assert "Flow run succeeded!" in process.text
    for state in ("Scheduled", "Submitted", "Running", "Success"):
        assert f"Entered state <{state}>" in process.text
    assert interop.run(flow_run_id)["state"] == "Success"


def test_watching_a_run_that_fails(interop, flow_ids, old_agent):
    process = interop.start_process(
        [interop.old_python, "-m", "prefect", "run", "--id", flow_ids["failing"], "--label", "old", "--watch"]
    )
    process.wait_for(r"UUID: (\S+)")
    interop.poke()
    assert process.wait_end() == 1
    assert "meant to fail" in process.text
    assert "Flow run failed!" in process.text


def test_run_without_an_agent(interop, flow_ids):
    out = interop.old_cli("run", "--id", flow_ids["retrying"], "--execute")
    assert "Flow run succeeded!" in out
    flow_run_id = created(out)
    assert interop.history(flow_run_id) == ["Scheduled", "Running", "Success"]
    interop.wait_for_message(flow_run_id, "attempt 2")


def test_get(interop, flow_ids, done):
    out = interop.old_cli("get", "flows", "--project", "cli", "--limit", "50")
    assert all(re.search(rf"^{name} +1 ", out, re.MULTILINE) for name in flow_ids)
    assert "saying" in interop.old_cli("get", "flows", "--name", "saying", "--version", "1", "--all-versions")
    counted = rf"^cli +{len(flow_ids)} .*for commands"
    assert re.search(counted, interop.old_cli("get", "projects"), re.MULTILINE)
    out = interop.old_cli("get", "flow-runs", "--flow", "saying", "--project", "cli", "--limit", "100")
    assert re.search(r"^a finished one +saying +Success", out, re.MULTILINE)
    out = interop.old_cli("get", "flow-runs", "--project", "cli", "--started", "--limit", "100")
    assert done in out
    assert "Scheduled" not in out
    out = interop.old_cli("get", "tasks", "--flow-name", "mapping", "--project", "cli")
    assert re.search(r"^double +mapping +1 ", out, re.MULTILINE)
    assert "NAME" in interop.old_cli("get", "flows", "--name", "there is none")


def test_get_logs(interop, done):
    for option in (["--id", done], ["--name", "a finished one"]):
        out = interop.old_cli("get", "logs", *option)
        assert "said hoi" in out
        assert out.index("Beginning Flow run") < out.index("said hoi") < out.index("Flow run SUCCESS")
    interop.old_cli("get", "logs", "--id", done, "--info")


def test_describe(interop, flow_ids, done):
    flow = json.loads(interop.old_cli("describe", "flows", "--name", "saying", "--project", "cli"))
    assert (flow["name"], flow["version"], flow["project"]) == ("saying", 1, {"name": "cli"})
    assert flow["storage"]["type"] == "Local"
    tasks = json.loads(interop.old_cli("describe", "tasks", "--name", "retrying", "--project", "cli"))
    assert [(task["slug"], task["max_retries"], task["retry_delay"]) for task in tasks] == [("flaky-1", 2, "00:00:01")]
    run = json.loads(interop.old_cli("describe", "flow-runs", "--name", "a finished one", "--flow-name", "saying"))
    assert run["serialized_state"]["type"] == "Success"
    assert run["parameters"] == {"text": "hoi"}
    assert "saying" in interop.old_cli("describe", "flows", "--name", "saying", "--output", "yaml")


def test_ctrl_c_while_watching_cancels_when_asked_or_leaves(interop, flow_ids):
    process = interop.start_process(
        [interop.old_python, "-m", "prefect", "run", "--id", flow_ids["saying"], "--label", "nobody", "--watch"]
    )
    flow_run_id = process.wait_for(r"UUID: (\S+)")[1]
    process.wait_for("Scheduled")
    assert process.stop(signal.SIGINT) != 0
    assert interop.run(flow_run_id)["state"] in {"Scheduled", "Cancelled"}


def test_an_agent_registers_is_seen_and_stops(interop):
    config = interop.rows(
        "insert into agent_config (tenant_id, name, settings) "
        "select id, 'a config', '{\"yes\": 1}'::jsonb from tenant limit 1 returning id"
    )[0]["id"]
    agent = interop.start_process(
        [
            *[interop.old_python, "-m", "prefect", "agent", "local", "start", "--label", "here", "--label", "there"],
            *["--name", "short-lived", "--agent-config-id", str(config), "--log-level", "DEBUG"],
        ]
    )
    agent.wait_for("Waiting for flow runs")
    query = '{ agent(where: {name: {_eq: "short-lived"}}) { type labels last_queried core_version agent_config_id } }'

    def seen():
        (row,) = interop.graphql(query)["agent"]
        return row if row["last_queried"] else None

    row = wait_until(seen, about=lambda: agent.text)
    assert row["type"] == "LocalAgent"
    assert {"here", "there"} <= set(row["labels"])
    assert row["core_version"].startswith("1.4.1")
    assert row["agent_config_id"] == str(config)
    assert agent.stop(signal.SIGINT) == 0


def test_tenants_of_the_server(interop):
    out = interop.old_cli("server", "create-tenant", "--name", "From the CLI", "--slug", "zz-cli")
    assert interop.rows("select name from tenant where slug = 'zz-cli'") == [("From the CLI",)], out
