"""The commands and programs in README.md and docs/getting-started.md do what the text says."""

import json
import re
import shlex
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from cli_world import Cli, start_agent, start_server

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/getting-started.md")
# What sets a machine up, or runs until it is stopped: started by the fixtures, or covered by other tests.
NOT_HERE = ("make demo", "make test", "pip install .", "prefect server start", "prefect agent local start")


def blocks(page, language):
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def commands(page):
    lines = "".join(blocks(page, "sh")).replace("\\\n", "").splitlines()
    return [line for line in lines if line.strip() and line not in NOT_HERE]


@pytest.fixture(scope="module")
def cli(tmp_path_factory):
    """The command, with a server and an agent."""
    folder = tmp_path_factory.mktemp("docs")
    server, url = start_server(folder)
    with server:
        cli = Cli(folder, url)
        with start_agent(cli):
            yield cli


def wait_for_success(cli, flow_run_id):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        state = cli.graphql(f'{{ flow_run_by_pk(id: "{flow_run_id}") {{ state }} }}')["flow_run_by_pk"]["state"]
        if state == "Success":
            return
        assert state in {"Scheduled", "Submitted", "Running"}
    pytest.fail(f"the run stayed in {state}")


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_work_in_their_order(cli, page):
    programs = blocks(page, "python")
    cli.write("hello.py", programs[0])
    flow_id = None
    seen = []
    for command in commands(page):
        words = shlex.split(command)
        if words[0] == "curl":
            # The same request without curl, which not every machine has.
            assert words[2] == "http://localhost:4200"
            query = json.loads(words[words.index("-d") + 1])["query"]
            wait_for_success(cli, cli.graphql(query.replace("...", flow_id))["create_flow_run"]["id"])
            continue
        assert words[0] == "prefect", f"nobody runs {command!r}"
        done = cli(*words[1:], timeout=100)
        seen.append(words[1])
        if words[1] == "register":
            flows = cli.graphql('{ flow(where: {name: {_eq: "hello"}, archived: {_eq: false}}) { id } }')["flow"]
            flow_id = flows[0]["id"]
        if "--watch" in words:
            assert "Hello, Marvin!" in done.stdout
            assert done.stdout.endswith("Flow run succeeded!\n")
    assert {"create", "register", "run"} <= set(seen)
    for program in programs[1:]:
        done = subprocess.run(
            [sys.executable, "-c", program.replace('"..."', repr(flow_id)) + "\nprint(flow_run_id)"],
            check=False,
            cwd=cli.folder,
            env=cli.env,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr
        wait_for_success(cli, done.stdout.strip())


@pytest.mark.parametrize("page", [*PAGES, *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))])
def test_links_lead_somewhere(page):
    here = (ROOT / page).parent
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / page).read_text(encoding="utf-8")):
        if "://" not in target:
            assert (here / target).exists(), f"{page} links to {target}"


def test_every_dependency_is_explained():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.match(r"[A-Za-z0-9_.-]+", line)[0] for line in project["dependencies"]}
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").partition("\nExtras")[0]
    explained = {row.split("|")[1].strip().split(" ")[0] for row in page.splitlines() if row.startswith("| ")}
    assert names <= explained
    assert explained - names == {"package"}
