"""A claim among 1,000,000 waiting runs of 100 label sets, and among 1,000; CLAIMS_WAITING sets another number."""

from __future__ import annotations

import os
import statistics

import asyncpg
from flow_data import register_flow, send
from http_load import Load, load, request_bytes
from report import Row
from stack import Stack

SETS = 100
CLAIMS = 300
REGISTER = "mutation($input: register_agent_input!) { register_agent(input: $input) { id } }"
CLAIM = "mutation($input: claim_flow_runs_input!) { claim_flow_runs(input: $input) { flow_runs { id } } }"
FILL = """
with sets as (
    insert into label_set (tenant_id, labels)
    select f.tenant_id, array['label-' || lpad(n::text, 3, '0')]
    from generate_series(0, $2 - 1) n, flow f where f.id = $1
    on conflict (tenant_id, labels, priority, flow_group_id) do update set labels = excluded.labels
    returning id, labels
),
numbered as (select id, labels, row_number() over (order by labels) - 1 as place from sets)
insert into flow_run (
    tenant_id, flow_id, name, labels, version, state, state_timestamp, state_start_time, serialized_state,
    label_set_id, queue_time
)
select
    f.tenant_id, f.id, 'waiting', to_jsonb(numbered.labels), 1, 'Scheduled', now(), now() - n * interval '1 ms',
    '{"type": "Scheduled"}', numbered.id, now() - n * interval '1 ms'
from generate_series(1, $3) n
join numbered on numbered.place = n % $2
join flow f on f.id = $1
"""


async def measure(stack: Stack) -> list[Row]:
    """One claim at a time over HTTP, with few and with many waiting."""
    port = stack.server.port
    flow_id = await register_flow(port, "bench-claims", tasks=1)
    agent = await send(port, REGISTER, {"input": {"type": "BenchAgent", "labels": ["label-007"]}})
    agent_id = agent["register_agent"]["id"]
    many = int(os.environ.get("CLAIMS_WAITING", "1000000"))
    connection = await asyncpg.connect(stack.dsn, command_timeout=1200)
    # enough in the agent's own set for all the claims that are measured
    await connection.execute(FILL, flow_id, SETS, 100 * CLAIMS)
    await connection.execute("vacuum analyze flow_run")
    few_load = await _claims(port, agent_id)
    await connection.execute(FILL, flow_id, SETS, many)
    await connection.execute("vacuum analyze flow_run")
    many_load = await _claims(port, agent_id)
    await connection.close()
    p99 = many_load.percentile(0.99)
    ratio = statistics.median(many_load.latencies) / statistics.median(few_load.latencies)
    return [
        Row(
            f"claim with {many:,} runs waiting, {SETS} label sets, p99",
            f"{p99 * 1000:.1f} ms",
            "< 10 ms",
            f"median {statistics.median(many_load.latencies) * 1000:.1f} ms",
            p99 < 0.01,
        ),
        Row("  its median against few waiting", f"{ratio:.2f} ×", "≤ 1.5 ×", f"{100 * CLAIMS:,} waiting", ratio <= 1.5),
    ]


async def _claims(port: int, agent_id: str) -> Load:
    variables = {"input": {"agent_id": agent_id, "labels": ["label-007"], "limit": 1}}
    request = request_bytes(port, CLAIM, variables)
    await load(port, lambda: request, connections=1, seconds=0.1)
    return await load(port, lambda: request, connections=1, seconds=0.7)
