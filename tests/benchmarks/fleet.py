"""500 real flow runs through one local agent, and what an idle agent costs: memory, and requests to the API."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import subprocess
import sys
import time

import asyncpg
from flow_data import CREATE_FLOW_RUN, send
from report import Row
from stack import Stack

RUNS = 500
CREATORS = 16
IDLE_SECONDS = 30
LIMIT_SECONDS = 600
MIB = 1024 * 1024
FLOW = """
from prefect import Flow, task

@task
def nothing():
    return None

with Flow("bench-fleet") as flow:
    nothing()
"""
FIGURES = """
select r.scheduled_start_time as created, s.timestamp as running, e.timestamp as ended
from flow_run r
join flow_run_state s on s.flow_run_id = r.id and s.state = 'Running'
join flow_run_state e on e.flow_run_id = r.id and e.state = 'Success'
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
    await asyncio.to_thread(stack.agent)
    began = time.perf_counter()
    waiting = iter(range(RUNS))

    async def create() -> None:
        for _ in waiting:
            await send(port, CREATE_FLOW_RUN, {"input": {"flow_id": flow_id}})

    await asyncio.gather(*(create() for _ in range(CREATORS)))
    connection = await asyncpg.connect(stack.dsn)
    deadline = time.monotonic() + LIMIT_SECONDS
    while len(figures := await connection.fetch(FIGURES)) < RUNS:
        if time.monotonic() > deadline:
            raise RuntimeError(f"only {len(figures)} of {RUNS} runs ended in {LIMIT_SECONDS} s")
        await asyncio.sleep(0.2)
    seconds = time.perf_counter() - began
    await connection.close()
    delays = sorted((one["running"] - one["created"]).total_seconds() for one in figures)
    p50, p99 = statistics.median(delays), delays[int(0.99 * len(delays))]
    return [
        Row(f"{RUNS} runs at once, one agent, a process each", f"{RUNS / seconds:.1f} runs/s", "", f"{seconds:.1f} s"),
        Row("… create → Running, waiting for a turn included", f"p50 {p50:.1f} s, p99 {p99:.1f} s", "", ""),
        *rows,
    ]


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
