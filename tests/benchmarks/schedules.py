"""10,000 flows with schedules: making their first runs, and what a pass costs after each of their ticks.

The passes are the service's own, in this process and by a clock that is moved; the server is stopped meanwhile, as it
would do the same work. Two thirds of the flows tick together, every five minutes.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from flow_data import register_flow
from report import Row
from stack import Stack

from flowstead_server.db import Database
from flowstead_server.domain.scheduling import SchedulingRules
from flowstead_server.services.scheduler import Scheduler

FLOWS = 10_000
TICKS = 12
_FLOWS = """
with groups as (
    insert into flow_group (tenant_id, name)
    select tenant_id, 'scheduled-' || n from flow cross join generate_series(1, $1::int) n
    returning id, name, tenant_id, split_part(name, '-', 2)::int % 3 as kind
),
flows as (
    insert into flow (
        tenant_id, project_id, flow_group_id, name, version, version_group_id, serialized_flow, parameters, schedule,
        is_schedule_active
    )
    select
        g.tenant_id, f.project_id, g.id, g.name, 1, g.name, '{}', '[]',
        jsonb_build_object('clocks', jsonb_build_array(case g.kind
            when 0 then '{"type": "IntervalClock", "interval": 420000000}'
            when 1 then '{"type": "IntervalClock", "interval": 300000000}'
            else '{
                "type": "CronClock", "cron": "*/5 * * * *", "start_date": {"dt": "2020-01-01", "tz": "Europe/Berlin"}
            }'
        end::jsonb)),
        true
    from groups g
    cross join flow f
    returning id
)
insert into flow_schedule (flow_id, due) select id, now() from flows
"""


async def measure(stack: Stack) -> list[Row]:
    """Seconds of the first pass, of the longest of those after a tick, and of one with nothing to do."""
    await register_flow(stack.server.port, "bench-schedules", tasks=1)
    stack.server.stop()
    async with await Database.connect(stack.dsn) as database:
        await database.execute(_FLOWS, FLOWS)
        await database.execute("analyze")
        now: datetime = await database.fetch_value("select now()")
        scheduler = Scheduler(database, SchedulingRules())

        async def run_once(moment: datetime) -> tuple[float, int]:
            begin = time.perf_counter()
            done = await scheduler.run_once(moment)
            return time.perf_counter() - begin, done.runs

        first, made = await run_once(now)
        idle, _ = await run_once(now)
        # More than a tick after the first pass, so that every flow takes its turn.
        passes = [await run_once(now + timedelta(minutes=5 * number + 1)) for number in range(1, TICKS + 1)]
    longest, runs = max(passes)
    return [
        Row(
            f"schedules of {FLOWS:,} flows: the first {made:,} runs",
            f"{first:.1f} s, {made / first:,.0f}/s",
            "< 10 s",
            "",
            first < 10,
        ),
        Row("  longest pass after a tick", f"{longest:.1f} s for {runs:,} runs", "< 10 s", "", longest < 10),
        Row("  a pass with nothing to do", f"{idle * 1000:.1f} ms", ""),
    ]
