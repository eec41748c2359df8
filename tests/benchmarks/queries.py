"""1,000 flow runs × 10 fields with their flow, through HTTP, beside the bare SQL that returns the same JSON."""

from __future__ import annotations

import statistics
import time

import asyncpg
import orjson
from flow_data import CREATE_FLOW_RUN, register_flow
from http_load import load, post, request_bytes
from report import Row
from stack import Stack

ROUNDS = 40
QUERY = """query {
  flow_run(order_by: [{created: desc}, {id: desc}], limit: 1000) {
    id name state state_message version created scheduled_start_time start_time parameters labels
    flow { id name version }
  }
}"""
SQL = """
select coalesce(json_agg(json_build_object(
    'id', r.id, 'name', r.name, 'state', r.state, 'state_message', r.state_message, 'version', r.version,
    'created', r.created, 'scheduled_start_time', r.scheduled_start_time, 'start_time', r.start_time,
    'parameters', r.parameters, 'labels', r.labels,
    'flow', json_build_object('id', f.id, 'name', f.name, 'version', f.version)
)), '[]')::text
from (select * from flow_run order by created desc, id desc limit 1000) r join flow f on f.id = r.flow_id
"""


async def measure(stack: Stack) -> list[Row]:
    """Median times of both, in turn."""
    port = stack.server.port
    flow_id = await register_flow(port, "bench-queries", tasks=1)
    existing = 0

    def create() -> bytes:
        nonlocal existing
        existing += 1
        return request_bytes(port, CREATE_FLOW_RUN, {"input": {"flow_id": flow_id, "parameters": {"x": existing}}})

    while existing < 1000:
        await load(port, create, connections=8, seconds=0.5)
    connection = await asyncpg.connect(stack.dsn)
    await connection.execute("analyze flow_run")
    bare_answer = orjson.loads(await connection.fetchval(SQL))
    http_answer = orjson.loads(await post(port, QUERY))["data"]["flow_run"]
    if len(http_answer) != 1000 or [one["id"] for one in http_answer] != [one["id"] for one in bare_answer]:
        raise RuntimeError("the two sides do not answer the same")
    bare, http = [], []
    statement = await connection.prepare(SQL)
    for _ in range(ROUNDS):
        before = time.perf_counter()
        await statement.fetchval()
        bare.append(time.perf_counter() - before)
        one = await load(port, lambda: request_bytes(port, QUERY, None), connections=1, seconds=0.02)
        http.append(min(one.latencies))
    await connection.close()
    ratio = statistics.median(a / b for a, b in zip(http, bare, strict=True))
    return [
        Row(
            "1,000 flow runs × 10 fields + nested flow, HTTP",
            f"{statistics.median(http) * 1000:.1f} ms = {ratio:.2f} ×",
            "≤ 1.5 × the bare SQL",
            f"bare SQL, same JSON: {statistics.median(bare) * 1000:.1f} ms",
            ratio <= 1.5,
        )
    ]
