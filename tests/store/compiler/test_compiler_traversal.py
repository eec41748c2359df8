"""Walks over the edges of a flow, against a walk written out in Python over the same edges."""

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from compiler_world import OURS, THEIRS, identity

from flowstead_server.db import Database
from flowstead_server.db.embedded import EmbeddedPostgres

# a diamond with a long side, a tail, and a task on its own
EDGES = [(0, 1), (0, 2), (1, 3), (2, 4), (4, 3), (3, 5)]
TASKS = [identity(f"walk {number}") for number in range(7)]


def _depths(starts: list[int], edges: list[tuple[int, int]], most: int = 50) -> dict[int, int]:
    found: dict[int, int] = {}
    level = set(starts)
    for depth in range(most + 1):
        found |= dict.fromkeys(level, depth)
        level = {end for start, end in edges if start in level}
    return found


async def _insert(dsn: str, edges: list[tuple[int, int]]) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("set session_replication_role = replica")
    await connection.executemany(
        "insert into tenant (id, name, slug) values ($1, $2, $2)", [(UUID(OURS), "a"), (UUID(THEIRS), "b")]
    )
    await connection.executemany(
        "insert into task (id, tenant_id, flow_id, slug, name) values ($1::text::uuid, $2, $2, $1, $3)",
        [(task, UUID(OURS), f"t{number}") for number, task in enumerate(TASKS)],
    )
    await connection.executemany(
        "insert into edge (tenant_id, flow_id, upstream_task_id, downstream_task_id) "
        "values ($1, $1, $2::text::uuid, $3::text::uuid)",
        [(UUID(OURS), TASKS[start], TASKS[end]) for start, end in edges],
    )
    await connection.close()


@pytest.fixture
async def walker(postgres: EmbeddedPostgres, template_database: str, asker: Any) -> AsyncIterator[Any]:
    """Asks a database in which there are only tasks and edges."""
    name = f"walks_{os.getpid()}_{os.urandom(4).hex()}"
    admin = await asyncpg.connect(postgres.dsn_of("postgres"))
    await admin.execute(f'create database "{name}" template "{template_database}"')
    await admin.execute("select 1")
    connection = await asyncpg.connect(postgres.dsn_of(name))
    await connection.execute("delete from tenant")
    await connection.close()
    async with await Database.connect(postgres.dsn_of(name), max_connections=4) as database:
        yield replace(asker, database=database)
    await admin.execute(f'drop database "{name}" with (force)')
    await admin.close()


async def _walk(walker: Any, direction: str, starts: list[int], **members: Any) -> list[tuple[int, int]]:
    ids = "{" + ",".join(TASKS[start] for start in starts) + "}"
    data = await walker.ask(
        f"query($args: utility_{direction}_tasks_args!) {{ utility_{direction}_tasks(args: $args) "
        "{ depth task_id tenant_id task { id name } } }",
        {"args": {"start_task_ids": ids, **members}},
    )
    rows = data[f"utility_{direction}_tasks"]
    assert all(row["tenant_id"] == OURS and row["task"]["id"] == row["task_id"] for row in rows)
    assert rows == sorted(rows, key=lambda row: (row["depth"], row["task_id"]))
    return sorted((TASKS.index(row["task_id"]), row["depth"]) for row in rows)


async def test_walks(walker: Any) -> None:
    await _insert(walker.database.dsn, EDGES)
    back = [(end, start) for start, end in EDGES]
    for starts in ([0], [1, 2], [6], [], [5], [0, 3], list(range(7))):
        assert await _walk(walker, "downstream", starts) == sorted(_depths(starts, EDGES).items())
        assert await _walk(walker, "upstream", starts) == sorted(_depths(starts, back).items())
    for limit in (0, 1, 2, 1000):
        assert await _walk(walker, "downstream", [0], depth_limit=limit) == sorted(_depths([0], EDGES, limit).items())
    assert await _walk(walker, "downstream", [0], depth_limit=None) == sorted(_depths([0], EDGES).items())
    assert await _walk(replace(walker, tenant_id=THEIRS), "downstream", [0]) == []
    data = await walker.ask(
        f"""{{ a: utility_downstream_tasks_aggregate(args: {{start_task_ids: "{{{TASKS[0]}}}"}},
                where: {{depth: {{_gt: 0}}}})
                {{ aggregate {{ count max {{ depth }} }} nodes {{ task {{ name }} }} }}
            b: utility_downstream_tasks(args: {{start_task_ids: "{{{TASKS[0]}}}"}}, limit: 2, offset: 1,
                order_by: {{task: {{name: desc}}}}, where: {{task: {{name: {{_neq: "t3"}}}}}}) {{ task {{ name }} }}
            utility_traversal {{ depth }}
            utility_traversal_aggregate {{ aggregate {{ count }} }}
            c: utility_upstream_tasks(args: {{}}) {{ depth }} }}"""
    )
    assert data["a"]["aggregate"] == {"count": 5, "max": {"depth": 4}}
    assert len(data["a"]["nodes"]) == 5
    assert data["b"] == [{"task": {"name": "t4"}}, {"task": {"name": "t2"}}]
    assert (data["utility_traversal"], data["c"]) == ([], [])
    assert data["utility_traversal_aggregate"]["aggregate"]["count"] == 0


async def test_a_circle_ends(walker: Any) -> None:
    await _insert(walker.database.dsn, [(0, 1), (1, 0)])
    assert await _walk(walker, "downstream", [0]) == [(0, 50), (1, 49)]


async def test_text_that_is_no_list_of_ids(asker: Any) -> None:
    for text in ("nonsense", "{nonsense}", "{", "'); drop table flow; --"):
        query = "query($ids: _uuid) { utility_upstream_tasks(args: {start_task_ids: $ids}) { depth } }"
        error = await asker.fail(query, {"ids": text})
        assert error.extensions["code"] == "BAD_USER_INPUT"
