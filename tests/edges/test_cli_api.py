"""The command line against a real server and a real agent."""

import contextlib
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from pathlib import Path

import pytest

from flowstead_cli.processes import ChildProcess, ServerProcess

HELLO = """
import prefect
from prefect import Flow, Parameter, task


@task
def hello(name):
    prefect.context.get("logger").info("Hello, %s!", name)


with Flow("{name}") as flow:
    hello(Parameter("name", {default}))
"""

FAILING = """
from prefect import Flow, task


@task
def fail():
    raise ValueError("meant to fail")


with Flow("failing") as flow:
    fail()
"""

# Runs until a file appears, whose name is a parameter.
WAITING = """
import time
from pathlib import Path

import prefect
from prefect import Flow, Parameter, task


@task
def wait(path):
    logger = prefect.context.get("logger")
    logger.info("waiting for the file")
    deadline = time.monotonic() + 60
    while not Path(path).exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    logger.info("the file is there")


with Flow("waiting") as flow:
    wait(Parameter("path"))
"""


def environment(folder, url=None):
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT__")}
    env |= {
        "PREFECT__HOME_DIR": str(folder / "home"),
        "PREFECT__USER_CONFIG_PATH": str(folder / "config.toml"),
        "PREFECT__BACKEND_CONFIG_PATH": str(folder / "backend.toml"),
    }
    if url is not None:
        env["PREFECT__CLOUD__API"] = url
    return env


def start_server(folder, port=0):
    log = (folder / "server.log").open("ab")
    with log:
        server = ServerProcess(
            ["--port", str(port), "--data-dir", str(folder / "pgdata")], env=environment(folder), output=log
        )
    ready = server.wait_until_ready()
    assert ready is not None, (folder / "server.log").read_text()
    return server, f"http://127.0.0.1:{ready['port']}"


class Cli:
    """The command, told where the server of the test is."""

    def __init__(self, folder, url):
        self.folder = folder
        self.url = url
        self.env = environment(folder, url)

    def __call__(self, *arguments, code=0, timeout=60):
        done = subprocess.run(
            [sys.executable, "-m", "prefect", *arguments],
            check=False,
            capture_output=True,
            text=True,
            env=self.env,
            cwd=self.folder,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def start(self, *arguments, **options):
        return subprocess.Popen(
            [sys.executable, "-m", "prefect", *arguments],
            env=self.env,
            cwd=self.folder,
            text=True,
            stdin=subprocess.DEVNULL,
            **options,
        )

    def graphql(self, query, **variables):
        request = urllib.request.Request(
            self.url,
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            body = json.load(answer)
        assert "errors" not in body, body
        return body["data"]

    def write(self, name, text):
        (self.folder / name).write_text(text)
        return name

    def register(self, project, name, text):
        self("create", "project", project)
        done = self("register", "--project", project, "-p", self.write(name, text), "--force")
        return re.search(r"ID: (\S+)", done.stdout)[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def cli(folder):
    server, url = start_server(folder)
    with server:
        yield Cli(folder, url)


@pytest.fixture(scope="module")
def agent(cli):
    with (cli.folder / "agent.log").open("wb") as log:
        process = ChildProcess("prefect", ["agent", "local", "start", "--name", "cli-test"], env=cli.env, output=log)
    with process:
        yield process


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


@pytest.mark.usefixtures("agent")
def test_watching_shows_logs_and_states_and_ends_with_the_run(cli):
    flow_id = cli.register("watching", "watching.py", HELLO.format(name="watching", default="default='x'"))
    done = cli("run", "--id", flow_id, "--param", "name=Marvin", "--run-name", "watched", "--watch")
    lines = done.stdout.splitlines()
    assert "Watching flow run execution..." in lines
    assert lines[-1] == "Flow run succeeded!"
    watched = [line for line in lines if re.match(r"└── \d\d:\d\d:\d\d \| ", line)]
    states = re.findall(r"Entered state <(\w+)>", done.stdout)
    assert [states[0], states[-1]] == ["Scheduled", "Success"]
    assert any(line.endswith("| INFO    | Hello, Marvin!") for line in watched)
    assert "\x1b" not in done.stdout
    stored = json.loads(cli("get", "logs", "--name", "watched", "-o", "json").stdout)
    shown = [line.split(" | ", 2)[2] for line in watched if "Entered state" not in line]
    assert shown == [log["message"] for log in stored]
    quiet = cli("run", "--id", flow_id, "--watch", "--no-logs").stdout
    assert "Hello" not in quiet
    assert "Entered state <Success>" in quiet


@pytest.mark.usefixtures("agent")
def test_a_run_that_fails_exits_with_1(cli):
    flow_id = cli.register("failing", "failing.py", FAILING)
    done = cli("run", "--id", flow_id, "--watch", code=1)
    assert "meant to fail" in done.stdout
    assert done.stdout.endswith("Flow run failed!\n")


class Terminal:
    """A command in a terminal: what it shows, and keys for it."""

    def __init__(self, cli, *arguments):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "prefect", *arguments],
            env=cli.env,
            cwd=cli.folder,
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        self.seen = ""

    def read_until(self, text, timeout=60):
        deadline = time.monotonic() + timeout
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if not self._read():
                break

    def _read(self):
        if select.select([self.master], [], [], 0.1)[0]:
            try:
                self.seen += os.read(self.master, 65536).decode(errors="replace")
            except OSError:
                return False
        return True

    def press(self, text):
        os.write(self.master, text.encode())

    def finish(self):
        while self._read():
            pass
        os.close(self.master)
        return self.process.wait(30)


@pytest.mark.usefixtures("agent")
def test_a_terminal_gets_colours_and_a_status_line(cli):
    flow_id = cli.register("waiting", "waiting.py", WAITING)
    go_on = cli.folder / "terminal-goes-on"
    terminal = Terminal(cli, "run", "--id", flow_id, "--param", f"path={go_on}", "--watch")
    terminal.read_until("waiting for the file")
    terminal.read_until("Running · 0:")
    go_on.touch()
    assert terminal.finish() == 0, terminal.seen
    assert re.search(r"Running · \d:\d\d · \d/\d task runs", terminal.seen)
    assert "\x1b[" in terminal.seen
    assert "the file is there" in terminal.seen
    # The cursor that the status line hid is shown again.
    assert terminal.seen.rfind("\x1b[?25h") > terminal.seen.rfind("\x1b[?25l")


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize(
    ("answer", "code", "sentence"),
    [("y\n", 0, "Cancelled flow run."), ("n\n", 1, "Exiting without cancelling flow run!")],
)
def test_ctrl_c_asks_in_a_terminal_whether_to_cancel(cli, answer, code, sentence):
    flow_id = cli.register("waiting", "waiting.py", WAITING)
    go_on = cli.folder / f"asked-{code}-goes-on"
    terminal = Terminal(cli, "run", "--id", flow_id, "--param", f"path={go_on}", "--watch")
    terminal.read_until("waiting for the file")
    terminal.process.send_signal(signal.SIGINT)
    terminal.read_until("Do you want to cancel this flow run?")
    terminal.press(answer)
    assert terminal.finish() == code, terminal.seen
    assert sentence in terminal.seen
    run_id = re.search(r"UUID: (\S+)", terminal.seen)[1]
    state = cli.graphql("query($id: uuid!) { flow_run_by_pk(id: $id) { state } }", id=run_id)["flow_run_by_pk"]["state"]
    assert state in ({"Cancelling", "Cancelled"} if code == 0 else {"Running"})
    go_on.touch()


@pytest.mark.usefixtures("agent")
def test_ctrl_c_without_a_terminal_leaves_the_run_alone(cli):
    flow_id = cli.register("waiting", "waiting.py", WAITING)
    go_on = cli.folder / "interrupted-goes-on"
    process = cli.start(
        "run", "--id", flow_id, "--param", f"path={go_on}", "--watch", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        for line in process.stdout:
            if "waiting for the file" in line:
                break
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "Keyboard interrupt detected!" in rest
    assert "Exiting without cancelling flow run!" in rest
    assert errors == "\nAborted!\n"
    go_on.touch()


@pytest.mark.usefixtures("agent")
def test_a_reader_that_goes_away_ends_watching_quietly(cli):
    flow_id = cli.register("piped", "piped.py", HELLO.format(name="piped", default="default='x'"))
    process = cli.start("run", "--id", flow_id, "--watch", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""


def test_a_server_that_comes_back_is_watched_on(tmp_path):
    server, url = start_server(tmp_path)
    cli = Cli(tmp_path, url)
    try:
        flow_id = cli.register("again", "waiting.py", WAITING)
        with (tmp_path / "agent.log").open("wb") as log:
            agent = ChildProcess("prefect", ["agent", "local", "start"], env=cli.env, output=log)
        with agent:
            go_on = tmp_path / "goes-on"
            process = cli.start("run", "--id", flow_id, "--param", f"path={go_on}", "--watch", stdout=subprocess.PIPE)
            with process:
                output = []
                for line in process.stdout:
                    output.append(line)
                    if "waiting for the file" in line:
                        break
                server.stop()
                for line in process.stdout:
                    output.append(line)
                    if "reconnecting" in line:
                        break
                server, _ = start_server(tmp_path, port=url.rpartition(":")[2])
                go_on.touch()
                output += process.stdout.readlines()
            assert process.returncode == 0, "".join(output)
        text = "".join(output)
        assert text.count("the file is there") == 1
        assert text.count("waiting for the file") == 1
        assert text.endswith("Flow run succeeded!\n")
    finally:
        server.stop()


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
        process.send_signal(number)
        process.stdout.read()
    assert process.returncode == 0
    assert postgres_of(tmp_path) == []


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
