"""The whole system in separate processes, as somebody runs it who has one machine: servers, agents and commands.

Everything lives in one short folder under the directory for temporary files, which is also how the processes of a test
are found: leaving the `with` block ends them all, and the fixture then insists that nothing is left.
"""

import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

import asyncpg
import psutil
from agent_world import FINISHED, Process, free_port
from scratch import fill_data_directory

DEADLINE = 60.0
FLOWS = Path(__file__).parent.parent / "e2e" / "flows"


def wait_until(condition, seconds=DEADLINE, about=lambda: ""):
    """Return what `condition` returns as soon as that is true."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {seconds} s: {about()}"
        time.sleep(0.02)
    return value


def processes_of(folder):
    """Return the processes whose command line or environment names the folder, without this one."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            about = Path(f"/proc/{process.pid}/environ").read_bytes() + " ".join(process.cmdline()).encode()
            if str(folder).encode() in about:
                found.append(process)
    return found


def post(url, body, headers=()):
    """Send bytes and return status and decoded answer, also when the status is an error."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **dict(headers)})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


class System:
    """Servers, agents and commands of one test, in one folder."""

    def __init__(self):
        # Not pytest's: its long name would leave no room for the name of PostgreSQL's socket.
        self.folder = Path(tempfile.mkdtemp(prefix="e2e-"))
        # The embedded PostgreSQL may run as another user, who must be able to reach its directory.
        self.folder.chmod(0o755)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT__")}
        self.env = clean | {
            "TMPDIR": str(self.folder),
            "PREFECT__HOME_DIR": str(self.folder / "home"),
            "PREFECT__USER_CONFIG_PATH": str(self.folder / "config.toml"),
            "PREFECT__BACKEND_CONFIG_PATH": str(self.folder / "backend.toml"),
            "PREFECT__CLOUD__API": self.url,
        }
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            with contextlib.suppress(AssertionError):
                process.stop()
        # Flow runs outlive their agent on purpose.
        left = processes_of(self.folder)
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, 20)
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- processes ---------------------------------------------------------------------------------------------------

    def start(self, *arguments, **env):
        """Start `python -m …` and keep what it prints."""
        return self._start("-m", *arguments, **env)

    def start_code(self, *arguments):
        """Start `python -c …` and keep what it prints."""
        return self._start("-c", *arguments)

    def _start(self, *arguments, **env):
        process = Process([sys.executable, *arguments], self.env | env, self.folder, start_new_session=True)
        self.processes.append(process)
        return process

    def start_server(self, *arguments, port=None, wait=True):
        """Start a server, on an embedded PostgreSQL of its own unless told otherwise; answers when it answers."""
        database = [] if "--postgres-url" in arguments else ["--data-dir", str(self.folder / "pgdata")]
        if database and not (self.folder / "pgdata").exists():
            fill_data_directory(self.folder / "pgdata")
        server = self.start(
            "flowstead_server", "--port", str(port or self.port), "--ready-fd", "1", *database, *arguments
        )
        if wait:
            server.wait_for('"port"')
        return server

    def start_agent(self, name="agent", **env):
        agent = self.start("prefect", "agent", "local", "start", "--name", name, "--log-level", "DEBUG", **env)
        agent.wait_for("Waiting for flow runs")
        return agent

    def cli(self, *arguments, code=0, timeout=DEADLINE, **env):
        """Run a `prefect` command to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "prefect", *arguments],
            check=False,
            capture_output=True,
            text=True,
            env=self.env | env,
            cwd=self.folder,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def postmaster(self):
        """Return the main process of the embedded PostgreSQL."""
        (path,) = (self.folder / "pgdata").glob("*/postmaster.pid")
        return psutil.Process(int(path.read_text().split("\n", 1)[0]))

    def flow_process(self, flow_run_id):
        """Return the process that executes a flow run, by what the agent wrote into its log."""

        def told():
            matches = [re.search(r"PID: (\d+)", message) for message in self.messages(flow_run_id)]
            return [int(match[1]) for match in matches if match]

        return psutil.Process(wait_until(told)[-1])

    # -- the API -----------------------------------------------------------------------------------------------------

    def graphql(self, query, url=None, headers=(), **variables):
        """Return the data of an answer without errors."""
        status, answer = post(url or self.url, json.dumps({"query": query, "variables": variables}).encode(), headers)
        assert status == 200, answer
        assert "errors" not in answer, answer
        return answer["data"]

    def register(self, *files, project="e2e"):
        """Register the flows of files under flows/ or of this folder; returns their ids by name."""
        self.cli("create", "project", project, "--skip-if-exists")
        paths = [str(FLOWS / file if (FLOWS / file).exists() else self.folder / file) for file in files]
        self.cli("register", "--project", project, "--force", *[part for path in paths for part in ("-p", path)])
        rows = self.graphql(
            "query($p: String) { flow(where: {archived: {_eq: false}, project: {name: {_eq: $p}}}) { id name } }",
            p=project,
        )["flow"]
        return {row["name"]: row["id"] for row in rows}

    def create_run(self, flow_id, url=None, **members):
        query = "mutation($input: create_flow_run_input!) { create_flow_run(input: $input) { id } }"
        return self.graphql(query, url, input={"flow_id": flow_id, **members})["create_flow_run"]["id"]

    def run(self, flow_run_id, url=None):
        """Return a run with its history, its task runs and its log in the order of its writing."""
        return self.graphql(
            """query($id: uuid!) {
                flow_run_by_pk(id: $id) {
                    name state state_message version start_time scheduled_start_time
                    states(order_by: [{version: asc}]) { state message timestamp }
                    task_runs { state map_index task { slug } }
                } }""",
            url,
            id=flow_run_id,
        )["flow_run_by_pk"]

    def history(self, flow_run_id):
        return [state["state"] for state in self.run(flow_run_id)["states"]]

    def rows(self, statement, *arguments):
        """Return rows straight from the embedded database."""

        async def fetch():
            folder = quote(str(self.folder / "pgdata" / "socket"), safe="")
            connection = await asyncpg.connect(f"postgresql://postgres@/flowstead?host={folder}&port=5432")
            try:
                return await connection.fetch(statement, *arguments)
            finally:
                await connection.close()

        return asyncio.run(fetch())

    def stored_log(self, flow_run_id):
        """Return the messages of a run's log, in the order in which they were stored."""
        rows = self.rows("select message from log where flow_run_id = $1::uuid order by seq", flow_run_id)
        return [row["message"] for row in rows]

    def messages(self, flow_run_id, url=None):
        """Return the messages of a run's log, as the API has them."""
        query = "query($id: uuid!) { log(where: {flow_run_id: {_eq: $id}}, order_by: [{timestamp: asc}]) { message } }"
        return [line["message"] for line in self.graphql(query, url, id=flow_run_id)["log"]]

    def wait_for_state(self, flow_run_id, states=FINISHED, seconds=DEADLINE):
        """Return the run when it is in one of `states`."""

        def there():
            run = self.run(flow_run_id)
            return run if run["state"] in states else None

        return wait_until(there, seconds, lambda: f"{self.run(flow_run_id)}\n{self.text()}")

    def wait_for_message(self, flow_run_id, part, seconds=DEADLINE):
        """Return when the run's log has a line with `part`."""
        wait_until(
            lambda: any(part in message for message in self.messages(flow_run_id)),
            seconds,
            lambda: f"{part!r} in {self.messages(flow_run_id)}\n{self.text()}",
        )

    def answers(self):
        """Say whether the server answers and its database does."""
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=10) as answer:
                return answer.status == 200
        except OSError:
            return False

    def text(self):
        return "\n----\n".join(process.text for process in self.processes)


def shown_lines(output):
    """Return the messages of the lines that a watching command printed, without those about states."""
    lines = re.findall(r"^└── \d\d:\d\d:\d\d \| (\S+)\s+\| (.*)$", output, re.MULTILINE)
    return [
        message for _, message in lines if not message.startswith(("Entered state <", "Lost the connection to the API"))
    ]
