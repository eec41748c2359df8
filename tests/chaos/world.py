"""The whole system in processes of its own, each of which can be killed, frozen and started again.

Two servers on one PostgreSQL, each behind a proxy that everybody else goes through; agents of both kinds, half of them
at each server, with clocks that can jump; the processes of flow runs. Leaving the block ends all of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import psutil
from agent_world import Process, free_port
from checker import FINISHED, LIVE
from executor import LABEL as TINY
from executor import NARROW
from system_world import System, processes_of
from tcp_proxy import TcpProxy

from flowstead_server.db.embedded import EmbeddedPostgres

HERE = Path(__file__).parent
REAL = "real"
# An agent waits for its requests, while the API may be away or frozen, in several steps.
STOP_SECONDS = 60.0


@dataclass(slots=True, eq=False)
class Part:
    """A process of the system; `busy` is held by the fault that has it."""

    name: str
    command: list[str]
    env: dict[str, str]
    process: Process | None = None
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    clock: Path | None = None
    port: int = 0

    @property
    def pid(self) -> int:
        """The id of its process."""
        assert self.process is not None
        return self.process.popen.pid

    @property
    def lives(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.popen.poll() is None


class World:
    """Everything that runs. `heartbeat_limit` is in seconds; of agents there are as many of each kind as told."""

    def __init__(self, heartbeat_limit: float, agents_of_each_kind: int = 2) -> None:
        self.system = System()
        self.folder = self.system.folder
        self.journals = self.folder / "journals"
        self.heartbeat_limit = heartbeat_limit
        self._agents_of_each_kind = agents_of_each_kind
        self.servers: list[Part] = []
        self.agents: list[Part] = []
        self.proxies: list[TcpProxy] = []
        self.flows: dict[str, str] = {}
        self.outputs: list[tuple[str, Process]] = []
        self.postgres_busy = asyncio.Lock()
        self.fallen: list[str] = []

    async def __aenter__(self) -> World:
        try:
            await self._start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for proxy in self.proxies:
            await proxy.close()
        await asyncio.to_thread(self._end)

    @property
    def dsn(self) -> str:
        """URL of the database."""
        return self.embedded.dsn

    async def _start(self) -> None:
        self.journals.mkdir()
        # its usual way of making sure that files are on disk takes seconds after each crash
        settings = {"recovery_init_sync_method": "syncfs"} if sys.platform == "linux" else {}
        self.embedded = await asyncio.to_thread(EmbeddedPostgres.start_blocking, self.folder / "pgdata", settings)
        await self.embedded.ensure_database()
        for number in (1, 2):
            port = free_port()
            arguments = ["-m", "flowstead_server", "--port", str(port), "--postgres-url", self.dsn]
            server = Part(f"server {number}", [sys.executable, *arguments], self._env())
            server.port = port
            self.servers.append(server)
            self.start(server)
            proxy = TcpProxy(port)
            self.proxies.append(await proxy.start())
        for number, proxy in enumerate(self.proxies[: self._agents_of_each_kind], 1):
            executor, local = [str(HERE / "executor.py"), f"executor-{number}"], ["-m", "flowstead_agent"]
            for name, program in ((f"executor {number}", executor), (f"local agent {number}", local)):
                clock = self.folder / f"{name} clock".replace(" ", "-")
                clock.write_text("0")
                env = self._env() | {
                    "PREFECT__CLOUD__API": proxy.url,
                    "PREFECT__CLOUD__AGENT__NAME": name.replace(" ", "-"),
                    "PREFECT__CLOUD__AGENT__LABELS": f'["{REAL}"]',
                }
                command = [sys.executable, str(HERE.parent / "support" / "shifted_clock.py"), str(clock), *program]
                agent = Part(name, command, env, clock=clock)
                self.agents.append(agent)
                self.start(agent)
        for server in self.servers:
            await self.answers(server)
        self.system.url = self.system.env["PREFECT__CLOUD__API"] = f"http://127.0.0.1:{self.servers[0].port}"
        self.flows = await asyncio.to_thread(self.system.register, str(HERE / "flows.py"))
        await asyncio.to_thread(self._set_limits)

    def _set_limits(self) -> None:
        of_flow = "query($id: uuid!) { flow_by_pk(id: $id) { flow_group_id } }"
        self.system.graphql(
            """mutation($label: String!, $group: UUID!) {
                update_flow_concurrency_limit(input: {label: $label, limit: 2}) { id }
                set_flow_group_concurrency_limit(input: {flow_group_id: $group, limit: 2}) { success }
                update_task_tag_limit(input: {tag: "scarce", limit: 5}) { id } }""",
            label=NARROW,
            group=self.system.graphql(of_flow, id=self.flows["steps"])["flow_by_pk"]["flow_group_id"],
        )

    def _env(self) -> dict[str, str]:
        limit = self.heartbeat_limit
        support = HERE.parent / "support"
        return self.system.env | {
            "PYTHONPATH": os.pathsep.join([str(support), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
            "CHAOS_JOURNALS": str(self.journals),
            "CHAOS_LONG_SECONDS": str(limit + 2),
            "PREFECT__SERVER__HEARTBEAT_LIMIT": str(limit),
            "PREFECT__SERVER__SERVICES__ZOMBIE_REAPER_INTERVAL": "0.5",
            "PREFECT__SERVER__SERVICES__LAZARUS_INTERVAL": "0.5",
            "PREFECT__CLOUD__HEARTBEAT_INTERVAL": "0.5",
            # a process of its own would go on beating for a frozen one
            "PREFECT__CLOUD__HEARTBEAT_MODE": "thread",
            "PREFECT__CLOUD__CHECK_CANCELLATION_INTERVAL": "1",
            "PREFECT__CLOUD__LOGGING_HEARTBEAT": "0.5",
            "PREFECT__CLOUD__REQUEST_TIMEOUT": "3",
            "PREFECT__CLOUD__AGENT__GRACE_SECONDS": "2",
        }

    # -- parts -------------------------------------------------------------------------------------------------------

    def start(self, part: Part) -> None:
        """Start a part that does not run."""
        part.process = Process(part.command, part.env, self.folder, start_new_session=True)
        self.outputs.append((part.name, part.process))

    async def watch_agents(self) -> None:
        """Note agents that end by themselves, and start them again; for ever."""
        while True:
            await asyncio.sleep(0.5)
            for agent in self.agents:
                if not agent.lives and not agent.busy.locked() and agent.process is not None:
                    self.fallen.append(f"{agent.name}: {agent.process.text[-500:]}")
                    self.start(agent)

    async def kill(self, part: Part) -> None:
        """Kill the process of a part and wait until it is gone."""
        assert part.process is not None
        part.process.popen.kill()
        await asyncio.to_thread(part.process.popen.wait)

    async def stop(self, part: Part) -> None:
        """Have a part end in order, and wait for it; one that does not is killed, and noted as an agent that fell."""
        assert part.process is not None
        part.process.popen.terminate()
        try:
            await asyncio.to_thread(part.process.popen.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.fallen.append(f"{part.name} did not end in order: {part.process.text[-500:]}")
            await self.kill(part)

    async def answers(self, server: Part, seconds: float = 60.0) -> None:
        """Return when a server answers; TimeoutError if it does not. One that found no database is started again."""
        async with asyncio.timeout(seconds):
            while True:
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                    writer.write(b"GET /health HTTP/1.0\r\n\r\n")
                    head = await reader.readline()
                    writer.close()
                    if b" 200 " in head:
                        return
                if not server.lives:
                    self.start(server)
                await asyncio.sleep(0.05)

    # -- processes that others have started ---------------------------------------------------------------------------

    def forked(self) -> tuple[list[psutil.Process], list[psutil.Process]]:
        """Return the fork servers of the agents, and the processes of flow runs."""
        servers, runs = [], []
        for process in processes_of(self.folder):
            with contextlib.suppress(psutil.Error):
                command = " ".join(process.cmdline())
                if "execute flow-run" in command:
                    runs.append(process)
                elif "fork_server" in command:
                    servers.append(process)
        return servers, runs

    def postgres(self) -> psutil.Process:
        """Return PostgreSQL's main process."""
        return psutil.Process(self.embedded.pid)

    def wake_all(self) -> None:
        """Let all go on that are frozen."""
        for process in processes_of(self.folder):
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGCONT)

    async def revive_postgres(self) -> None:
        """Start PostgreSQL if it does not run."""
        await asyncio.to_thread(self.embedded._revive)

    async def query(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Return rows straight from the database, which may be away: then none."""
        with contextlib.suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection = await asyncpg.connect(self.dsn, timeout=5)
            try:
                return await connection.fetch(statement, *arguments, timeout=10)
            finally:
                await connection.close(timeout=2)
        return []

    async def unfinished(self) -> int | None:
        """How many flow runs have not ended, None if the database does not say."""
        return await self._count("select count(*) from flow_run where state <> all($1)", list(FINISHED))

    async def running_task_runs(self) -> int | None:
        """How many task runs seem to run, None if the database does not say."""
        return await self._count("select count(*) from task_run where state = any($1)", list(LIVE))

    async def _count(self, statement: str, states: list[str]) -> int | None:
        rows = await self.query(statement, states)
        return int(rows[0]["count"]) if rows else None

    def save_outputs(self, folder: Path) -> None:
        """Write what everybody has printed to files."""
        folder.mkdir(parents=True, exist_ok=True)
        for number, (name, process) in enumerate(self.outputs):
            (folder / f"{name} {number}.log".replace(" ", "-")).write_text(process.text)
        with contextlib.suppress(OSError):
            (folder / "postgres.log").write_bytes((self.folder / "pgdata" / "postgres.log").read_bytes())

    def _end(self) -> None:
        with contextlib.suppress(psutil.Error):
            self.wake_all()
        for part in (*self.agents, *self.servers):
            if part.lives:
                part.process.popen.kill()
                part.process.popen.wait()
        for _, process in self.outputs:
            process._reader.join(5)
            process.popen.stdout.close()
        left = processes_of(self.folder)
        for process in left:
            with contextlib.suppress(psutil.Error):
                if "postgres" not in process.name():
                    process.kill()
        if hasattr(self, "embedded"):
            self.embedded.stop_blocking()
        self.system.__exit__()


__all__ = ["NARROW", "REAL", "TINY", "Part", "World"]
