"""`prefect server start`: when it works, when it is told to stop, and when it cannot start."""

import asyncio
import contextlib
import json
import re
import signal
import socket
import subprocess
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from cli_world import Cli
from serialized_flows import serialized_flow

from flowstead_server.db import Database
from flowstead_server.db.embedded import EmbeddedPostgres
from flowstead_server.orchestration.logs import ensure_log_partitions


def postgres_of(folder):
    """Return the command lines of PostgreSQL processes that work in a directory."""
    lines = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                lines.append((entry / "cmdline").read_bytes())
    return [line for line in lines if str(folder).encode() in line and b"postgres" in line]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_server_says_that_it_is_ready_and_ends_without_a_trace(tmp_path, number):
    process = Cli(tmp_path, None).start(
        "server", "start", "--port", "0", "--data-dir", str(tmp_path / "pgdata"), stdout=subprocess.PIPE
    )
    with process:
        line = process.stdout.readline()
        url = re.search(r"The API is at (http://localhost:\d+) ", line)[1]
        with urllib.request.urlopen(f"{url}/health", timeout=30) as answer:
            assert json.load(answer)["status"] == "ok"
        assert "playground" in process.stdout.readline()
        process.send_signal(number)
        process.stdout.read()
    assert process.returncode == 0
    assert postgres_of(tmp_path) == []


def health(url):
    with urllib.request.urlopen(f"{url}/health", timeout=30) as answer:
        return json.load(answer)["status"]


def test_servers_are_stopped_from_another_terminal(tmp_path):
    """§10.3 `--detach` and §10.4 `server stop`; options of 1.x that mean nothing here are accepted."""
    cli = Cli(tmp_path, None)
    assert cli("server", "stop").stdout == "No running Prefect Server found\n"
    done = cli(
        *["server", "start", "--detach", "--port", "0", "--volume-path", str(tmp_path / "one")],
        *["--skip-pull", "--use-volume", "--ui-port", "8080"],
    )
    assert done.stderr.endswith("keeps its data: --skip-pull, --use-volume, --ui-port.\n")
    detached = re.search(r"The API is at (http://localhost:\d+) ", done.stdout)[1]
    assert health(detached) == "ok"
    assert "prefect server stop" in done.stdout
    with cli.start(
        "server", "start", "--port", "0", "--data-dir", str(tmp_path / "two"), stdout=subprocess.PIPE
    ) as other:
        here = re.search(r"The API is at (http://localhost:\d+) ", other.stdout.readline())[1]
        done = cli("server", "stop")
        other.stdout.read()
    assert other.returncode == 0
    assert sorted(done.stdout.splitlines()) == sorted(
        [f"Stopping Prefect Server at {url}... Done" for url in (detached, here)] + ["Prefect Server stopped"]
    )
    assert postgres_of(tmp_path) == []
    assert cli("server", "stop").stdout == "No running Prefect Server found\n"


def test_a_detached_server_that_cannot_start_shows_its_log(tmp_path):
    (tmp_path / "file").write_text("")
    done = Cli(tmp_path, None)("server", "start", "-d", "--port", "0", "--data-dir", str(tmp_path / "file"), code=1)
    assert done.stderr.startswith(f"The server did not start; in {tmp_path / 'home' / 'server.log'} it says:\n")
    assert str(tmp_path / "file") in done.stderr


def test_a_server_that_cannot_start_says_why(tmp_path):
    cli = Cli(tmp_path, None)
    data = str(tmp_path / "pgdata")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = cli("server", "start", "--port", port, "--data-dir", data, code=1)
        assert f"127.0.0.1:{port}: another program uses that port" in done.stderr
    (tmp_path / "file").write_text("")
    done = cli("server", "start", "--port", "0", "--data-dir", str(tmp_path / "file"), code=1)
    assert str(tmp_path / "file") in done.stderr
    done = cli("server", "start", "--port", "0", "--postgres-url", "postgres://x:y@127.0.0.1:9/z", code=1)
    assert "127.0.0.1" in done.stderr
    assert "y@" not in done.stderr
    done = cli("server", "start", "--port", "0", "--expose", "--data-dir", data, code=1)
    assert "--allow-unauthenticated" in done.stderr
    assert done.stdout == ""
    assert postgres_of(tmp_path) == []


def test_services_run_in_processes_of_their_own(tmp_path):
    """Two of them beside a server without any, on one embedded database; SIGTERM and Ctrl-C end them cleanly."""
    cli = Cli(tmp_path, None)
    data = ["--data-dir", str(tmp_path / "pgdata")]
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(
            cli.start("server", "start", "--port", "0", "--no-services", *data, stdout=subprocess.PIPE)
        )
        url = re.search(r"The API is at (http://localhost:\d+) ", server.stdout.readline())[1]
        processes = [
            stack.enter_context(cli.start("server", "services", "start", *port, *data, stdout=subprocess.PIPE))
            for port in ([], ["--metrics-port", "0"])
        ]
        for process in processes:
            line = process.stdout.readline()
            assert line.startswith("The services run: "), line
            assert "scheduler" in line
            assert "heartbeat_reception" not in line
        with urllib.request.urlopen(f"{url}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        assert re.findall(r'flowstead_service_rounds_total{service="(\w+)"}', text) == ["heartbeat_reception"]
        address = re.search(r"Their metrics are at (http://127.0.0.1:\d+/metrics)", processes[1].stdout.readline())[1]
        with urllib.request.urlopen(address, timeout=30) as answer:
            text = answer.read().decode()
        assert 'flowstead_service_lag_seconds{service="retention"} ' in text
        for process, number in zip([*processes, server], [signal.SIGTERM, signal.SIGINT, signal.SIGTERM], strict=True):
            process.send_signal(number)
            process.stdout.read()
            assert process.wait(30) == 0
    assert postgres_of(tmp_path) == []


def test_services_wait_for_a_database_and_refuse_what_waiting_does_not_mend(tmp_path):
    cli = Cli(tmp_path, None)
    url = "postgres://x:secret@127.0.0.1:9/z"
    with cli.start("server", "services", "start", "--postgres-url", url, stderr=subprocess.PIPE) as process:
        line = process.stderr.readline()
        assert "postgres://x:…@127.0.0.1:9/z: nobody answers there" in line
        assert line.endswith("Waiting for it.\n")
        process.send_signal(signal.SIGINT)
        process.stderr.read()
    assert process.returncode == 0
    done = cli("server", "services", "start", "--postgres-url", "nonsense://", code=1)
    assert "the URL is not valid" in done.stderr
    (tmp_path / "file").write_text("")
    done = cli("server", "services", "start", "--data-dir", str(tmp_path / "file"), code=1)
    assert str(tmp_path / "file") in done.stderr
    done = cli("server", "services", "start", "--data-dir", "x", "--postgres-url", url, code=1)
    assert "cannot be combined" in done.stderr


def test_retention_shows_what_goes_and_deletes_it(tmp_path):
    """A dry run deletes nothing and says what a real one then deletes; beside a server on the same database."""
    cli = Cli(tmp_path, None)
    data = ["--data-dir", str(tmp_path / "pgdata")]
    done = cli("server", "retention", "--dry-run", *data, code=1)
    assert f"There is no database in {tmp_path / 'pgdata'}; name its directory with --data-dir." in done.stderr
    assert not (tmp_path / "pgdata").exists()
    with cli.start("server", "start", "--port", "0", "--no-services", *data, stdout=subprocess.PIPE) as server:
        url = re.search(r"The API is at (http://localhost:\d+) ", server.stdout.readline())[1]
        asyncio.run(fill(tmp_path / "pgdata", url))
        told = json.loads(cli("server", "retention", "--dry-run", "--json", *data).stdout)
        assert {(row["project"], row["state"], row["kind"]): row["rows"] for row in told["rows"]} == {
            ("shop", "Success", "flow_run"): 2,
            ("shop", "Success", "flow_run_state"): 2,
            ("shop", "Success", "task_run"): 4,
            ("shop", "Success", "task_run_state"): 4,
            ("shop", "Success", "log"): 10,
            ("shop", "Failed", "log"): 5,
        }
        shown = cli("server", "retention", "--dry-run", *data).stdout
        assert re.search(r"^shop +Success +log +10 +\d", shown, re.MULTILINE)
        assert "27 rows would be deleted, about " in shown
        shown = cli("server", "retention", *data).stdout
        assert "Deleted: 15 log lines, 2 flow runs with 4 task runs, 0 messages, 1 days of the log as tables." in shown
        assert cli("server", "retention", *data).stdout == "Nothing is old enough to be deleted.\n"
        left = asyncio.run(ask(url, "{ flow_run(order_by: {state: asc}) { state } log { id } }"))
        assert [run["state"] for run in left["flow_run"]] == ["Failed", "Scheduled"]
        assert len(left["log"]) == 5
        server.send_signal(signal.SIGTERM)
        server.stdout.read()
    done = cli("server", "retention", "--postgres-url", "postgres://x:y@127.0.0.1:9/z", code=1)
    assert "nobody answers there" in done.stderr


async def ask(url, query, variables=None):
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        answer = (await client.post("/", json={"query": query, "variables": variables})).json()
    assert "errors" not in answer, answer
    return answer["data"]


async def fill(folder, url):
    """Make four runs: two that ended 400 days ago, one that failed then, one that has waited ever since."""
    mutation = "mutation($input: {0}_input!) {{ {0}(input: $input) {{ id }} }}"
    project = await ask(url, mutation.format("create_project"), {"input": {"name": "shop"}})
    members = {"project_id": project["create_project"]["id"], "serialized_flow": serialized_flow()}
    flow = await ask(url, mutation.format("create_flow"), {"input": members})
    wish = {"input": {"flow_id": flow["create_flow"]["id"]}}
    made = [(await ask(url, mutation.format("create_flow_run"), wish))["create_flow_run"]["id"] for _ in range(4)]
    noon = datetime.now(UTC).replace(hour=12, minute=0)
    embedded = await EmbeddedPostgres.start(folder)
    try:
        async with await Database.connect(embedded.dsn) as database:
            for run_id, state, days in zip(
                made, ["Success", "Success", "Failed", None], [400, 400, 300, 300], strict=True
            ):
                await database.execute(
                    "update flow_run set state = coalesce($2, state), created = $3, state_timestamp = $3, "
                    "queue_time = case when $2 is null then queue_time end where id = $1",
                    UUID(run_id),
                    state,
                    noon - timedelta(days=days),
                )
                await database.execute(
                    "insert into log (tenant_id, flow_run_id, created) "
                    "select tenant_id, id, created from flow_run, generate_series(1, 5) where id = $1",
                    UUID(run_id),
                )
            await ensure_log_partitions(database)
    finally:
        await embedded.stop()
