"""The `prefect` command in tests: a server and an agent for it, flows to run, and a terminal to run it in."""

import contextlib
import io
import json
import os
import pty
import re
import select
import socket
import subprocess
import sys
import termios
import threading
import time
import urllib.request
from contextlib import redirect_stderr, redirect_stdout
from types import SimpleNamespace
from urllib.parse import urlsplit

from scratch import fill_data_directory

from flowstead_cli.main import run
from flowstead_cli.processes import ChildProcess, ServerProcess
from prefect import configuration

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


def start_server(folder, port=0, **env):
    if not (folder / "pgdata").exists():
        fill_data_directory(folder / "pgdata")
    log = (folder / "server.log").open("ab")
    with log:
        server = ServerProcess(
            ["--port", str(port), "--data-dir", str(folder / "pgdata")], env=environment(folder) | env, output=log
        )
    ready = server.wait_until_ready()
    assert ready is not None, (folder / "server.log").read_text()
    return server, f"http://127.0.0.1:{ready['port']}"


def start_agent(cli, *options, name="cli-test"):
    """Start an agent for the server of a `Cli`; it is stopped by leaving its `with` block."""
    with (cli.folder / f"{name}.log").open("wb") as log:
        return ChildProcess("prefect", ["agent", "local", "start", "--name", name, *options], env=cli.env, output=log)


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

    def start(self, *arguments, env=None, **options):
        return subprocess.Popen(
            [sys.executable, "-m", "prefect", *arguments],
            env=env or self.env,
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


class CommandsInProcess:
    """The command in the test's own process, in a directory and with settings of its own."""

    def __init__(self, cli, folder, monkeypatch):
        self.folder = folder
        self.url = cli.url
        self.graphql = cli.graphql
        self._monkeypatch = monkeypatch
        for name in [name for name in os.environ if name.startswith("PREFECT__")]:
            monkeypatch.delenv(name)
        for name, value in environment(folder, cli.url).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "path", list(sys.path))
        monkeypatch.chdir(folder)

    def __call__(self, *arguments, code=0, shows_traceback=False, **settings):
        output, errors = io.StringIO(), io.StringIO()
        with self._monkeypatch.context() as patch, redirect_stdout(output), redirect_stderr(errors):
            for name, value in settings.items():
                patch.setenv(name, value)
            configuration.reload()
            try:
                done = run(arguments)
            finally:
                patch.undo()
                configuration.reload()
        assert done == code, output.getvalue() + errors.getvalue()
        assert shows_traceback is ("Traceback" in errors.getvalue())
        return SimpleNamespace(stdout=output.getvalue(), stderr=errors.getvalue())

    def write(self, name, text):
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)
        return name

    def register(self, project, name, text):
        self("create", "project", project)
        done = self("register", "--project", project, "-p", self.write(name, text), "--force")
        return re.search(r"ID: (\S+)", done.stdout)[1]


class NoWebsockets:
    """A proxy before a server that passes requests and refuses to upgrade connections, as some in companies do."""

    def __init__(self, url):
        self._target = (urlsplit(url).hostname, urlsplit(url).port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.refused = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # a thread that waits in accept hears of a shutdown, but not of a close
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client:
            head = client.recv(65536)
            if b"upgrade: websocket" in head.lower():
                self.refused += 1
                client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            with socket.create_connection(self._target) as server:
                server.sendall(head)
                back = threading.Thread(target=self._pass, args=(server, client), daemon=True)
                back.start()
                self._pass(client, server)
                back.join(10)

    @staticmethod
    def _pass(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


class Terminal:
    """A command in a terminal: what it shows, and keys for it."""

    def __init__(self, cli, *arguments, columns=None):
        self.master, slave = pty.openpty()
        if columns is not None:
            termios.tcsetwinsize(slave, (24, columns))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "prefect", *arguments],
            # These would win over the size of the terminal; the workers of a parallel test run set them.
            env={name: value for name, value in cli.env.items() if name not in {"COLUMNS", "LINES"}},
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
