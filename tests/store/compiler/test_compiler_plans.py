"""The hot query shapes use indexes on a database that is large enough for PostgreSQL to care."""

import os
import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest
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
    select r.tenant_id, r.id, t.id, 'Success', 2, now(), '{}', 'key ' || r.name
    from flow_run r join task t on t.flow_id = r.flow_id;
insert into flow_run_state (tenant_id, flow_run_id, state, serialized_state)
    select tenant_id, id, 'Success', '{}' from flow_run, generate_series(1, 3);
insert into log (tenant_id, flow_run_id, level, message) select tenant_id, id, 'INFO', 'x'
    from flow_run, generate_series(1, 4);
"""


@pytest.fixture(scope="module")
async def many(postgres: EmbeddedPostgres, template_database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database with 21,600 flow runs."""
    name = f"plans_{os.getpid()}_{os.urandom(4).hex()}"
    admin = await asyncpg.connect(postgres.dsn_of("postgres"))
    await admin.execute(f'create database "{name}" template "{template_database}"')
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


async def _plan(many: asyncpg.Connection, text: str, **variables: Any) -> str:
    document = parse(text)
    assert validate(api_schema()._schema, document) == []
    operation = document.definitions[0]
    fields = {node.name.value: [node] for node in operation.selection_set.selections}
    tenant_id = await many.fetchval("select id from tenant where slug = 'many'")
    compiled = compile_fields(fields, tenant_id=tenant_id, fragments={}, variables=variables)
    rows = await many.fetch(f"explain (costs off) {compiled.sql}", *compiled.arguments)
    return "\n".join(row[0] for row in rows)


async def _id(many: asyncpg.Connection, table: str) -> str:
    found: UUID = await many.fetchval(
        f"select id from {table} where tenant_id = (select id from tenant where slug = 'many') limit 1"
    )
    return str(found)


BIG = {"flow_run", "task_run", "flow_run_state", "log"}
BY_ID = "query($id: uuid!) "
SHAPES: dict[str, tuple[str, str]] = {
    "one run": (
        BY_ID + "{ flow_run_by_pk(id: $id) { id flow { name } task_runs { id task { slug } } states { id } } }",
        "flow_run",
    ),
    "run view": (
        BY_ID + "{ flow_run(where: {id: {_eq: $id}}) { id states { timestamp serialized_state } } }",
        "flow_run",
    ),
    "logs": (
        BY_ID + "{ flow_run(where: {id: {_eq: $id}}) { logs(order_by: {timestamp: asc}) { timestamp message } } }",
        "flow_run",
    ),
    "candidates": (
        BY_ID
        + """{ flow_run(where: {id: {_in: [$id]}, _or: [{state: {_eq: "Scheduled"}}, {state: {_eq: "Running"},
            task_runs: {state_start_time: {_lte: "2030-01-01"}}}]})
            { id flow { id name } task_runs(where: {state_start_time: {_lte: "2030-01-01"}}) { id } } }""",
        "flow_run",
    ),
    "task runs of a run": (BY_ID + "{ task_run(where: {flow_run_id: {_eq: $id}}) { id } }", "flow_run"),
    "waiting task runs": (
        BY_ID
        + """{ task_run(where: {state_start_time: {_is_null: false}, flow_run_id: {_eq: $id},
            flow_run: {state: {_eq: "Running"}}}) { state_start_time } }""",
        "flow_run",
    ),
    "task run by slug": (
        BY_ID
        + """{ task_run(where: {task: {slug: {_eq: "t-1"}}, flow_run_id: {_eq: $id}, map_index: {_eq: -1}})
            { id task { slug } } }""",
        "flow_run",
    ),
    "cached": (
        """{ task_run(where: {state: {_eq: "Cached"}, state_timestamp: {_gte: "2020-01-01"},
            cache_key: {_eq: "key run 7p15"}}, order_by: {state_timestamp: desc}, limit: 100) { serialized_state } }""",
        "",
    ),
    "newest runs": (
        """{ flow_run(where: {flow: {_and: {name: {_eq: null}, project: {name: {_eq: null}}}}}, limit: 10,
            order_by: {created: desc}) { flow { name } id created state name start_time } }""",
        "",
    ),
    "runs of a flow": (
        BY_ID + "{ flow_run(where: {flow_id: {_eq: $id}}, order_by: {scheduled_start_time: desc}, limit: 5) { id } }",
        "flow",
    ),
    "run by name": (
        """{ flow_run(where: {name: {_eq: "run 7p15"}, id: {_eq: null}}, order_by: {start_time: desc})
            { logs(order_by: {timestamp: asc}) { message } } }""",
        "",
    ),
}


@pytest.mark.parametrize("name", SHAPES)
async def test_hot_shapes_never_walk_a_big_table(many: asyncpg.Connection, name: str) -> None:
    text, table = SHAPES[name]
    plan = await _plan(many, text, **({"id": await _id(many, table)} if table else {}))
    walked = set(re.findall(r"Seq Scan on (\w+)", plan))
    # the default partition of the log is empty, and walking an empty table is the best plan
    assert not {table for table in walked if table in BIG or table.startswith("log_p")}, plan


async def test_the_newest_runs_come_from_the_index_in_order(many: asyncpg.Connection) -> None:
    plan = await _plan(many, "{ flow_run(order_by: {created: desc}, limit: 1000) { id flow { name } } }")
    assert "flow_run_tenant_created_idx" in plan
    assert "Sort" not in plan
    assert "Hash" not in plan, "a hash join would lose the order of the rows"


async def test_older_log_partitions_are_not_read(many: asyncpg.Connection) -> None:
    """The run's age bounds the age of its lines; PostgreSQL sees at run time which days that leaves."""
    text = BY_ID + "{ flow_run(where: {id: {_eq: $id}}) { logs { message } } }"
    document = parse(text)
    fields = {"flow_run": [document.definitions[0].selection_set.selections[0]]}
    tenant_id = await many.fetchval("select id from tenant where slug = 'many'")
    run_id = await many.fetchval(
        "select id from flow_run where tenant_id = $1 order by created desc limit 1", tenant_id
    )
    compiled = compile_fields(fields, tenant_id=tenant_id, fragments={}, variables={"id": str(run_id)})
    await many.execute("create table log_of_old partition of log for values from ('2001-01-01') to ('2001-01-02')")
    try:
        rows = await many.fetch(f"explain (analyze, costs off, timing off) {compiled.sql}", *compiled.arguments)
    finally:
        await many.execute("drop table log_of_old")
    old = [row[0] for row in rows if "log_of_old" in row[0]]
    assert all("never executed" in line for line in old), "\n".join(row[0] for row in rows)
