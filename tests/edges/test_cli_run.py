"""`prefect run` through the API (§2): look-up, values, start times, and what is said about wrong ones."""

import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from cli_world import HELLO

TWO_FLOWS = "from prefect import Flow\n\nfirst, second = Flow('first'), Flow('second')\n"
RAISING = "def helper():\n    raise LookupError('at import')\n\nhelper()\n"


_REGISTERED = {}


@pytest.fixture
def flow_id(prefect):
    """One flow for all tests, registered by the first of them."""
    if prefect.url not in _REGISTERED:
        text = HELLO.format(name="running", default="default='x'")
        _REGISTERED[prefect.url] = prefect.register("running", "flow.py", text)
    return _REGISTERED[prefect.url]


def number_of_runs(prefect, flow_id):
    query = "query($id: uuid!) { flow_run_aggregate(where: {flow_id: {_eq: $id}}) { aggregate { count } } }"
    return prefect.graphql(query, id=flow_id)["flow_run_aggregate"]["aggregate"]["count"]


def run_of(prefect, run_id):
    query = """query($id: uuid!) { flow_run_by_pk(id: $id) {
        name parameters context labels scheduled_start_time idempotency_key run_config priority
    } }"""
    return prefect.graphql(query, id=run_id)["flow_run_by_pk"]


def test_every_option_reaches_the_run(prefect, flow_id, tmp_path):
    (tmp_path / "all.json").write_text('{"name": "from the file"}')
    (tmp_path / "more.json").write_text('{"name": "from the option"}')
    run_id = prefect(
        *("run", "--id", flow_id, "--quiet", "--run-name", "a name", "--label", "b", "--label", "a"),
        *("--context", "k=[1]", "--param-file", "all.json", "--param", "@more.json", "--log-level", "debug"),
        *("--idempotency-key", "key", "--start", "2099-01-01T12:00:00+01:00", "--priority", "-7"),
    ).stdout.strip()
    run = run_of(prefect, run_id)
    assert (run["name"], run["labels"], run["parameters"]) == ("a name", ["a", "b"], {"name": "from the option"})
    assert (run["context"], run["idempotency_key"], run["priority"]) == ({"k": [1]}, "key", -7)
    assert run["run_config"]["env"] == {"PREFECT__LOGGING__LEVEL": "DEBUG"}
    assert datetime.fromisoformat(run["scheduled_start_time"]) == datetime(2099, 1, 1, 11, tzinfo=UTC)


def test_options_win_over_files_and_it_is_said(prefect, flow_id, tmp_path):
    (tmp_path / "all.json").write_text('{"name": "from the file"}')
    options = ["run", "--id", flow_id, "--label", "nobody", "--param", "name=x", "--param", "@all.json"]
    done = prefect(*options)
    assert (
        "The following parameters were specified by file and CLI, the CLI value will be used: {'name'}" in done.stdout
    )
    assert "└── Parameters: {'name': 'x'}\n" in done.stdout


def test_a_later_start_is_told_and_listed(prefect, flow_id):
    before = datetime.now(UTC)
    done = prefect("run", "--id", flow_id, "--start", "in 10 minutes", "--run-name", "later", "--label", "nobody")
    assert "└── Start: " in done.stdout
    assert "(in 9 minutes)" in done.stdout or "(in 10 minutes)" in done.stdout
    (row,) = [row for row in json.loads(prefect("get", "flow-runs", "-o", "json").stdout) if row["name"] == "later"]
    start = datetime.fromisoformat(row["scheduled_start_time"])
    assert timedelta(minutes=9, seconds=59) < start - before < timedelta(minutes=11)
    assert row["start_time"] is None
    assert f"{start:%Y-%m-%d %H:%M:%S}" in prefect("get", "flow-runs").stdout


def test_a_run_as_json(prefect, flow_id):
    done = prefect("run", "--id", flow_id, "--json", "--label", "nobody", "--param", "name=Ford")
    run = json.loads(done.stdout)
    assert (run["flow"]["id"], run["state"], run["labels"]) == (flow_id, "Scheduled", ["nobody"])
    assert (run["parameters"], run["start_time"]) == ({"name": "Ford"}, None)
    assert run_of(prefect, run["id"])["name"] == run["name"]


def test_a_run_is_described_with_what_it_waits_for(prefect, flow_id):
    run_id = prefect("run", "--id", flow_id, "--quiet", "--label", "nobody").stdout.strip()
    explanation = json.loads(prefect("describe", "flow-runs", "--id", run_id).stdout)["explanation"]
    assert (explanation["reason"], explanation["until"]) == ("NO_AGENT", None)
    assert "Start an agent with the labels {'nobody'}." in explanation["message"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "Error: Received no options to look up the flow.\n"),
        (["--id", "x", "--name", "y"], "Error: Received too many options to look up the flow; cannot specify both"),
        (["--id", "x", "--path", "y"], "Error: Received too many options to look up the flow: --id, --path\n"),
        (["--id", "", "--module", "y"], "Error: Received too many options to look up the flow: --id, --module\n"),
        (
            ["--project", "p", "--path", "y", "-m", "z"],
            "too many options to look up the flow: --project, --path, --module",
        ),
        (["--project", "p"], "Missing required option `--name`. Cannot look up a flow by project without also passing"),
        (["--id", "{id}", "--schedule"], "Error: `--schedule` can only be specified for local flow runs\n"),
        (["--id", "{id}", "--quiet", "--json"], "Error: give either `--quiet`"),
        (["--id", "{id}", "--execute", "--json"], "Error: give either `--execute`"),
        (["--id", "{id}", "--param", "nope=1"], "does not have the parameter 'nope'. Its parameters are 'name'.\n"),
        (["--id", "{id}", "--param", "name"], "Failed to parse parameter 'name': expected key=value.\n"),
        (["--id", "{id}", "--param", '{{"a'], "expected key=value"),
        (
            ["--id", "{id}", "--context", 'k={{"a"'],
            "Failed to parse JSON for context 'k' with value\n\n\t{{\"a\"\n\nJSON",
        ),
        (["--id", "{id}", "--param", "@none.json"], "Parameter file does not exist: '"),
        (["--id", "{id}", "--param-file", "list.json"], "holds a JSON list; expected an object"),
        (["--id", "{id}", "--param", "@broken.json"], "Failed to parse JSON at '"),
        (["--id", "{id}", "--start", "1999-01-01"], "The start time '1999-01-01' is in the past: it is 1999-01-01T"),
        (["--id", "{id}", "--start", "whenever"], "'whenever' is no start time. Write a time in ISO form"),
        (["--path", "x.py", "--start", "in 1 hour"], "Error: `--start` can only be specified for flow runs through"),
        (["--id", "00000000-0000-0000-0000-000000000000"], "Failed to find flow id or flow group id matching '0000"),
        (["--name", "no such flow"], "No results found while querying for flows with name 'no such flow'. "),
        (["--id", "{id}", "--idempotency-key", "x" * 3000], "idempotency key"),
        (["--id", "{id}", "--priority", "101"], "A priority must be -100 to 100, but this one is 101"),
        (["-p", "x.py", "--priority", "1"], "`--priority` can only be specified for flow runs through the API"),
    ],
)
def test_wrong_options_are_one_sentence(prefect, flow_id, tmp_path, options, sentence):
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "broken.json").write_text("{")
    before = number_of_runs(prefect, flow_id)
    done = prefect("run", *(option.format(id=flow_id) for option in options), code=1)
    assert sentence.replace("{{", "{") in done.stderr
    assert "Traceback" not in done.stderr
    assert number_of_runs(prefect, flow_id) == before


def test_wrong_use_of_an_option_is_a_usage_error(prefect, flow_id):
    assert "'LOUD' is not a log level" in prefect("run", "--id", flow_id, "--log-level", "LOUD", code=2).stderr
    assert "No such option" in prefect("run", "--id", flow_id, "--nope", code=2).stderr


@pytest.mark.parametrize(
    ("text", "options", "sentence"),
    [
        (TWO_FLOWS, [], "Found multiple flows at 'file.py': 'first', 'second'\n\nSpecify a flow name to run.\n"),
        (TWO_FLOWS, ["--name", "third"], "Did not find 'third' in flows at file.py. Found 'first', 'second'\n"),
        ("x = 1\n", [], "Found no flows at file.py.\n"),
        (RAISING, [], "LookupError: at import\n"),
        ("def broken(:\n", [], "SyntaxError: "),
        ("raise SystemExit('no')\n", [], "SystemExit: no\n"),
    ],
)
def test_files_that_cannot_be_run(prefect, text, options, sentence):
    path = prefect.write("file.py", text)
    # The file's own, and only where the file has run.
    shows_traceback = text is RAISING or "SystemExit" in text
    done = prefect("run", "--path", path, *options, code=1, shows_traceback=shows_traceback)
    assert done.stdout == "Retrieving local flow... Error\n"
    assert sentence in done.stderr
    if text is RAISING:
        assert done.stderr.startswith("Traceback (most recent call last):\n")
        assert "in helper" in done.stderr
        assert "flowstead_cli" not in done.stderr
        assert done.stderr.endswith("\n\n'file.py' raised this while it was loaded, so no flow was run.\n")


def test_modules_and_paths_that_are_not_there(prefect):
    assert "File does not exist: '/" in prefect("run", "--path", "none.py", code=1).stderr
    assert prefect("run", "--module", "no_such", code=1).stderr == "No module named 'no_such'\n"
    assert prefect("run", "-m", "json.nope", code=1).stderr == "Module 'json' has no attribute 'nope'\n"
    assert (
        "Invalid object of type 'function' found at 'json.dumps'" in prefect("run", "-m", "json.dumps", code=1).stderr
    )


def test_a_local_run_as_json_leaves_standard_output_to_the_answer(prefect):
    text = HELLO.format(name="local", default="default='x'").replace(
        "    prefect.context", "    print('printed')\n    prefect.context"
    )
    done = prefect("run", "--path", prefect.write("local.py", text), "--json", "--param", "name=Ford")
    run = json.loads(done.stdout)
    assert (run["flow"], run["state"], run["parameters"]) == ({"name": "local"}, "Success", {"name": "Ford"})
    assert "Hello, Ford!" in done.stderr
    assert "printed" in done.stderr


def test_an_api_that_is_not_there_is_named_with_the_place_of_its_setting(prefect):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        done = prefect("run", "--name", "x", code=1, PREFECT__CLOUD__API=url)
    assert f"Cannot reach the API at {url} (" in done.stderr
    assert "PREFECT__CLOUD__API" in done.stderr
    assert prefect("run", "--name", "x", code=1, PREFECT__CLOUD__API="nonsense").stderr.count("\n") == 1


def test_a_closed_pipe_ends_quietly(shared_cli):
    for arguments in (["run", "--help"], ["get", "flow-runs"], ["run", "--path", "none.py"]):
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "wb") as closed:
            done = subprocess.run(
                [sys.executable, "-m", "prefect", *arguments],
                check=False,
                env=shared_cli.env,
                stdout=closed,
                stderr=subprocess.PIPE,
                text=True,
                timeout=60,
            )
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "Exception" not in done.stderr


@pytest.mark.parametrize("options", [["--info"], ["--output", "yaml"]])
def test_following_goes_with_tables_and_json_only(prefect, options):
    assert "`--follow` prints lines" in prefect("logs", "any", "--follow", *options, code=1).stderr
