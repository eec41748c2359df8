"""`order_by` and `distinct_on`: from validated input, keys in written order, to SQL sort expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowstead_server.compiler.catalog import CATALOG, Column, Scalar, Table
from flowstead_server.compiler.conditions import column_sql, joined
from flowstead_server.compiler.errors import CompileError
from flowstead_server.compiler.scope import source
from flowstead_server.compiler.values import as_list

if TYPE_CHECKING:
    from flowstead_server.compiler.context import Context

_DIRECTIONS = {
    "asc": "ASC NULLS LAST",
    "asc_nulls_first": "ASC NULLS FIRST",
    "asc_nulls_last": "ASC NULLS LAST",
    "desc": "DESC NULLS FIRST",
    "desc_nulls_first": "DESC NULLS FIRST",
    "desc_nulls_last": "DESC NULLS LAST",
}

AGGREGATE_SUFFIX = "_aggregate"


def aggregate_sql(function: str, column: Column, row: str) -> str:
    """An aggregate function over one column."""
    value = column_sql(column, row)
    if column.scalar is Scalar.UUID:
        # PostgreSQL has no max(uuid) before version 18; as text they sort alike
        return f"{function}({value}::text)"
    if function in {"max", "min", "sum"}:
        return f"{function}({value})"
    return f"{function}({value})::double precision"


def sort_keys(context: Context, table: Table, row: str, order_by: Any) -> list[tuple[str, str]]:
    """Pairs of SQL expression and direction, in the order in which they were written; none for None."""
    keys: list[tuple[str, str]] = []
    if order_by is None:
        return keys
    for member in as_list(order_by):
        keys += _member_keys(context, table, row, member)
    return keys


def _member_keys(context: Context, table: Table, row: str, member: dict[str, Any]) -> list[tuple[str, str]]:
    keys: list[tuple[str, str]] = []
    for name, value in member.items():
        if value is None:
            continue
        if (column := table.columns.get(name)) is not None:
            keys.append((column_sql(column, row), _DIRECTIONS[value]))
        elif (relationship := table.relationships.get(name)) is not None:
            target, related = CATALOG.tables[relationship.target], context.alias()
            tail = source(target, related, joined(relationship, row, related))
            keys += [
                (f"(SELECT {expression} {tail})", direction)
                for expression, direction in _member_keys(context, target, related, value)
            ]
        else:
            keys += _aggregate_keys(context, table, row, name.removesuffix(AGGREGATE_SUFFIX), value)
    return keys


def _aggregate_keys(
    context: Context, table: Table, row: str, name: str, value: dict[str, Any]
) -> list[tuple[str, str]]:
    relationship = table.relationships[name]
    target, related = CATALOG.tables[relationship.target], context.alias()
    tail = source(target, related, joined(relationship, row, related))
    keys: list[tuple[str, str]] = []
    for function, wanted in value.items():
        if wanted is None:
            continue
        if function == "count":
            keys.append((f"(SELECT count(*) {tail})", _DIRECTIONS[wanted]))
            continue
        keys += [
            (f"(SELECT {aggregate_sql(function, target.columns[column], related)} {tail})", _DIRECTIONS[direction])
            for column, direction in wanted.items()
            if direction is not None
        ]
    return keys


def distinct_expressions(table: Table, row: str, distinct_on: Any, keys: list[tuple[str, str]]) -> list[str]:
    """The SQL expressions of `distinct_on`.

    Raises:
        CompileError: `order_by` begins with something else.
    """
    names = list(dict.fromkeys(as_list(distinct_on)))
    expressions = [column_sql(table.columns[name], row) for name in names]
    waiting = set(expressions)
    for expression, _ in keys:
        if not waiting:
            break
        if expression not in expressions:
            raise CompileError(
                f"distinct_on needs the rows sorted by its columns first: begin order_by with {', '.join(names)}."
            )
        waiting.discard(expression)
    return expressions
