"""create → Running with an idle local agent on the same machine, a process for each run."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime

from flow_data import CREATE_FLOW_RUN, send
from report import Row
from stack import Stack

RUNS = 60
FLOW = """
from prefect import Flow, task

@task
def nothing():
    return None

with Flow("bench-latency") as flow:
    nothing()
"""
STATES = (
    """query($id: uuid!) { flow_run_by_pk(id: $id) { state states(order_by: {version: asc}) { state timestamp } } }"""
)
LIMIT_SECONDS = 60.0


async def measure(stack: Stack) -> list[Row]:
    """From the moment the request leaves until the timestamp of the run's Running state, one run at a time."""
    port = stack.server.port
    script = stack.home / "bench_latency.py"
    script.write_text(FLOW)
    prefect = [sys.executable, "-m", "prefect"]
    for arguments in (["create", "project", "bench"], ["register", "--project", "bench", "-p", str(script)]):
        command = [*prefect, *arguments]
        await asyncio.to_thread(subprocess.run, command, env=stack.environment, check=True, capture_output=True)
    found = await send(port, '{ flow(where: {name: {_eq: "bench-latency"}}) { id } }')
    flow_id = found["flow"][0]["id"]
    stack.agent()
    latencies = []
    for number in range(RUNS + 3):
        started = datetime.now(UTC)
        created = await send(port, CREATE_FLOW_RUN, {"input": {"flow_id": flow_id}})
        states = await _finished(port, created["create_flow_run"]["id"])
        if number >= 3:
            latencies.append((datetime.fromisoformat(states["Running"]) - started).total_seconds())
    latencies.sort()
    p50, p99 = statistics.median(latencies), latencies[int(0.99 * len(latencies))]
    return [
        Row("create → Running, idle local agent, p50", f"{p50 * 1000:.0f} ms", "< 60 ms", f"{RUNS} runs", p50 < 0.06),
        Row("create → Running, idle local agent, p99", f"{p99 * 1000:.0f} ms", "< 200 ms", "", p99 < 0.2),
    ]


async def _finished(port: int, flow_run_id: str) -> dict[str, str]:
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        answer = (await send(port, STATES, {"id": flow_run_id}))["flow_run_by_pk"]
        if answer["state"] in ("Success", "Failed"):
            return {one["state"]: one["timestamp"] for one in answer["states"]}
        await asyncio.sleep(0.05)
    raise RuntimeError(f"run {flow_run_id} did not end in {LIMIT_SECONDS:.0f} s")
