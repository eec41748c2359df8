"""What tests of agents work with: a server process on a database of the test, agent processes, flows and their runs.

Everything is the real part, started as users start it. Waiting ends as soon as what is waited for is there, or after a
deadline with the logs of all processes in the message.
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request
from pathlib import Path

DEADLINE = 45.0
FINISHED = {"Success", "Failed", "Cancelled"}


def free_port():
    with socket.socket() as a_socket:
        a_socket.bind(("127.0.0.1", 0))
        return a_socket.getsockname()[1]


class Process:
    """A process of ours whose output is kept."""

    def __init__(self, arguments, env, cwd, **options):
        self.lines = []
        self._changed = threading.Condition()
        self.popen = subprocess.Popen(
            arguments,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.popen.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()

    @property
    def text(self):
        return "\n".join(self.lines)

    def wait_for(self, pattern, seconds=DEADLINE):
        """Return the match of the first line that has `pattern`."""

        def found():
            return next((match for line in self.lines if (match := re.search(pattern, line))), None)

        with self._changed:
            if not self._changed.wait_for(found, seconds):
                raise AssertionError(f"no line with {pattern!r} within {seconds} s:\n{self.text}")
            return found()

    def stop(self, number=signal.SIGTERM, seconds=20.0):
        """Send a signal, wait for the end, and return the exit code."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        return self.wait_end(seconds)

    def wait_end(self, seconds=60.0):
        """Wait for the end, and return the exit code."""
        try:
            code = self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise AssertionError(f"the process did not end within {seconds} s:\n{self.text}") from None
        self._reader.join(5)
        self.popen.stdout.close()
        return code


class World:
    """One test's server, agents and flows, in one folder."""

    def __init__(self, folder, dsn):
        self.folder = folder
        self.dsn = dsn
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.server = None
        self.agents = []
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT__")}
        self.env = clean | {
            "PREFECT__HOME_DIR": str(folder / "home"),
            "PREFECT__USER_CONFIG_PATH": str(folder / "config.toml"),
            "PREFECT__BACKEND_CONFIG_PATH": str(folder / "backend.toml"),
            "PREFECT__CLOUD__API": self.url,
        }

    def start_server(self):
        self.server = Process(
            [
                *[sys.executable, "-m", "flowstead_server"],
                *["--port", str(self.port), "--postgres-url", self.dsn, "--ready-fd", "1"],
            ],
            self.env,
            self.folder,
        )
        self.server.wait_for('"port"')

    def start_agent(self, *, labels=(), wait=True, clock_ahead=0, **settings):
        """Start a local agent whose clock is wrong by some seconds; `settings` are environment variables."""
        env = self.env | {"PREFECT__CLOUD__AGENT__LABELS": str(list(labels)), "PREFECT__CLOUD__AGENT__LEVEL": "DEBUG"}
        program = ["-m", "flowstead_agent"]
        if clock_ahead:
            file = self.folder / f"clock{clock_ahead}"
            file.write_text(str(clock_ahead))
            program = [str(Path(__file__).parent / "shifted_clock.py"), str(file), *program]
        agent = Process([sys.executable, *program], env | settings, self.folder)
        self.agents.append(agent)
        if wait:
            agent.wait_for("Waiting for flow runs")
        return agent

    def close(self):
        for process in [*self.agents, *([self.server] if self.server else [])]:
            with contextlib.suppress(AssertionError):
                process.stop()

    def graphql(self, query, **variables):
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            result = json.load(answer)
        assert "errors" not in result, result
        return result["data"]

    def register(self, source, name="a-flow"):
        """Register the flow that `source` (the inside of a script) defines as `flow`; returns its id."""
        path = self.folder / f"{name}.py"
        path.write_text(textwrap.dedent(source))
        self.command("create", "project", "tests", "--skip-if-exists")
        done = self.command("register", "--project", "tests", "-p", str(path), "--force")
        return re.search(r"ID: (\S+)", done)[1]

    def command(self, *arguments):
        """Run a command of the CLI and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "prefect", *arguments],
            env=self.env,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def create_run(self, flow_id, **members):
        variables = {"input": {"flow_id": flow_id, **members}}
        query = "mutation($input: create_flow_run_input!) { create_flow_run(input: $input) { id } }"
        return self.graphql(query, **variables)["create_flow_run"]["id"]

    def run(self, flow_run_id):
        """Return a run with its history and log."""
        return self.graphql(
            """query($id: uuid!) { flow_run_by_pk(id: $id) {
                state state_message version
                states(order_by: [{version: asc}]) { state message timestamp }
                logs(order_by: [{timestamp: asc}]) { level name message timestamp } } }""",
            id=flow_run_id,
        )["flow_run_by_pk"]

    def wait_for_state(self, flow_run_id, states=FINISHED, seconds=DEADLINE):
        """Return the run when it is in one of `states`."""
        end = time.monotonic() + seconds
        while (run := self.run(flow_run_id))["state"] not in states:
            assert time.monotonic() < end, f"{run}\n{self.logs()}"
            time.sleep(0.05)
        return run

    def wait_for_log(self, flow_run_id, part, seconds=DEADLINE):
        """Return the line of the run's log that contains `part`, when it is there."""
        end = time.monotonic() + seconds
        while True:
            run = self.run(flow_run_id)
            for line in run["logs"]:
                if part in line["message"]:
                    return line
            assert time.monotonic() < end, f"no {part!r} in {run}\n{self.logs()}"
            time.sleep(0.05)

    def logs(self):
        return "\n----\n".join(process.text for process in [self.server, *self.agents] if process)


def alive(pid):
    """Say whether a process runs (and is no zombie)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
