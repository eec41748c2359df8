"""`create_flow_run` through HTTP beside asyncpg alone with the same rows, and beside the enqueue of peers.

Both sides write durably to the same PostgreSQL; the rounds alternate, so that what else the machine does hits both.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import subprocess
import time
from pathlib import Path
from uuid import UUID

import asyncpg
from flow_data import CREATE_FLOW_RUN, register_flow
from http_load import Load, load, request_bytes
from report import Row
from stack import Stack, peers_python

CONCURRENCY = 32
ROUNDS = 5
SECONDS = 3.0
BASELINE = (Path(__file__).parent / "baseline.sql").read_text()


async def measure(stack: Stack) -> list[Row]:
    """Rates at 32 at once: HTTP, bare asyncpg, DBOS, procrastinate."""
    port = stack.server.port
    flow_id = await register_flow(port, "bench-creates", tasks=5)
    http: list[Load] = []
    bare: list[Load] = []
    connection = await asyncpg.connect(stack.dsn)
    tenant_id = await connection.fetchval("select tenant_id from flow where id = $1", UUID(flow_id))
    await load(port, lambda: _create(port, flow_id), connections=CONCURRENCY, seconds=1)
    label_set_id = await connection.fetchval(
        "select label_set_id from flow_run where flow_id = $1 limit 1", UUID(flow_id)
    )
    pool = await asyncpg.create_pool(stack.dsn, min_size=CONCURRENCY, max_size=CONCURRENCY)
    await _bare(pool, tenant_id, UUID(flow_id), label_set_id, 1)
    for _ in range(ROUNDS):
        http.append(await load(port, lambda: _create(port, flow_id), connections=CONCURRENCY, seconds=SECONDS))
        bare.append(await _bare(pool, tenant_id, UUID(flow_id), label_set_id, SECONDS))
    await pool.close()
    await connection.close()
    ratio = statistics.median(a.rate / b.rate for a, b in zip(http, bare, strict=True))
    p99 = statistics.median(one.percentile(0.99) for one in http)
    http_rate = statistics.median(one.rate for one in http)
    bare_rate = statistics.median(one.rate for one in bare)
    rows = [
        Row(
            "create_flow_run over HTTP, 5 tasks, 32 at once",
            f"{http_rate:,.0f}/s = {ratio:.0%}",
            "≥ 50 % of asyncpg alone",
            f"asyncpg, same rows, one statement: {bare_rate:,.0f}/s",
            ratio >= 0.5,
        ),
        Row("  its 99th percentile", f"{p99 * 1000:.1f} ms", "< 50 ms", "", p99 < 0.05),
    ]
    peers = await asyncio.to_thread(_peers, stack)
    rows += [
        Row(
            f"  against the enqueue of {name}, in process",
            f"{http_rate:,.0f}/s",
            f"> {rate:,.0f}/s",
            name,
            http_rate > rate,
        )
        for name, rate in peers.items()
    ]
    return rows


def _create(port: int, flow_id: str) -> bytes:
    return request_bytes(port, CREATE_FLOW_RUN, {"input": {"flow_id": flow_id}})


async def _bare(pool: asyncpg.Pool, tenant_id: UUID, flow_id: UUID, label_set_id: int, seconds: float) -> Load:
    started = time.perf_counter()
    deadline = started + seconds
    latencies: list[float] = []

    async def one() -> None:
        async with pool.acquire() as connection:
            statement = await connection.prepare(BASELINE)
            while time.perf_counter() < deadline:
                before = time.perf_counter()
                await statement.fetch(tenant_id, flow_id, label_set_id, "golden-lynx")
                latencies.append(time.perf_counter() - before)

    await asyncio.gather(*(one() for _ in range(CONCURRENCY)))
    return Load(time.perf_counter() - started, latencies)


def _peers(stack: Stack) -> dict[str, float]:
    dsn = stack.create_database("peers")
    with contextlib.suppress(subprocess.CalledProcessError):
        script = Path(__file__).parent / "peers.py"
        answer = subprocess.run(
            [peers_python(), script, dsn, str(SECONDS), str(CONCURRENCY)], check=True, capture_output=True, text=True
        )
        return dict(json.loads(answer.stdout.splitlines()[-1]))
    return {}
