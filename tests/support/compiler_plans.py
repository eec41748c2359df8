"""A database that is large enough for PostgreSQL to care about plans, and the plans that it makes there."""

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from graphql import parse, validate

from flowstead_server.api.schema import api_schema
from flowstead_server.compiler.statement import compile_fields
from flowstead_server.db.embedded import EmbeddedPostgres

ROWS = """
insert into tenant (name, slug) values ('many', 'many'), ('other', 'other');
insert into project (tenant_id, name) select id, 'p' || i from tenant, generate_series(1, 3) i;
insert into flow_group (tenant_id, name) select p.tenant_id, p.name || i from project p, generate_series(1, 10) i;
insert into flow (tenant_id, project_id, flow_group_id, name, version)
    select g.tenant_id, p.id, g.id, g.name, v
    from flow_group g join project p on p.tenant_id = g.tenant_id and p.name = left(g.name, 2), generate_series(1, 3) v;
insert into task (tenant_id, flow_id, name, slug) select tenant_id, id, 't' || i, 't-' || i
    from flow, generate_series(1, 3) i;
insert into label_set (tenant_id, labels) select id, '{}' from tenant;
insert into flow_run (tenant_id, flow_id, name, state, version, state_timestamp, serialized_state, start_time,
        scheduled_start_time, created, label_set_id)
    select f.tenant_id, f.id, 'run ' || i || f.name, (array['Success', 'Failed', 'Running'])[i % 3 + 1], 2, now(), '{}',
        now() - i * interval '1 minute', now() - i * interval '1 minute', now() - i * interval '1 minute', l.id
    from flow f join label_set l using (tenant_id), generate_series(1, 120) i;
insert into task_run (tenant_id, flow_run_id, task_id, state, version, state_timestamp, serialized_state, cache_key)
    select r.tenant_id, r.id, t.id, case when t.slug = 't-1' then (array['Success', 'Cached', 'Failed'])[
            1 + extract(minute from r.created)::integer % 3] else 'Success' end, 2, r.created, '{}', 'key ' || r.name
    from flow_run r join task t on t.flow_id = r.flow_id;
insert into flow_run_state (tenant_id, flow_run_id, state, serialized_state)
    select tenant_id, id, 'Success', '{}' from flow_run, generate_series(1, 3);
insert into log (tenant_id, flow_run_id, level, message) select tenant_id, id, 'INFO', 'x'
    from flow_run, generate_series(1, 4);
"""


@asynccontextmanager
async def many_rows(postgres: EmbeddedPostgres, template_database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database with 21,600 flow runs."""
    name = f"plans_{os.getpid()}_{os.urandom(4).hex()}"
    admin = await asyncpg.connect(postgres.dsn_of("postgres"))
    await admin.execute(f'create database "{name}" template "{template_database}" strategy file_copy')
    connection = await asyncpg.connect(postgres.dsn_of(name), server_settings={"jit": "off"})
    await connection.execute("set session_replication_role = replica")
    await connection.execute("select ensure_log_partitions(0)")
    await connection.execute(ROWS)
    await connection.execute("analyze")
    await connection.execute("set plan_cache_mode = force_custom_plan")
    yield connection
    await connection.close()
    await admin.execute(f'drop database "{name}" with (force)')
    await admin.close()


async def plan_of(many: asyncpg.Connection, text: str, **variables: Any) -> str:
    document = parse(text)
    assert validate(api_schema()._schema, document) == []
    operation = document.definitions[0]
    fields = {node.name.value: [node] for node in operation.selection_set.selections}
    tenant_id = await many.fetchval("select id from tenant where slug = 'many'")
    compiled = compile_fields(fields, tenant_id=tenant_id, fragments={}, variables=variables)
    rows = await many.fetch(f"explain (costs off) {compiled.sql}", *compiled.arguments)
    return "\n".join(row[0] for row in rows)


BIG = {"flow_run", "task_run", "flow_run_state", "log"}


def walked_whole(plan: str) -> set[str]:
    """The big tables that a plan reads from end to end."""
    walked = set(re.findall(r"Seq Scan on (\w+)", plan))
    # the default partition of the log is empty, and walking an empty table is the best plan
    return {table for table in walked if table in BIG or table.startswith("log_p")}
