"""`get`, `describe`, `delete`, `cancel` and `logs`, against a real server (§6, §7, §8)."""

import json
import uuid

import pytest
import yaml
from cli_world import HELLO


def hello(name):
    return HELLO.format(name=name, default="default='x'")


def scheduled_run(prefect, flow_id, *options):
    """Create a run that no agent takes and return its id."""
    return prefect("run", "--id", flow_id, "--quiet", "--label", "nobody-has-this", *options).stdout.strip()


@pytest.mark.parametrize(
    ("noun", "headers"),
    [
        ("flows", ["NAME", "VERSION", "AGE", "ID", "PROJECT NAME"]),
        ("flow-runs", ["NAME", "FLOW NAME", "STATE", "AGE", "START TIME", "ID"]),
        ("tasks", ["NAME", "FLOW NAME", "FLOW VERSION", "AGE", "MAPPED", "TYPE"]),
        ("projects", ["NAME", "FLOW COUNT", "AGE", "DESCRIPTION"]),
        ("agents", ["NAME", "TYPE", "LABELS", "STATUS", "LAST SEEN", "VERSION", "ID"]),
    ],
)
def test_an_empty_listing_is_headers_or_an_empty_list(prefect, noun, headers):
    nothing = ["--flow", "no such flow"] if noun == "flow-runs" else ["--name", "there is none"]
    assert prefect("get", noun, *nothing).stdout == "  ".join(headers) + "\n"
    assert prefect("get", noun, *nothing, "--output", "json").stdout == "[]\n"
    assert prefect("get", noun, *nothing, "-o", "yaml").stdout == "[]\n"
    assert "--output" in prefect("get", noun, "-o", "xml", code=2).stderr


def test_listings_carry_values_for_programs_and_words_for_people(prefect):
    flow_id = prefect.register("listing", "listing.py", hello("listing"))
    run_id = scheduled_run(prefect, flow_id, "--run-name", "ein Läufer")
    rows = yaml.safe_load(prefect("get", "flow-runs", "--project", "listing", "-o", "yaml").stdout)
    assert rows == json.loads(prefect("get", "flow-runs", "--project", "listing", "-o", "json").stdout)
    assert [(row["id"], row["name"], row["state"], row["start_time"]) for row in rows] == [
        (run_id, "ein Läufer", "Scheduled", None)
    ]
    assert " ago " in prefect("get", "flow-runs", "--project", "listing").stdout


def test_one_name_in_two_projects_is_two_rows(prefect):
    for project in ("apart", "asunder"):
        prefect.register(project, f"{project}.py", hello("in two projects"))
    rows = json.loads(prefect("get", "flows", "--name", "in two projects", "-o", "json").stdout)
    assert sorted(row["project_name"] for row in rows) == ["apart", "asunder"]


def test_agents_are_healthy_while_they_ask_for_work(prefect):
    register = """mutation($labels: [String!]) {
        register_agent(input: {type: "LocalAgent", name: "lister", labels: $labels}) { id } }"""
    agent_id = prefect.graphql(register, labels=["b", "a"])["register_agent"]["id"]
    (row,) = json.loads(prefect("get", "agents", "--name", "lister", "-o", "json").stdout)
    assert (row["id"], row["type"], sorted(row["labels"])) == (agent_id, "LocalAgent", ["a", "b"])
    assert row["status"] in {"healthy", "never seen"}
    assert "lister  LocalAgent" in prefect("get", "agents", "-n", "lister").stdout


def test_a_flow_its_tasks_and_its_runs_are_described(prefect):
    flow_id = prefect.register("describing", "describing.py", hello("described"))
    flow = json.loads(prefect("describe", "flows", "--name", "described").stdout)
    assert (flow["id"], flow["version"], flow["project"]) == (flow_id, 1, {"name": "describing"})
    assert flow["storage"]["type"] == "Local"
    assert list(flow) == sorted(flow)
    assert yaml.safe_load(prefect("describe", "flows", "-n", "described", "-v", "1", "-o", "yaml").stdout) == flow
    tasks = json.loads(prefect("describe", "tasks", "-n", "described", "-p", "describing").stdout)
    assert [task["slug"] for task in tasks] == ["hello-1", "name"]
    run_id = scheduled_run(prefect, flow_id, "--run-name", "a described run", "--param", "name=Marvin")
    run = json.loads(prefect("describe", "flow-runs", "-n", "a described run", "-fn", "described").stdout)
    assert (run["id"], run["parameters"], run["state"]) == (run_id, {"name": "Marvin"}, "Scheduled")
    assert run["serialized_state"]["type"] == "Scheduled"
    assert json.loads(prefect("describe", "flow-runs", "--id", run_id).stdout) == run


def test_what_is_not_there_or_not_unique_is_not_described(prefect):
    for noun in ("flows", "tasks", "flow-runs"):
        assert prefect("describe", noun, "--name", "nope", code=1).stderr.startswith("nope not found")
    assert prefect("describe", "flow-runs", "--id", "nope", code=1).stderr == "nope not found\n"
    ids = {project: prefect.register(project, f"{project}.py", hello("doubly")) for project in ("up", "down")}
    done = prefect("describe", "flows", "--name", "doubly", code=1)
    assert done.stdout == ""
    for project, flow_id in ids.items():
        assert f"  --project '{project}'  (version 1, id {flow_id})" in done.stderr
    runs = {scheduled_run(prefect, flow_id, "--run-name", "of two flows") for flow_id in ids.values()}
    done = prefect("describe", "flow-runs", "--name", "of two flows", code=1)
    for run_id in runs:
        assert f"  --id {run_id}  (flow 'doubly', project '" in done.stderr


def test_a_project_is_deleted(prefect):
    prefect.register("doomed", "doomed.py", hello("doomed"))
    assert prefect("delete", "project", "doomed").stdout == "doomed deleted\n"
    assert json.loads(prefect("get", "flows", "--name", "doomed", "-o", "json").stdout) == []
    assert prefect("delete", "project", "doomed", code=1).stderr.startswith("Project doomed not found")


def test_runs_are_cancelled(prefect):
    flow_id = prefect.register("cancelling", "cancelling.py", hello("cancelled"))
    first, second = (scheduled_run(prefect, flow_id) for _ in range(2))
    assert prefect("cancel", first).stdout == f"Flow run {first} is cancelled.\n"
    unknown = str(uuid.uuid4())
    done = prefect("cancel", "nope", unknown, first, second, code=1)
    assert done.stdout.splitlines() == [f"Flow run {run} is cancelled." for run in (first, second)]
    assert [line.partition(";")[0] for line in done.stderr.splitlines()] == [
        f"There is no flow run with the id '{run}'" for run in ("nope", unknown)
    ]
    rows = json.loads(prefect("get", "flow-runs", "-p", "cancelling", "-o", "json").stdout)
    assert {row["state"] for row in rows} == {"Cancelled"}


def test_a_run_that_ended_is_not_cancelled(prefect):
    flow_id = prefect.register("ended", "ended.py", hello("ended"))
    run_id = scheduled_run(prefect, flow_id)
    fail = """mutation($id: UUID!) { set_flow_run_states(input: {states: [
        {flow_run_id: $id, state: {type: "Failed", message: "no"}}]}) { states { status } } }"""
    prefect.graphql(fail, id=run_id)
    done = prefect("cancel", run_id, code=1)
    assert done.stderr == f"Flow run {run_id} had ended already, as Failed; there is nothing to cancel.\n"


def test_logs_of_a_run_by_id_and_by_name(prefect):
    flow_id = prefect.register("logging", "logging.py", hello("logging"))
    run_id = scheduled_run(prefect, flow_id, "--run-name", "logged")
    write = "mutation($logs: [write_run_log_input!]!) { write_run_logs(input: {logs: $logs}) { success } }"
    line = {"flow_run_id": run_id, "level": "WARNING", "timestamp": "2026-01-02T03:04:05+00:00", "name": "prefect"}
    prefect.graphql(write, logs=[line | {"message": "hear, hear", "info": {"a": 1}}])
    table = prefect("logs", run_id).stdout
    assert "2026-01-02T03:04:05+00:00  WARNING  hear, hear\n" in table
    for options in (["logs", "logged"], ["get", "logs", "--id", run_id], ["get", "logs", "--name", "logged"]):
        assert prefect(*options).stdout == table
    rows = json.loads(prefect("logs", "--name", "logged", "--id", run_id, "-o", "json").stdout)
    assert {"timestamp": "2026-01-02T03:04:05+00:00", "level": "WARNING", "message": "hear, hear"} in rows
    assert "{'a': 1}" in prefect("logs", run_id, "--info").stdout
    assert prefect("logs", "never heard of", code=1).stderr == "never heard of not found\n"
    assert prefect("logs", "--id", "nope", code=1).stderr == "nope not found\n"
    assert "not both ways" in prefect("logs", run_id, "--name", "logged", code=1).stderr


def test_a_tenant_is_created_once(prefect):
    done = prefect("server", "create-tenant", "--name", "The Others").stdout
    assert uuid.UUID(done.removeprefix("Tenant created with ID: ").strip())
    done = prefect("server", "create-tenant", "--name", "the others", code=1)
    assert done.stderr == "There is a tenant with the slug 'the-others' already; give another --slug.\n"
    assert "backend 'server'" in prefect("server", "create-tenant", "-n", "x", code=1, PREFECT__BACKEND="cloud").stderr


def test_files_for_supervisors_hold_the_options_and_no_password_in_the_command(prefect):
    unit = prefect("server", "config", "--port", "4321", "--data-dir", "/data/pg").stdout
    assert "ExecStart=" in unit
    assert (
        unit.split("ExecStart=")[1]
        .splitlines()[0]
        .endswith(" server start --hide-welcome --host 127.0.0.1 --port 4321 --data-dir /data/pg")
    )
    text = prefect("server", "config", "--for", "supervisord", "--postgres-url", "postgres://u:secret@h/d").stdout
    (command,) = [line for line in text.splitlines() if line.startswith("command=")]
    assert "secret" not in command
    assert 'environment=PREFECT__SERVER__DATABASE__CONNECTION_URL="postgres://u:secret@h/d"\n' in text
    text = prefect("agent", "local", "install", "-l", "x", "-n", "me", "--for", "systemd", "-k", "the-key").stdout
    assert f'"PREFECT__CLOUD__API={prefect.url}"\n' in text
    assert "agent local start --name me -l x\n" in text
    assert "--env takes KEY=VALUE" in prefect("agent", "local", "install", "-e", "A", code=2).stderr


def test_lines_of_one_moment_are_listed_once_each_over_all_pages(prefect, monkeypatch):
    flow_id = prefect.register("paging", "paging.py", hello("paging"))
    run_id = scheduled_run(prefect, flow_id)
    write = "mutation($logs: [write_run_log_input!]!) { write_run_logs(input: {logs: $logs}) { success } }"
    line = {"flow_run_id": run_id, "level": "INFO", "timestamp": "2026-01-02T03:04:05+00:00", "name": "prefect"}
    prefect.graphql(write, logs=[line | {"message": f"line {number}"} for number in range(20)])
    monkeypatch.setattr("flowstead_cli.commands.logs._PAGE", 3)
    rows = json.loads(prefect("logs", run_id, "-o", "json").stdout)
    written = [row["message"] for row in rows if row["message"].startswith("line ")]
    assert sorted(written) == sorted(f"line {number}" for number in range(20))


def test_limits_are_set_listed_and_deleted(prefect):
    flow_id = prefect.register("limits", "limits.py", hello("limited"))
    label, tag = f"label {uuid.uuid4()}", f"tag {uuid.uuid4()}"
    of = {"--label": label, "--tag": tag, "--flow": "limited"}
    for number, (option, name) in enumerate(of.items()):
        assert prefect("limits", "set", str(number), option, name).stdout.startswith(f"At most {number} ")
    rows = json.loads(prefect("limits", "list", "--output", "json").stdout)
    ours = {(row["of"], row["name"], row["project_name"], row["limit"]) for row in rows if row["name"] in of.values()}
    assert ours == {("label", label, None, 0), ("tag", tag, None, 1), ("flow", "limited", "limits", 2)}
    run_id = scheduled_run(prefect, flow_id, "--label", label)
    found = prefect("describe", "flow-runs", "--id", run_id).stdout
    assert f"The concurrency limit of the label '{label}' (0) lets nothing start. Raise it." in found
    for option, name in of.items():
        assert prefect("limits", "delete", option, name).stdout.startswith("There is no limit any more for ")
    assert (
        "There is no limit for flow runs with the label" in prefect("limits", "delete", "--label", label, code=1).stderr
    )
    assert "A limit must be 0 or more" in prefect("limits", "set", "--label", "x", "--", "-1", code=1).stderr
    for wrong in ([], ["--label", "x", "--tag", "y"]):
        assert "one of `--label`, `--tag` and `--flow`" in prefect("limits", "set", "1", *wrong, code=1).stderr
    assert "`--project` goes with `--flow` only" in prefect("limits", "delete", "--tag", "x", "-p", "y", code=1).stderr
