"""Real flow runs through one local agent, and what an idle agent costs: memory, and requests to the API.

`FLEET_RUNS` in the environment says how many runs (500). A run that ends otherwise than well, and a minute in which
nothing ends, stop the benchmark with what there is to know about it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import time

import asyncpg
from flow_data import CREATE_FLOW_RUN, send
from report import Row
from stack import Process, Stack

RUNS = int(os.environ.get("FLEET_RUNS", "500"))
CREATORS = 16
IDLE_SECONDS = 30
STUCK_SECONDS = 60
AGENT_PROCESSES = 2
MIB = 1024 * 1024
FLOW = """
from prefect import Flow, task

@task
def nothing():
    return None

with Flow("bench-fleet") as flow:
    nothing()
"""
STATES = "select state, count(*) as runs from flow_run group by state"
FAILED = "select id, state, state_message from flow_run where state in ('Failed', 'Cancelled', 'TriggerFailed') limit 1"
FIGURES = """
select r.scheduled_start_time as created, s.timestamp as running
from flow_run r
join flow_run_state s on s.flow_run_id = r.id and s.state = 'Running'
where r.state = 'Success'
"""


async def measure(stack: Stack) -> list[Row]:
    """The runs are created at once, so that all but the first wait for their turn."""
    port = stack.server.port
    script = stack.home / "bench_fleet.py"
    script.write_text(FLOW)
    for arguments in (["create", "project", "bench"], ["register", "--project", "bench", "-p", str(script)]):
        command = [sys.executable, "-m", "prefect", *arguments]
        await asyncio.to_thread(subprocess.run, command, env=stack.environment, check=True, capture_output=True)
    found = await send(port, '{ flow(where: {name: {_eq: "bench-fleet"}}) { id } }')
    flow_id = found["flow"][0]["id"]
    rows = await _idle(stack)
    agent = await asyncio.to_thread(stack.agent)
    launching, serving = agent.cpu(), stack.serving_cpu()
    began = time.perf_counter()
    waiting = iter(range(RUNS))

    async def create() -> None:
        for _ in waiting:
            await send(port, CREATE_FLOW_RUN, {"input": {"flow_id": flow_id}})

    await asyncio.gather(*(create() for _ in range(CREATORS)))
    connection = await asyncpg.connect(stack.dsn)
    await _all_ended(connection, agent)
    seconds = time.perf_counter() - began
    await _processes_gone(agent)
    launching, serving = agent.cpu() - launching, stack.serving_cpu() - serving
    delays = sorted((one["running"] - one["created"]).total_seconds() for one in await connection.fetch(FIGURES))
    await connection.close()
    p50, p99 = statistics.median(delays), delays[int(0.99 * len(delays))]
    bare = await asyncio.to_thread(_bare_processes)
    return [
        Row(
            f"{RUNS} runs at once, one agent, a process each",
            f"{RUNS / seconds:.1f} runs/s",
            "",
            f"{seconds:.1f} s; processor time per run {launching / RUNS * 1000:.0f} ms agent and runs, "
            f"{serving / RUNS * 1000:.0f} ms server and PostgreSQL; {RUNS} times fork and exit: {bare:.1f} s",
        ),
        Row("… create → Running, waiting for a turn included", f"p50 {p50:.1f} s, p99 {p99:.1f} s", "", ""),
        *rows,
    ]


async def _all_ended(connection: asyncpg.Connection, agent: Process) -> None:
    """Return when every run has succeeded; raises as soon as one has not, or nothing ends any more."""
    ended, since = -1, time.monotonic()
    while ended < RUNS:
        states = {row["state"]: row["runs"] for row in await connection.fetch(STATES)}
        if states.get("Success", 0) > ended:
            ended, since = states.get("Success", 0), time.monotonic()
        if failed := await connection.fetchrow(FAILED):
            raise RuntimeError(f"run {failed['id']} is {failed['state']}: {failed['state_message']}")
        if time.monotonic() > since + STUCK_SECONDS or agent.popen.poll() is not None:
            raise RuntimeError(f"no run ended for {STUCK_SECONDS} s: {states}; the agent said: {''.join(agent.said)}")
        await asyncio.sleep(0.2)


async def _processes_gone(agent: Process) -> None:
    """Return when the agent has its fork server only; what a process used is known when it has ended."""
    deadline = time.monotonic() + STUCK_SECONDS
    while len(agent.family()) > AGENT_PROCESSES:
        if time.monotonic() > deadline:
            raise RuntimeError(f"processes of runs that have ended go on: {agent.family()}")
        await asyncio.sleep(0.05)


def _bare_processes() -> float:
    """Seconds that as many processes take that do nothing, one after the other."""
    script = "import os\nfor _ in range(%d):\n    pid = os.fork()\n    if not pid: os._exit(0)\n    os.waitpid(pid, 0)"
    before = time.perf_counter()
    subprocess.run([sys.executable, "-c", script % RUNS], check=True)
    return time.perf_counter() - before


async def _idle(stack: Stack) -> list[Row]:
    requests = 0

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", stack.server.port)

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter, *, count: bool) -> None:
            nonlocal requests
            with contextlib.suppress(ConnectionError):
                while data := await source.read(65536):
                    requests += data.count(b"POST /") if count else 0
                    target.write(data)
                    await target.drain()
            target.close()

        await asyncio.gather(pump(reader, up_writer, count=True), pump(up_reader, writer, count=False))

    proxy = await asyncio.start_server(forward, "127.0.0.1", 0)
    own = stack.environment
    stack.environment = own | {"PREFECT__CLOUD__API": f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"}
    agent = await asyncio.to_thread(stack.agent)
    await asyncio.sleep(2)
    before = requests
    await asyncio.sleep(IDLE_SECONDS)
    per_ten = (requests - before) * 10 / IDLE_SECONDS
    memory = agent.resident() / MIB
    await asyncio.to_thread(stack.stop_agents)
    stack.environment = own
    proxy.close()
    return [
        Row("idle agent, memory with its fork server (PSS)", f"{memory:.0f} MiB", "< 60 MiB", "", memory < 60),
        Row("idle agent, requests in 10 s", f"{per_ten:.1f}", "≤ 1", f"over {IDLE_SECONDS} s", per_ten <= 1),
    ]
