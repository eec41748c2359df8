"""Enqueue rates of DBOS and procrastinate, measured in their own virtual environment against the same PostgreSQL.

Run as a script by the interpreter of that environment: `peers.py URL SECONDS CONCURRENCY`; prints one JSON object,
peer name → enqueues per second. It imports nothing of ours: their dependencies must not meet ours.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable


async def _rate(enqueue: Callable[[], Awaitable[object]], seconds: float, concurrency: int) -> float:
    started = time.perf_counter()
    deadline = started + seconds
    done = 0

    async def one() -> None:
        nonlocal done
        while time.perf_counter() < deadline:
            await enqueue()
            done += 1

    await asyncio.gather(*(one() for _ in range(concurrency)))
    return done / (time.perf_counter() - started)


async def procrastinate_rate(url: str, seconds: float, concurrency: int) -> float:
    """Jobs per second that procrastinate defers."""
    import procrastinate

    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url, max_size=concurrency))

    @app.task(name="bench")
    def bench(a: int) -> int:
        return a

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        return await _rate(lambda: bench.defer_async(a=1), seconds, concurrency)


async def dbos_rate(url: str, seconds: float, concurrency: int) -> float:
    """Workflows per second that DBOS enqueues."""
    import dbos

    sqlalchemy_url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    await asyncio.to_thread(dbos.run_dbos_database_migrations, sqlalchemy_url)
    client = await asyncio.to_thread(dbos.DBOSClient, system_database_url=sqlalchemy_url)
    options = {"queue_name": "bench", "workflow_name": "bench"}
    try:
        return await _rate(lambda: client.enqueue_async(options, 1), seconds, concurrency)
    finally:
        await asyncio.to_thread(client.destroy)


def main() -> None:
    """Measure both and print the rates."""
    url, seconds, concurrency = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    rates = {}
    for name, measure in (("procrastinate", procrastinate_rate), ("DBOS", dbos_rate)):
        rates[name] = asyncio.run(measure(url, seconds, concurrency))
    print(json.dumps(rates))


if __name__ == "__main__":
    main()
