"""The real parts a benchmark runs against: an embedded PostgreSQL, a server process, an agent process.

Everything lives in one temporary directory and ends with the block. The processes are the ones that users start.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import venv
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import psutil

from flowstead_server.db.embedded import EmbeddedPostgres

ROOT = Path(__file__).parents[2]


@dataclass(slots=True)
class Process:
    """A child of ours that is ended by SIGTERM."""

    popen: subprocess.Popen[str]
    port: int = 0
    said: deque[str] = field(default_factory=lambda: deque(maxlen=50))
    """the last lines of its output, where somebody listens"""

    def stop(self) -> None:
        """End it and wait; whoever does not end in time is killed."""
        self.popen.send_signal(signal.SIGTERM)
        try:
            self.popen.wait(20)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()

    def resident(self) -> int:
        """Proportional memory of the process and its descendants, in bytes."""
        return sum(one.memory_full_info().pss for one in self.family())

    def family(self) -> list[psutil.Process]:
        """The process and its descendants."""
        own = psutil.Process(self.popen.pid)
        return [own, *own.children(recursive=True)]

    def cpu(self) -> float:
        """Seconds of processor time of the process and its descendants, those that have ended included."""
        return sum(sum(one.cpu_times()[:4]) for one in self.family())


@dataclass(slots=True)
class Stack:
    """What runs; `agent()` adds an agent."""

    home: Path
    postgres: EmbeddedPostgres
    server: Process
    environment: dict[str, str]
    _agents: list[Process] = field(default_factory=list)

    def serving_cpu(self) -> float:
        """Seconds of processor time that server and database have used."""
        roots = [psutil.Process(self.server.popen.pid), psutil.Process(self.postgres.pid)]
        family = {*roots, *(child for root in roots for child in root.children(recursive=True))}
        return sum(sum(one.cpu_times()[:2]) for one in family)

    @property
    def dsn(self) -> str:
        """URL of the server's database."""
        return self.postgres.dsn

    def create_database(self, name: str) -> str:
        """Make an empty database beside the server's; its URL."""

        async def create() -> None:
            connection = await asyncpg.connect(self.dsn)
            await connection.execute(f'create database "{name}"')
            await connection.close()

        asyncio.run(create())
        return self.postgres.dsn_of(name)

    def agent(self, *arguments: str) -> Process:
        """Start a local agent and wait until it waits for runs."""
        popen = subprocess.Popen(
            [sys.executable, "-m", "prefect", "agent", "local", "start", *arguments],
            env=self.environment,
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        process = Process(popen)
        self._agents.append(process)
        ready = threading.Event()
        # An agent whose output nobody reads stands still when the pipe is full, after some hundred runs.
        threading.Thread(target=_listen, args=(process, ready), daemon=True).start()
        ready.wait(60)
        if not any("Waiting for flow runs" in line for line in process.said):
            raise RuntimeError(f"the agent is not ready: {''.join(process.said)}")
        return process

    def stop_agents(self) -> None:
        """End all agents."""
        while self._agents:
            self._agents.pop().stop()


def _listen(process: Process, ready: threading.Event) -> None:
    for line in process.popen.stdout or ():
        process.said.append(line)
        if "Waiting for flow runs" in line:
            ready.set()
    ready.set()


@contextmanager
def running_stack() -> Iterator[Stack]:
    """A fresh database, a server on it."""
    with tempfile.TemporaryDirectory(prefix="flowstead-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        postgres = EmbeddedPostgres.start_blocking(home / "pgdata")
        server = start_server(home)
        environment = {
            **os.environ,
            "PREFECT__HOME_DIR": str(home),
            "PREFECT__CLOUD__API": f"http://127.0.0.1:{server.port}",
            "PREFECT__BACKEND": "server",
        }
        stack = Stack(home, postgres, server, environment)
        try:
            yield stack
        finally:
            stack.stop_agents()
            server.stop()
            asyncio.run(postgres.stop())


def start_server(home: Path) -> Process:
    """A server process on the data directory of `home`; returns when it answers."""
    popen = subprocess.Popen(
        [sys.executable, "-m", "flowstead_server", "--port", "0", "--data-dir", str(home / "pgdata")],
        env={
            **os.environ,
            # What is old is the business of one benchmark, which deletes it when it wants to.
            "PREFECT__SERVER__SERVICES__RETENTION": "false",
            "PREFECT__SERVER__HOOKS__ALLOWED_HOSTS": "127.0.0.1",
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    line = popen.stdout.readline() if popen.stdout else ""
    if not line:
        raise RuntimeError(f"the server ended with {popen.wait()}")
    return Process(popen, json.loads(line)["port"])


def peers_python() -> str:
    """The interpreter of the peers' own environment, made at first use."""
    folder = ROOT / ".cache" / "bench-peers"
    python = folder / "bin" / "python"
    if not (folder / "done").exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "dbos", "procrastinate", "psycopg[binary]"], check=True)
        (folder / "done").touch()
    return str(python)
