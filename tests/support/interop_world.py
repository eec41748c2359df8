"""The unmodified prefect 1.4.1 from the package index beside a server of ours.

1.4.1 lives in a virtual environment of its own under `.cache`, which the first test that needs it makes; all later ones
use it as it is. It is a black box here: its command line, its agent, its engine and its Python API, nothing inside.
"""

import asyncio
import contextlib
import json
import subprocess
import threading
import urllib.request
from pathlib import Path

import asyncpg
import peer_141
import pytest
from agent_world import Process, free_port
from interop_recorder import Recorder
from system_world import DEADLINE, System

ROOT = Path(__file__).resolve().parents[2]
FLOWS = ROOT / "tests" / "interop" / "flows"

# Runs what arrives on standard input, one JSON text per line, and answers in kind. What 1.4.1 prints goes elsewhere.
_INTERPRETER = """
import json, os, sys
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)
names = {}
for line in sys.stdin:
    kind, text = json.loads(line)
    try:
        answer = {"value": eval(text, names)} if kind == "eval" else {"value": exec(text, names)}
        text = json.dumps(answer, default=str)
    except BaseException as error:
        text = json.dumps({"error": f"{type(error).__name__}: {error}"})
    print(text, file=answers)
"""


def python_of_141():
    """Return the Python that has 1.4.1; skips the test where there cannot be one."""
    try:
        return peer_141.python_of_141()
    except peer_141.NoPythonError as reason:
        pytest.skip(str(reason))
    except peer_141.InstallError as error:
        pytest.fail(str(error), pytrace=False)


class LibraryError(Exception):
    """What 1.4.1 raised, as text."""


class Library:
    """1.4.1 in a Python that stays: `run` statements, `get` the value of an expression (as JSON)."""

    def __init__(self, python, env, folder):
        self._log = (folder / "library.log").open("a")
        self._process = subprocess.Popen(
            [python, "-W", "ignore", "-c", _INTERPRETER],
            env=env,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def _ask(self, kind, text):
        watchdog = threading.Timer(DEADLINE, self._process.kill)
        watchdog.start()
        try:
            self._process.stdin.write(json.dumps([kind, text]) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        finally:
            watchdog.cancel()
        assert line, f"1.4.1 did not answer: {text}"
        answer = json.loads(line)
        if "error" in answer:
            raise LibraryError(answer["error"])
        return answer["value"]

    def run(self, code):
        """Execute statements; their names stay."""
        self._ask("exec", code)

    def get(self, expression):
        """Return the value of an expression, as far as JSON can say it."""
        return self._ask("eval", expression)

    def call(self, function, *arguments, **named):
        """Call a function by its name with JSON values."""
        text = "".join(f"{value!r}, " for value in arguments)
        return self.get(f"{function}({text}**{named!r})")

    def close(self):
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()


class Interop(System):
    """A server of ours, our own parts, and those of 1.4.1; in one folder."""

    def __init__(self, dsn):
        super().__init__()
        self.dsn = dsn
        self.old_python = python_of_141()
        (self.folder / "old-home").mkdir()
        quick = {
            "PREFECT__CLOUD__CHECK_CANCELLATION_INTERVAL": "0.5",
            "PREFECT__CLOUD__LOGGING_HEARTBEAT": "0.5",
            # a process of its own for each heartbeat costs more than the run
            "PREFECT__CLOUD__HEARTBEAT_MODE": "thread",
        }
        self.env |= quick
        self.old_env = self.env | {
            "HOME": str(self.folder / "old-home"),
            "PREFECT__HOME_DIR": str(self.folder / "old-home" / ".prefect"),
            "PREFECT__BACKEND": "server",
            "PYTHONWARNINGS": "ignore",
        }
        self.recorder = None
        self.pokes = []
        self._libraries = []

    def __exit__(self, *exception):
        for library in self._libraries:
            library.close()
        super().__exit__(*exception)
        if self.recorder:
            self.recorder.close()

    def start_server(self, *arguments, **options):
        server = super().start_server("--postgres-url", self.dsn, *arguments, **options)
        self.recorder = Recorder(self.port)
        self.old_env["PREFECT__CLOUD__API"] = self.recorder.url
        return server

    def library(self, **env):
        """Start another Python with 1.4.1."""
        library = Library(self.old_python, self.old_env | env, self.folder)
        self._libraries.append(library)
        return library

    def old_cli(self, *arguments, code=0, timeout=DEADLINE, **env):
        """Run a `prefect` command of 1.4.1 to its end and return what it printed."""
        done = subprocess.run(
            [self.old_python, "-m", "prefect", *arguments],
            check=False,
            capture_output=True,
            text=True,
            env=self.old_env | env,
            cwd=self.folder,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start_process(self, arguments, **env):
        """Start a process with the settings of 1.4.1 and keep what it prints."""
        process = Process(arguments, self.old_env | env, self.folder, start_new_session=True)
        self.processes.append(process)
        return process

    def start_old_agent(self, *labels, name="old-agent", **env):
        """Start a local agent of 1.4.1."""
        port = free_port()
        options = [part for label in labels for part in ("--label", label)]
        agent = self.start_process(
            [
                *[self.old_python, "-m", "prefect", "agent", "local", "start", "--no-hostname-label"],
                *["--name", name, "--agent-address", f"http://127.0.0.1:{port}", *options],
            ],
            **env,
        )
        agent.wait_for("Waiting for flow runs")
        self.pokes.append(port)
        return agent

    def poke(self):
        """Make the agents of 1.4.1 look at the queue now; they wait for up to ten seconds otherwise."""
        for port in self.pokes:
            url = f"http://127.0.0.1:{port}/api/poke"
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=10):
                pass

    def start_new_agent(self, *labels, name="new-agent", **env):
        options = [part for label in labels for part in ("--label", label)]
        agent = self.start(
            *["prefect", "agent", "local", "start", "--no-hostname-label", "--name", name, *options], **env
        )
        agent.wait_for("Waiting for flow runs")
        return agent

    def create_run(self, flow_id, url=None, **members):
        created = super().create_run(flow_id, url, **members)
        self.poke()
        return created

    def flow(self, flow_id, fields):
        query = f"query($id: uuid!) {{ flow_by_pk(id: $id) {{ {fields} }} }}"
        return self.graphql(query, id=flow_id)["flow_by_pk"]

    def rows(self, statement, *arguments):
        async def fetch():
            connection = await asyncpg.connect(self.dsn)
            try:
                return await connection.fetch(statement, *arguments)
            finally:
                await connection.close()

        return asyncio.run(fetch())

    def text(self):
        log = self.folder / "library.log"
        return super().text() + "\n----\n" + (log.read_text() if log.exists() else "")
