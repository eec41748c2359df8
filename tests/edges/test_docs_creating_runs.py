"""Every snippet of docs/creating-flow-runs.md, executed as it is written against a server and an agent."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_world import Cli, start_agent, start_server

PAGE = Path(__file__).parents[2] / "docs" / "creating-flow-runs.md"
# For machines without curl: what the page uses of it.
CURL = f"""#!{sys.executable}
import sys, urllib.request
url = next(word for word in sys.argv[1:] if word.startswith("http"))
body = open(sys.argv[sys.argv.index("--data") + 1][1:], "rb").read()
request = urllib.request.Request(url, body, {{"Content-Type": "application/json"}})
sys.stdout.write(urllib.request.urlopen(request).read().decode())
"""


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def cli(tmp_path_factory):
    """The command, with a server and an agent, the file of the page, and `prefect` and `curl` on the path."""
    folder = tmp_path_factory.mktemp("docs")
    server, url = start_server(folder)
    with server:
        cli = Cli(folder, url)
        tools = folder / "tools"
        tools.mkdir()
        for name, text in {
            "prefect": f'#!/bin/sh\nexec {sys.executable} -m prefect "$@"\n',
            "python": f'#!/bin/sh\nexec {sys.executable} "$@"\n',
            **({} if shutil.which("curl") else {"curl": CURL}),
        }.items():
            (tools / name).write_text(text)
            (tools / name).chmod(0o755)
        cli.env["PATH"] = f"{tools}{os.pathsep}{cli.env['PATH']}"
        cli.write("hello.py", blocks("python")[0])
        with start_agent(cli):
            yield cli


@pytest.fixture(scope="module")
def output(cli):
    """What the shell prints for all commands of the page, in their order and in one shell."""
    script = "".join(f"echo '@@@ {number}'\n{text}" for number, text in enumerate(blocks("sh")))
    script = script.replace("http://localhost:4200", cli.url)
    # In bash a failure inside a pipe counts.
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        check=False,
        env=cli.env,
        cwd=cli.folder,
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def ids(cli, output):
    """What the placeholders of the page stand for."""
    assert output
    query = '{ flow(where: {name: {_eq: "hello"}}) { id flow_group_id version_group_id } flow_run(limit: 1) { id } }'
    data = cli.graphql(query)
    (flow,) = data["flow"]
    return {
        "FLOW_RUN_ID": data["flow_run"][0]["id"],
        "FLOW_GROUP_ID": flow["flow_group_id"],
        "VERSION_GROUP_ID": flow["version_group_id"],
        "FLOW_ID": flow["id"],
    }


def run_of(cli, flow_run_id):
    query = """query($id: uuid!) { flow_run_by_pk(id: $id) {
        name state parameters context labels run_config idempotency_key scheduled_start_time flow { name }
    } }"""
    return cli.graphql(query, id=flow_run_id)["flow_run_by_pk"]


def wait_for_success(cli, flow_run_id):
    deadline = time.monotonic() + 60
    while (state := run_of(cli, flow_run_id)["state"]) != "Success":
        assert state in {"Scheduled", "Submitted", "Running"}
        assert time.monotonic() < deadline, state
        time.sleep(0.05)


def test_the_commands(cli, output):
    for text in (
        *("Registering 'hello'... Done", "| Hello, Marvin!", "Flow run succeeded!"),
        *("└── Parameters: {'name': ['Ford', 'Arthur']}", "└── Parameters: {'name': 'Trillian'}"),
        *("└── Parameters: {'name': 'Zaphod'}", "└── Parameters: {'name': 'Slartibartfast'}"),
        *("└── Name: first-of-today", "└── Context: {'region': 'eu'}", "└── Labels: ['gpu', 'large']"),
        *("2099-01-31 17:00:00", "\nSuccess\n"),
    ):
        assert text in output, text
    first, second = re.search(r"^([0-9a-f-]{36})\n([0-9a-f-]{36})$", output, re.MULTILINE).groups()
    assert first == second
    answer = json.loads(output.rpartition("\n")[2])
    run = run_of(cli, answer["data"]["create_flow_run"]["id"])
    assert (run["name"], run["idempotency_key"]) == ("by-curl", "by-curl-1")
    assert run["scheduled_start_time"].startswith("2030-01-31T17:00:00")


@pytest.mark.parametrize("number", range(1, len(blocks("python"))))
def test_the_programs(cli, ids, number):
    assert ids
    program = blocks("python")[number]
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nprint(flow_run_id)"],
        check=False,
        cwd=cli.folder,
        env=cli.env,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    flow_run_id = done.stdout.splitlines()[-1]
    wait_for_success(cli, flow_run_id)
    assert run_of(cli, flow_run_id)["flow"] == {"name": "hello"}


def test_the_operations(cli, ids):
    created = {}
    for block in blocks("graphql"):
        text = block
        for name, value in ids.items():
            text = text.replace(f'"{name}"', json.dumps(value))
        data = cli.graphql(text)
        if "create_flow_run" in data:
            created[text] = data["create_flow_run"]["id"]
        else:
            assert next(iter(data.values()))["state" if "explanation" in text else "cursor"]
    runs = {text: run_of(cli, flow_run_id) for text, flow_run_id in created.items()}
    assert len(set(created.values())) == len(created) == 9

    def of(member):
        (run,) = [run for text, run in runs.items() if f"{member}:" in text]
        return run

    assert (of("parameters")["parameters"], of("context")["context"]) == ({"name": "Marvin"}, {"region": "eu"})
    assert of("flow_run_name")["name"] == "by-graphql"
    assert of("scheduled_start_time")["scheduled_start_time"].startswith("2099-01-31T17:00:00")
    assert of("idempotency_key")["idempotency_key"] == "by-graphql-1"
    assert of("run_config")["run_config"]["env"] == {"GREETING": "hello"}
    assert [run["labels"] for text, run in runs.items() if "labels:" in text] == [["gpu", "large"], []]
    for text, flow_run_id in created.items():
        # the agent has a label, and so has the flow
        if "scheduled_start_time" not in text and "labels:" not in text:
            wait_for_success(cli, flow_run_id)
