"""Commands that ask and tell the API, against a real server."""

import json
import uuid

import pytest
from cli_world import HELLO


@pytest.fixture
def cli(prefect):
    return prefect


def test_a_project_is_created_once(cli):
    assert cli("create", "project", "once", "-d", "a project").stdout == "once created\n"
    assert cli("create", "project", "once").stdout == "once created\n"
    assert cli("create", "project", "once", "--skip-if-exists").stdout == "once already exists\n"
    rows = json.loads(cli("get", "projects", "--name", "once", "-o", "json").stdout)
    assert [(row["name"], row["flow_count"], row["description"]) for row in rows] == [("once", 0, "a project")]


def test_flows_are_registered_skipped_and_forced(cli):
    cli("create", "project", "registering")
    file = cli.write("registering.py", HELLO.format(name="registering", default="default='x'"))
    first = cli("register", "--project", "registering", "-p", file).stdout
    assert "Collecting flows...\nProcessing 'registering.py':\n  Building `Local` storage...\n" in first
    assert "  Registering 'registering'... Done\n" in first
    assert "  └── Version: 1\n" in first
    assert "= 1 registered =" in first
    again = cli("register", "--project", "registering", "-p", file).stdout
    assert "  Registering 'registering'... Skipped (metadata unchanged)\n" in again
    assert "= 0 registered, 1 skipped =" in again
    forced = cli("register", "--project", "registering", "-p", file, "--force").stdout
    assert "  └── Version: 2\n" in forced
    rows = json.loads(cli("get", "flows", "--project", "registering", "--output", "json").stdout)
    assert [(row["name"], row["version"], row["project_name"]) for row in rows] == [("registering", 2, "registering")]
    versions = cli("get", "flows", "--name", "registering", "--all-versions").stdout.splitlines()
    assert versions[0].split() == ["NAME", "VERSION", "AGE", "ID", "PROJECT", "NAME"]
    assert len(versions) == 3
    tasks = cli("get", "tasks", "--flow-name", "registering", "-fv", "2").stdout
    assert "hello" in tasks


def test_nothing_is_registered_if_one_source_is_broken(cli):
    cli("create", "project", "half-done")
    cli.write("sound.py", HELLO.format(name="sound", default="default='x'"))
    cli.write("broken.py", "1 / 0\n")
    done = cli("register", "--project", "half-done", "-p", "sound.py", "-p", "broken.py", code=1)
    assert "Error loading 'broken.py':" in done.stdout
    assert "ZeroDivisionError" in done.stdout
    assert cli("get", "flows", "--project", "half-done").stdout.count("\n") == 1


def test_registering_names_what_is_missing(cli):
    cli("create", "project", "missing")
    file = cli.write("missing.py", HELLO.format(name="missing", default="default='x'"))
    assert cli("register", "--project", "nope", "-p", file, code=1).stderr.startswith("Project 'nope' does not exist")
    done = cli("register", "--project", "missing", "-p", file, "-n", "b", "-n", "a", code=1)
    assert done.stderr == "Failed to find the following flows:\n- a\n- b\n"


def test_runs_of_flows_that_cannot_be_run(cli):
    assert "with name 'no such flow'" in cli("run", "--name", "no such flow", code=1).stderr
    unknown = str(uuid.uuid4())
    for flow_id in (unknown, "no-uuid"):
        done = cli("run", "--id", flow_id, code=1)
        assert done.stderr == f"Failed to find flow id or flow group id matching '{flow_id}'\n"
    flow_id = cli.register("refusing", "refusing.py", HELLO.format(name="refusing", default=""))
    missing = cli("run", "--id", flow_id, code=1)
    assert "name" in missing.stderr
    cli.graphql("mutation($id: UUID!) { archive_flow(input: {flow_id: $id}) { success } }", id=flow_id)
    for options in (["--id", flow_id], ["--name", "refusing"]):
        assert "is archived and accepts no runs" in cli("run", *options, code=1).stderr
    assert cli("get", "flow-runs", "--flow", "refusing").stdout.count("\n") == 1


def test_a_name_that_two_projects_have_lists_the_candidates(cli):
    text = HELLO.format(name="twice", default="default='x'")
    ids = {cli.register(project, f"{project}.py", text) for project in ("left", "right")}
    if len(ids) == 1:
        pytest.fail("two projects share one flow")
    done = cli("run", "--name", "twice", code=1)
    assert "Found multiple flows with name 'twice'." in done.stderr
    for flow_id in ids:
        assert f"--id {flow_id}" in done.stderr
    assert cli("run", "--name", "twice", "--project", "left", "--quiet").stdout.strip()


def test_quiet_runs_print_the_id_only_and_are_created_once(cli):
    flow_id = cli.register("quiet", "quiet.py", HELLO.format(name="quiet", default="default='x'"))
    options = ["--quiet", "--idempotency-key", "the-key", "--label", "nobody-has-this"]
    first = cli("run", "--id", flow_id, *options).stdout
    assert uuid.UUID(first.strip())
    assert first.count("\n") == 1
    assert cli("run", "--id", flow_id, *options).stdout == first
    group = cli.graphql("query($id: uuid!) { flow_by_pk(id: $id) { flow_group_id } }", id=flow_id)
    done = cli("run", "--id", group["flow_by_pk"]["flow_group_id"], "--run-name", "named", "--label", "nobody-has-this")
    assert "└── Name: named\n" in done.stdout
    assert "└── Labels: ['nobody-has-this']\n" in done.stdout
    assert "named" in cli("get", "flow-runs", "--flow", "quiet").stdout


def test_a_heartbeat_is_seen_by_the_api(cli):
    flow_id = cli.register("beating", "beating.py", HELLO.format(name="beating", default="default='x'"))
    run_id = cli("run", "--id", flow_id, "--quiet", "--label", "nobody-has-this").stdout.strip()
    query = "query($id: uuid!) { flow_run_by_pk(id: $id) { heartbeat } }"
    before = cli.graphql(query, id=run_id)["flow_run_by_pk"]["heartbeat"]
    done = cli("heartbeat", "flow-run", "--id", run_id, "--num", "1")
    assert done.stdout == ""
    after = cli.graphql(query, id=run_id)["flow_run_by_pk"]["heartbeat"]
    assert after is not None
    assert after != before


def test_executing_needs_a_flow_run(cli):
    done = cli("execute", "flow-run", code=1)
    assert "Not currently executing a flow within a Cloud context." in done.stdout + done.stderr


def test_agents_refuse_options_that_make_no_sense(cli):
    assert "--env takes KEY=VALUE" in cli("agent", "local", "start", "--env", "A", code=2).stderr
    assert "'loud' is not a log level" in cli("agent", "local", "start", "--log-level", "loud", code=2).stderr
