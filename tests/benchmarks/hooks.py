"""What hooks cost those who write states, and how soon receivers hear of it.

Creates without any hook, with the trigger that would write events down switched off and on in turn; then with one hook
that hears of each of them, while its events are delivered.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg
import orjson
from flow_data import CREATE_FLOW_RUN, register_flow, send
from http_load import load, request_bytes
from report import Row
from stack import Stack

CONCURRENCY = 32
ROUNDS = 4
SECONDS = 2.0
SINGLE = 100
CREATE_HOOK = "mutation($input: create_cloud_hook_input!) { create_cloud_hook(input: $input) { id } }"


async def measure(stack: Stack) -> list[Row]:
    """Processor time per create, delay from request to receiver, deliveries per second."""
    port = stack.server.port
    flow_id = await register_flow(port, "bench-hooks", tasks=5)
    connection = await asyncpg.connect(stack.dsn)
    await _create_many(port, flow_id)
    cost: dict[str, list[float]] = {"disable": [], "enable": []}
    for _ in range(ROUNDS):
        for mode, costs in cost.items():
            await connection.execute(f"alter table flow_run_state {mode} trigger flow_run_state_hook_events")
            costs.append(await _cost_of_a_create(stack, flow_id))
    without, prepared = (min(costs) for costs in cost.values())
    arrived: dict[str, float] = {}
    news = asyncio.Event()

    def told(run_id: str) -> None:
        arrived.setdefault(run_id, time.perf_counter())
        news.set()

    async with _receiver(told) as url:
        hook = {"type": "WEBHOOK", "states": ["Scheduled"], "config": {"url": url}}
        await send(port, CREATE_HOOK, {"input": hook})
        delays = []
        for number in range(SINGLE + 1):
            started = time.perf_counter()
            run_id = (await send(port, CREATE_FLOW_RUN, {"input": {"flow_id": flow_id}}))["create_flow_run"]["id"]
            while run_id not in arrived:
                news.clear()
                await news.wait()
            # the first one loads what sends
            if number > 0:
                delays.append(arrived[run_id] - started)
        before, started = len(arrived), time.perf_counter()
        made = await _create_many(port, flow_id)
        while len(arrived) < before + made:
            news.clear()
            await news.wait()
        rate = made / (time.perf_counter() - started)
    await connection.close()
    delays.sort()
    p50, p99 = statistics.median(delays), delays[int(0.99 * len(delays))]
    return [
        Row(
            "create_flow_run, no hook is on: processor time of server and database",
            f"{prepared * 1e6:.0f} µs",
            "≤ 105 % of without",
            f"without the outbox: {without * 1e6:.0f} µs",
            prepared <= 1.05 * without,
        ),
        Row("request → receiver has the event, p50", f"{p50 * 1000:.1f} ms", "< 50 ms", f"{SINGLE} runs", p50 < 0.05),
        Row("request → receiver has the event, p99", f"{p99 * 1000:.1f} ms", "< 200 ms", "", p99 < 0.2),
        Row("events of one hook told, four calls at a time", f"{rate:,.0f}/s", ""),
    ]


def _create(port: int, flow_id: str) -> bytes:
    return request_bytes(port, CREATE_FLOW_RUN, {"input": {"flow_id": flow_id}})


async def _create_many(port: int, flow_id: str) -> int:
    done = await load(port, lambda: _create(port, flow_id), connections=CONCURRENCY, seconds=SECONDS)
    return len(done.latencies)


async def _cost_of_a_create(stack: Stack, flow_id: str) -> float:
    before = stack.serving_cpu()
    count = await _create_many(stack.server.port, flow_id)
    return (stack.serving_cpu() - before) / count


@asynccontextmanager
async def _receiver(told: Callable[[str], object]) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        start = head.index(b"content-length:") + len(b"content-length:")
        body = await reader.readexactly(int(head[start : head.index(b"\r\n", start)]))
        told(orjson.loads(body)["event"]["flow_run"]["id"])
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
