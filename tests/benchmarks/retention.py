"""The 99th percentile of `create_flow_run` while retention deletes a million old log lines, and old runs.

Three times: lines of some of the runs of a day (batches), a whole day (its table is dropped), and runs with all that
hangs on them. The load is 32 creates at once, beside one writer of log lines; it is measured just before and during
each. Retention runs as `prefect server retention` does, in a process of its own, counting included.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
from flow_data import CREATE_FLOW_RUN, register_flow, send
from http_load import Load, load, request_bytes
from report import Row
from stack import Stack

CONCURRENCY = 32
LINES = 1_000_000
LINES_OF_RUN = 100
RUNS_AT_ONCE = 50
OLD_RUNS = 10_000
LIVE_RUNS = 500
BEFORE_SECONDS = 10.0
SLICE_SECONDS = 1.0
WRITE = "mutation($input: write_run_logs_input!) { write_run_logs(input: $input) { success } }"
_RUNS = """
insert into flow_run (
    tenant_id, flow_id, name, label_set_id, created, scheduled_start_time, version, state, state_timestamp,
    serialized_state
)
select
    tenant_id, flow_id, 'old-' || n, label_set_id, $2::timestamptz, $2, 3, $3, $2 + interval '1 minute',
    serialized_state
from flow_run, generate_series(1, $4::int) n
where id = $1
returning id
"""
# Fifty runs at a time write their lines in turn.
_LINES = """
insert into log (tenant_id, flow_run_id, created, timestamp, name, level, message)
select
    $1, ($2::uuid[])[1 + (n / ($4 * $5)) * $5 + n % $5], $3::timestamptz + n * interval '10 ms', now(), 'prefect.bench',
    'INFO', 'a line of a length that people write, with a number in it: ' || n
from generate_series(0, cardinality($2::uuid[]) * $4 - 1) n
"""
_TASK_RUNS = """
with made as (
    insert into task_run (
        tenant_id, flow_run_id, task_id, created, version, state, state_timestamp, serialized_state
    )
    select r.tenant_id, r.id, t.id, r.created, 2, 'Success', r.state_timestamp, r.serialized_state
    from unnest($1::uuid[]) as o (id)
    join flow_run r on r.id = o.id
    join task t on t.flow_id = r.flow_id
    returning id, tenant_id, flow_run_id, serialized_state
)
insert into task_run_state (tenant_id, flow_run_id, task_run_id, state, serialized_state, version)
select tenant_id, flow_run_id, id, state, serialized_state, version
from made, (values ('Running', 1), ('Success', 2)) s (state, version)
"""
_STATES = """
insert into flow_run_state (tenant_id, flow_run_id, state, serialized_state, version)
select r.tenant_id, r.id, s.state, r.serialized_state, s.version
from unnest($1::uuid[]) as o (id)
join flow_run r on r.id = o.id
cross join (values ('Scheduled', 1), ('Running', 2), ('Success', 3)) s (state, version)
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """One deletion: the loads before and during, how long it took, and what the process says it did."""

    before: tuple[Load, Load]
    during: tuple[Load, Load]
    seconds: float
    done: dict[str, int]

    def rows(self, what: str) -> list[Row]:
        """Rows for the table."""
        creates, logs = ([one[n].percentile(0.99) * 1000 for one in (self.before, self.during)] for n in (0, 1))
        ratio = creates[1] / creates[0]
        rates = [one[0].rate for one in (self.before, self.during)]
        return [
            Row(
                f"retention: {what} in {self.seconds:.0f} s; p99 of create_flow_run",
                f"{creates[1]:.1f} ms = {ratio:.2f} ×",
                "≤ 2 × of before",
                f"just before: {creates[0]:.1f} ms; rate {rates[0]:,.0f} → {rates[1]:,.0f}/s",
                ratio <= 2,
            ),
            Row("  p99 of write_run_logs beside it", f"{logs[1]:.1f} ms", "", f"just before: {logs[0]:.1f} ms"),
        ]


async def measure(stack: Stack) -> list[Row]:
    """The three deletions."""
    world = await _World.make(stack)
    noon = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    runs = LINES // LINES_OF_RUN
    mixed, whole, ancient = (noon - timedelta(days=days) for days in (100, 120, 400))
    rows: list[Row] = []

    await world.add_lines(await world.add_runs(mixed, "Success", runs), mixed)
    await world.add_lines(await world.add_runs(mixed, "Failed", runs // 10), mixed)
    figures = await world.forget()
    assert (figures.done["log_lines"], figures.done["log_days"]) == (LINES, 0), figures.done
    rows += figures.rows(f"{LINES:,} of {LINES * 11 // 10:,} lines of a day")

    await world.add_lines(await world.add_runs(whole, "Success", runs), whole)
    figures = await world.forget()
    assert (figures.done["log_lines"], figures.done["log_days"]) == (LINES, 1), figures.done
    rows += figures.rows(f"a whole day of {LINES:,} lines")

    await world.add_tasks(await world.add_runs(ancient, "Success", OLD_RUNS))
    figures = await world.forget()
    assert figures.done["flow_runs"] == OLD_RUNS, figures.done
    rows += figures.rows(f"{OLD_RUNS:,} runs with 5 task runs each")
    await world.connection.close()
    return rows


def _write(port: int, run_id: str) -> bytes:
    lines = [{"flow_run_id": run_id, "level": "INFO", "message": f"line {number}"} for number in range(20)]
    return request_bytes(port, WRITE, {"input": {"logs": lines}})


@dataclass(slots=True)
class _World:
    """The server under load, and the rows that are to go."""

    stack: Stack
    connection: asyncpg.Connection
    create: bytes
    writes: Iterator[bytes]
    template: UUID
    tenant_id: UUID

    @classmethod
    async def make(cls, stack: Stack) -> _World:
        port = stack.server.port
        flow_id = await register_flow(port, "bench-retention", tasks=5)
        variables = {"input": {"flow_id": flow_id}}
        runs = [str((await send(port, CREATE_FLOW_RUN, variables))["create_flow_run"]["id"]) for _ in range(LIVE_RUNS)]
        connection = await asyncpg.connect(stack.dsn)
        tenant_id = await connection.fetchval("select tenant_id from flow where id = $1", UUID(flow_id))
        return cls(
            stack,
            connection,
            request_bytes(port, CREATE_FLOW_RUN, variables),
            itertools.cycle([_write(port, run_id) for run_id in runs]),
            UUID(runs[0]),
            tenant_id,
        )

    async def add_runs(self, moment: datetime, state: str, count: int) -> list[UUID]:
        made = await self.connection.fetch(_RUNS, self.template, moment, state, count)
        ids = [row["id"] for row in made]
        await self.connection.execute(_STATES, ids)
        return ids

    async def add_lines(self, runs: list[UUID], moment: datetime) -> None:
        name, end = f"log_p{moment:%Y%m%d}", moment + timedelta(days=1)
        await self.connection.execute(
            f"create table if not exists {name} partition of log for values from ('{moment}') to ('{end}')"
        )
        await self.connection.execute(_LINES, self.tenant_id, runs, moment, LINES_OF_RUN, RUNS_AT_ONCE)

    async def add_tasks(self, runs: list[UUID]) -> None:
        await self.connection.execute(_TASK_RUNS, runs)

    async def load(self, seconds: float) -> tuple[Load, Load]:
        port = self.stack.server.port
        return await asyncio.gather(
            load(port, lambda: self.create, connections=CONCURRENCY, seconds=seconds),
            load(port, lambda: next(self.writes), connections=1, seconds=seconds),
        )

    async def forget(self) -> Figures:
        """Measure before, and from the start of the process to its end."""
        # What was filled in is old: it has been vacuumed and written to the disk long ago.
        await self.connection.execute("vacuum analyze")
        await self.connection.execute("checkpoint")
        await self.load(2.0)
        before = await self.load(BEFORE_SECONDS)
        begin = asyncio.get_running_loop().time()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *["-m", "flowstead_server", "retention", "--postgres-url", self.stack.dsn],
            stdout=asyncio.subprocess.PIPE,
        )
        output = asyncio.create_task(process.communicate())
        slices: list[tuple[Load, Load]] = []
        while not output.done():
            slices.append(await self.load(SLICE_SECONDS))
        seconds = asyncio.get_running_loop().time() - begin
        if process.returncode:
            raise RuntimeError(f"retention ended with {process.returncode}")
        during = [
            Load(sum(part.seconds for part in parts), [each for part in parts for each in part.latencies])
            for parts in zip(*slices, strict=True)
        ]
        return Figures(before, (during[0], during[1]), seconds, json.loads(output.result()[0])["deleted"])
