"""The figures of an aggregate: `count`, and `sum`, `max` and the like of columns, as JSON over all selected rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstead_server.compiler.jsontext import JsonObject, json_of_any
from flowstead_server.compiler.ordering import aggregate_sql
from flowstead_server.compiler.values import as_list

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graphql import FieldNode

    from flowstead_server.compiler.catalog import Table
    from flowstead_server.compiler.context import Context
    from flowstead_server.compiler.rows import Row


def figures(context: Context, table: Table, row: Row, nodes: Iterable[FieldNode]) -> JsonObject:
    """Return the JSON of `aggregate { … }` over the rows; charges what it costs."""
    json = JsonObject()
    selected = context.fields(node.selection_set for node in nodes)
    context.charge(row.times * len(selected))
    for key, members in selected.items():
        name = members[0].name.value
        if name == "__typename":
            json.add_text(key, f'"{table.name}_aggregate_fields"')
        elif name == "count":
            json.add(key, f"{_count_sql(context, table, row, members[0])}::text")
        else:
            json.add_object(key, _figure(context, table, row, name, members))
    return json


def _figure(context: Context, table: Table, row: Row, function: str, nodes: Iterable[FieldNode]) -> JsonObject:
    json = JsonObject()
    for key, members in context.fields(node.selection_set for node in nodes).items():
        name = members[0].name.value
        if name == "__typename":
            json.add_text(key, f'"{table.name}_{function}_fields"')
        else:
            column = table.columns[name]
            row.read(column)
            json.add(key, json_of_any(aggregate_sql(function, column, row.alias)))
    return json


def _count_sql(context: Context, table: Table, row: Row, node: FieldNode) -> str:
    given = context.arguments_of(node)
    columns = [row.read(table.columns[name]) for name in dict.fromkeys(as_list(given.get("columns", [])))]
    if not columns:
        return "count(*)"
    present = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    counted = f"DISTINCT ({', '.join(columns)})" if given.get("distinct") else "*"
    return f"count({counted}) FILTER (WHERE {present})"
