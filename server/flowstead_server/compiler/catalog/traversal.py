"""Walks over the edges between tasks: two functions whose result is read like a table.

Nothing is stored: `utility_traversal` by itself has no rows. A walk never leaves the caller's tenant, counts each task
once with its greatest distance, and ends after 50 steps, which also ends it on edges that form a circle.
"""

from __future__ import annotations

from types import MappingProxyType

from flowstead_server.compiler.catalog.model import Column, Function, Scalar, Table, to_one

_WALK = """(WITH RECURSIVE walk(task_id, depth) AS (
    SELECT task.id, 0 FROM task WHERE task.tenant_id = {{tenant}} AND task.id = ANY ({{start_task_ids}}::text::uuid[])
  UNION
    SELECT edge.{to}, walk.depth + 1 FROM walk JOIN edge ON edge.{at} = walk.task_id
    WHERE edge.tenant_id = {{tenant}} AND walk.depth < least(50, {{depth_limit}})
) SELECT {{tenant}} AS tenant_id, task_id, max(depth) AS depth FROM walk GROUP BY task_id ORDER BY 3, 2)"""

UTILITY_TRAVERSAL = Table(
    "utility_traversal",
    "A task that a walk over edges has found. By itself it has no rows: ask for a walk.",
    MappingProxyType(
        {
            column.name: column
            for column in (
                Column("depth", Scalar.INT, "How many steps the task is away, by the longest way."),
                Column("task_id", Scalar.UUID, "The task."),
                Column("tenant_id", Scalar.UUID, "The tenant that the task belongs to."),
            )
        }
    ),
    MappingProxyType({"task": to_one("task", "task", "task_id", "The task.")}),
    primary_key=(),
    relation="(SELECT NULL::integer AS depth, NULL::uuid AS task_id, NULL::uuid AS tenant_id WHERE false)",
)


def _walk(name: str, at: str, to: str, description: str) -> Function:
    arguments = (
        Column("depth_limit", Scalar.INT, "How many steps to go at most; 50 if not given, and never more."),
        Column("start_task_ids", Scalar.STRING, "Where to start: ids of tasks, written {ID,ID}."),
    )
    return Function(name, "utility_traversal", description, arguments, _WALK.format(at=at, to=to), {"depth_limit": 50})


FUNCTIONS = (
    _walk(
        "utility_downstream_tasks",
        "upstream_task_id",
        "downstream_task_id",
        "Tasks that depend on the given ones, over any number of edges, the given ones included.",
    ),
    _walk(
        "utility_upstream_tasks",
        "downstream_task_id",
        "upstream_task_id",
        "Tasks that the given ones depend on, over any number of edges, the given ones included.",
    ),
)
