"""Log ingest through GraphQL in batches of 500, beside COPY of the same rows."""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
from flow_data import CREATE_FLOW_RUN, register_flow, send
from http_load import load, request_bytes
from report import Row
from stack import Stack

BATCH = 500
ROUNDS = 3
SECONDS = 3.0
WRITE = "mutation($input: write_run_logs_input!) { write_run_logs(input: $input) { success } }"
TEXT = "a line of a length that people write, with a number in it: "


async def measure(stack: Stack) -> list[Row]:
    """Lines per second, four writers."""
    port = stack.server.port
    flow_id = await register_flow(port, "bench-logs", tasks=1)
    run_id = (await send(port, CREATE_FLOW_RUN, {"input": {"flow_id": flow_id}}))["create_flow_run"]["id"]
    now = datetime.now(UTC)
    lines = [
        {
            "flow_run_id": run_id,
            "timestamp": now.isoformat(),
            "name": "prefect.bench",
            "level": "INFO",
            "message": f"{TEXT}{number}",
        }
        for number in range(BATCH)
    ]
    request = request_bytes(port, WRITE, {"input": {"logs": lines}})
    connection = await asyncpg.connect(stack.dsn)
    tenant_id = await connection.fetchval("select tenant_id from flow_run where id = $1", UUID(run_id))
    rows = [(tenant_id, UUID(run_id), now, "prefect.bench", "INFO", one["message"]) for one in lines]
    columns = ["tenant_id", "flow_run_id", "timestamp", "name", "level", "message"]
    http, copied = [], []
    for _ in range(ROUNDS):
        http.append((await load(port, lambda: request, connections=4, seconds=SECONDS)).rate * BATCH)
        started, batches = time.perf_counter(), 0
        while time.perf_counter() < started + SECONDS / 2:
            await connection.copy_records_to_table("log", records=rows, columns=columns)
            batches += 1
        copied.append(batches * BATCH / (time.perf_counter() - started))
    await connection.close()
    rate = statistics.median(http)
    return [
        Row(
            "log ingest through GraphQL, batches of 500",
            f"{rate:,.0f} lines/s",
            "≥ 30,000 lines/s",
            f"asyncpg COPY, one writer: {statistics.median(copied):,.0f} lines/s",
            rate >= 30_000,
        )
    ]
