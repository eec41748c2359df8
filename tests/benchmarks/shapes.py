"""The 33 query shapes of 1.4.1 programs on a grown-up database, through HTTP, and the server's memory under them.

SHAPES_SCALE: share of the full size, which is 1,000,000 flow runs with 10,000,000 task runs and 20,000,000 log lines;
default 0.05. SHAPES_SECONDS: how long the mixed load lasts, default 10; 60 is the figure of the target.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import psutil
from http_load import Load, load, request_bytes
from report import Row
from shapes_queries import SHAPES
from stack import Stack

FULL_RUNS = 1_000_000
MIB = 1024 * 1024
LIMIT_SECONDS = 0.025
LIMIT_BYTES = 150 * MIB
LEAST_ANSWERS = 40
SHAPE_SECONDS = 0.3
MIXED_CONNECTIONS = 8
FILL = (Path(__file__).parent / "shapes_fill.sql").read_text()
PLACE = re.compile(r"<(\w+)>")


async def measure(stack: Stack) -> list[Row]:
    """Each shape alone on one connection, then all of them mixed on eight."""
    runs = max(int(float(os.environ.get("SHAPES_SCALE", "0.05")) * FULL_RUNS), 1_000)
    connection = await asyncpg.connect(stack.dsn, command_timeout=7200)
    await _fill(connection, runs)
    places = await _places(connection)
    await connection.close()
    chance = random.Random(7)
    port = stack.server.port

    def make(text: str) -> Callable[[], bytes]:
        return lambda: request_bytes(port, PLACE.sub(lambda place: places[place[1]](chance), text), "null")

    rows: list[Row] = []
    for name, text in SHAPES.items():
        found = await _alone(port, make(text))
        p95 = found.percentile(0.95)
        median = f"median {statistics.median(found.latencies) * 1000:.1f} ms, {len(found.latencies)} answers"
        rows.append(Row(name, f"p95 {p95 * 1000:.1f} ms", "< 25 ms", median, p95 < LIMIT_SECONDS))
    makers = [make(text) for text in SHAPES.values()]
    rows.append(await _mixed(stack, lambda: _any_of(makers, chance)))
    heading = Row(
        f"1.4.1 query shapes, {runs:,} flow runs", "", "", f"{10 * runs:,} task runs, {20 * runs:,} log lines"
    )
    return [heading, *rows]


def _any_of(makers: list[Callable[[], bytes]], chance: random.Random) -> bytes:
    return chance.choice(makers)()


async def _fill(connection: asyncpg.Connection, runs: int) -> None:
    began = time.perf_counter()
    await connection.execute(FILL.replace(":runs", str(runs)))
    await connection.execute("reset session_replication_role")
    await connection.execute("vacuum analyze")
    print(f"  {runs:,} flow runs made in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)


async def _places(connection: asyncpg.Connection) -> dict[str, Callable[[random.Random], str]]:
    """What each place of a document may be filled with."""

    async def column(query: str) -> list[str]:
        return [str(row[0]) for row in await connection.fetch(query)]

    run_ids = await column("select id from flow_run tablesample system (10) where state = 'Success' limit 3000")
    ready = await column(
        "select id from flow_run where state in ('Scheduled', 'Running') order by created desc limit 500"
    )
    task_runs = await column("select id from task_run tablesample system (10) limit 3000")
    names = await column("select name from flow_run tablesample system (10) limit 1000")
    flows = await connection.fetch(
        "select f.id, f.name, f.project_id, p.name as project from flow f join project p on p.id = f.project_id"
        " where exists (select from flow_run r where r.flow_id = f.id)"
    )
    rare = await column(
        "select f.name from flow f where f.id = (select flow_id from flow_run order by created limit 1)"
    )
    tasks = await column("select id from task where name = 'task-1'")
    tenants, configs = await column("select id from tenant"), await column("select id from agent_config")
    now = datetime.now(UTC)

    def one_of(values: list[str]) -> Callable[[random.Random], str]:
        return lambda chance: chance.choice(values)

    def flow(key: str) -> Callable[[random.Random], str]:
        return lambda chance: str(chance.choice(flows)[key])

    return {
        "tenant": one_of(tenants),
        "project": flow("project"),
        "project_id": flow("project_id"),
        "flow": flow("id"),
        "flow_name": flow("name"),
        "rare_flow_name": one_of(rare),
        "run": one_of(run_ids),
        "runs": lambda chance: ", ".join(f'"{one}"' for one in chance.sample(ready, 10)),
        "run_name": one_of(names),
        "task_run": one_of(task_runs),
        "task": one_of(tasks),
        "cache_key": lambda chance: f"key-{chance.randrange(0, 10_000, 2)}",
        "agent_config": one_of(configs),
        "now": lambda _: now.isoformat(),
        "yesterday": lambda _: (now - timedelta(days=1)).isoformat(),
    }


async def _alone(port: int, make: Callable[[], bytes]) -> Load:
    await load(port, make, connections=1, seconds=0.05)
    found = await load(port, make, connections=1, seconds=SHAPE_SECONDS)
    while len(found.latencies) < LEAST_ANSWERS:
        more = await load(port, make, connections=1, seconds=SHAPE_SECONDS)
        found = Load(found.seconds + more.seconds, found.latencies + more.latencies)
    return found


async def _mixed(stack: Stack, make: Callable[[], bytes]) -> Row:
    """All shapes at random on several connections; the server's memory meanwhile."""
    seconds = float(os.environ.get("SHAPES_SECONDS", "10"))
    server = psutil.Process(stack.server.popen.pid)
    sizes: list[int] = []
    running = asyncio.create_task(load(stack.server.port, make, connections=MIXED_CONNECTIONS, seconds=seconds))
    while not running.done():
        sizes.append(server.memory_full_info().pss)
        await asyncio.wait([running], timeout=0.5)
    found = await running
    half = sizes[len(sizes) // 2 :]
    return Row(
        f"server memory (PSS), {seconds:.0f} s of all shapes mixed, {MIXED_CONNECTIONS} at once",
        f"{max(sizes) / MIB:.0f} MiB",
        "< 150 MiB, flat",
        f"second half {min(half) / MIB:.0f} to {max(half) / MIB:.0f} MiB; {found.rate:,.0f} queries/s",
        max(sizes) < LIMIT_BYTES,
    )
