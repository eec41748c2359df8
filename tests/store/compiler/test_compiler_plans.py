"""The hot query shapes use indexes on a database that is large enough for PostgreSQL to care."""

from uuid import UUID

import asyncpg
import pytest
from compiler_plans import plan_of, walked_whole
from graphql import parse

from flowstead_server.compiler.statement import compile_fields


async def _id(many: asyncpg.Connection, table: str) -> str:
    found: UUID = await many.fetchval(
        f"select id from {table} where tenant_id = (select id from tenant where slug = 'many') limit 1"
    )
    return str(found)


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
    plan = await plan_of(many, text, **({"id": await _id(many, table)} if table else {}))
    assert not walked_whole(plan), plan


async def test_the_newest_runs_come_from_the_index_in_order(many: asyncpg.Connection) -> None:
    plan = await plan_of(many, "{ flow_run(order_by: {created: desc}, limit: 1000) { id flow { name } } }")
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


@pytest.mark.parametrize("state", ['{_eq: "Failed"}', '{_in: ["Failed"]}'])
async def test_the_newest_runs_in_a_state_come_from_the_index_in_order(many: asyncpg.Connection, state: str) -> None:
    text = f"{{ flow_run(where: {{state: {state}}}, order_by: {{state_timestamp: desc}}, limit: 5) {{ id name }} }}"
    plan = await plan_of(many, text)
    assert "flow_run_tenant_state_idx" in plan
    assert "Seq Scan" not in plan


@pytest.mark.parametrize(
    ("where", "index"),
    [
        (
            '{state: {_eq: "Cached"}, state_timestamp: {_gte: "2020-01-01"}, cache_key: {_eq: "key run 7p15"}}',
            "task_run_cache_key_idx",
        ),
        (
            '{state: {_eq: "Cached"}, state_timestamp: {_gte: "2020-01-01"}, task_id: {_eq: $id}}',
            "task_run_task_marked_idx",
        ),
        ('{state: {_eq: "Failed"}}', "task_run_tenant_marked_idx"),
        ('{_and: [{state: {_in: ["Failed"]}}, {name: {_is_null: true}}]}', "task_run_tenant_marked_idx"),
    ],
)
async def test_the_newest_cached_and_failed_task_runs_come_from_an_index_in_order(
    many: asyncpg.Connection, where: str, index: str
) -> None:
    """Q30 (§2.1), and what people ask for who look for failures. No row is read that is not answered."""
    head = "query($id: uuid!) " if "$id" in where else ""
    text = f"{head}{{ task_run(where: {where}, order_by: {{state_timestamp: desc}}, limit: 5) {{ serialized_state }} }}"
    plan = await plan_of(many, text, **({"id": await _id(many, "task")} if head else {}))
    assert f"Backward using {index}" in plan
    assert "Sort" not in plan
    assert "Seq Scan" not in plan


async def test_failed_task_runs_are_counted_in_the_index(many: asyncpg.Connection) -> None:
    plan = await plan_of(many, '{ task_run_aggregate(where: {state: {_eq: "Failed"}}) { aggregate { count } } }')
    assert "task_run_tenant_marked_idx" in plan
    plan = await plan_of(many, '{ flow_run(where: {task_runs: {state: {_eq: "TimedOut"}}}) { id } }')
    assert "task_run_tenant_marked_idx" in plan


async def test_marks_are_not_read_for_rows_that_may_lack_them(many: asyncpg.Connection) -> None:
    for where in (
        '{_not: {state: {_eq: "Failed"}}}',
        '{_or: [{state: {_eq: "Failed"}}, {map_index: {_eq: 1}}]}',
        '{state: {_in: ["Failed", "Running"]}}',
        '{state: {_neq: "Failed"}}',
        "{}",
    ):
        plan = await plan_of(many, f"{{ task_run(where: {where}, order_by: {{state_timestamp: asc}}) {{ id }} }}")
        assert "marked" not in plan


async def test_runs_in_a_rare_state_are_found_by_it(many: asyncpg.Connection) -> None:
    for state in ('{_eq: "Cancelling"}', '{_in: ["Submitted", "Cancelling"]}'):
        for plan in (
            await plan_of(many, f"{{ flow_run(where: {{state: {state}}}) {{ id }} }}"),
            await plan_of(many, f"{{ flow_run_aggregate(where: {{state: {state}}}) {{ aggregate {{ count }} }} }}"),
        ):
            assert "flow_run_tenant_state_idx" in plan


async def test_ids_and_keys_use_the_partial_indexes(many: asyncpg.Connection) -> None:
    plan = await plan_of(many, '{ flow_run(where: {idempotency_key: {_eq: "k"}, flow: {name: {_eq: "p11"}}}) { id } }')
    assert not walked_whole(plan), plan
    for keys in ('{_eq: "key run 7p15"}', '{_in: ["key run 7p15", "no such key"]}'):
        plan = await plan_of(many, f"{{ task_run(where: {{cache_key: {keys}}}) {{ id }} }}")
        assert "task_run_cache_key_idx" in plan
    plan = await plan_of(many, f'{{ flow_run(where: {{agent_id: {{_eq: "{UUID(int=1)}"}}}}) {{ id }} }}')
    assert "flow_run_agent_idx" in plan
