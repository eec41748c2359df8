"""From selected table fields to one SQL statement whose single value holds the JSON text of every root field.

Each list is read by an inner query (WHERE, DISTINCT ON, ORDER BY, LIMIT); around it the JSON of each row is written,
so that nothing is computed for rows that a limit cuts off. Related rows come from lateral joins: PostgreSQL keeps the
order of the outer rows and remembers the answer for keys that repeat, which one subquery per row would not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from flowstead_server.compiler.catalog import CATALOG, Column, Function, Relationship, Scalar, Table
from flowstead_server.compiler.conditions import column_sql, conditions, joined, narrowed
from flowstead_server.compiler.context import Context, Cut
from flowstead_server.compiler.errors import CompileError
from flowstead_server.compiler.figures import figures
from flowstead_server.compiler.jsontext import CUT_MARK, JsonObject, array_of, literal
from flowstead_server.compiler.limits import MOST_BYTES, Limits, limit_error
from flowstead_server.compiler.ordering import AGGREGATE_SUFFIX, distinct_expressions, sort_keys
from flowstead_server.compiler.rows import Row
from flowstead_server.compiler.scope import TENANT, source
from flowstead_server.compiler.values import as_int, json_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from uuid import UUID

    from graphql import FieldNode, FragmentDefinitionNode

_BY_KEY_SUFFIX = "_by_pk"


@dataclass(frozen=True, slots=True)
class Compiled:
    """One statement and its bind arguments.

    Its single value is a text array: for each of `keys` the JSON text of that root field, or null where a row that
    was asked for by primary key does not exist. It is null as a whole if the answer is too long; see `checked`.
    """

    sql: str
    arguments: list[Any]
    keys: tuple[str, ...]
    cuts: tuple[Cut, ...] = ()
    """Lists that the server's own limit may cut; see `cut_lists`."""
    most_bytes: int = MOST_BYTES

    def checked(self, value: list[str | None] | None) -> list[str | None]:
        """The texts that are the statement's value.

        Raises:
            LimitError: the answer is too long.
        """
        if value is None:
            raise limit_error("answer_bytes", self.most_bytes)
        return value

    def cut_lists(self, texts: Iterable[str | None]) -> list[Cut]:
        """Those lists that were cut, by the marks in the JSON texts."""
        if not self.cuts:
            return []
        marks = {
            len(mark) - 1
            for text in texts
            if text is not None and CUT_MARK in text
            for mark in _CUT_MARKS.findall(text)
        }
        return [self.cuts[index] for index in sorted(marks)]


# JSON has no tab but between its tokens, and PostgreSQL writes none there
_CUT_MARKS = re.compile(f"{CUT_MARK} *")


@dataclass(frozen=True, slots=True)
class _Tie:
    """What ties related rows to the row that they belong to."""

    relationship: Relationship
    row: Row


def is_table_field(name: str) -> bool:
    """Whether a root field is answered by the compiler."""
    return name in _ROOTS


def compile_fields(
    fields: Mapping[str, list[FieldNode]],
    *,
    tenant_id: UUID,
    fragments: Mapping[str, FragmentDefinitionNode],
    variables: Mapping[str, Any],
    limits: Limits | None = None,
) -> Compiled:
    """Compile validated root fields by response key. All of them must be table fields.

    Raises:
        CompileError: a value in the query cannot be used; its path names the root field.
    """
    context = Context(tenant_id, fragments, variables, limits or Limits())
    roots: list[str] = []
    for key, nodes in fields.items():
        context.path = [key]
        try:
            roots.append(_root(context, nodes))
        except CompileError as error:
            error.path = (key, *error.path)
            raise
        except RecursionError:
            raise CompileError("The query is nested too deeply.", (key,)) from None
    most_bytes = context.limits.answer_bytes
    # OFFSET 0 keeps PostgreSQL from computing the texts twice; the size of a value in memory is known at once
    answer = f"(SELECT ARRAY[{', '.join(roots)}]::text[] AS texts OFFSET 0) AS answer"
    bounded = f"CASE WHEN pg_column_size(answer.texts) <= {most_bytes} THEN answer.texts END"
    sql = f"SELECT {bounded} FROM {answer}"  # noqa: S608 - what clients sent is in the arguments
    return Compiled(sql, context.arguments, tuple(fields), tuple(context.cuts), most_bytes)


def _root(context: Context, nodes: list[FieldNode]) -> str:
    table, kind = _ROOTS[nodes[0].name.value]
    if (function := CATALOG.functions.get(nodes[0].name.value.removesuffix(AGGREGATE_SUFFIX))) is not None:
        table = replace(table, relation=_relation(context, function, nodes[0]))
    if kind == AGGREGATE_SUFFIX:
        return f"(SELECT {_aggregate(context, table, nodes, None)})"
    if kind == _BY_KEY_SUFFIX:
        return f"({_by_key(context, table, nodes)})"
    return f"(SELECT {_rows(context, table, nodes, nodes[0], None)})"


def _relation(context: Context, function: Function, node: FieldNode) -> str:
    given = {**function.defaults, **{k: v for k, v in context.arguments_of(node)["args"].items() if v is not None}}
    values = {
        column.name: context.bind(column.scalar, given[column.name]) if column.name in given else "NULL"
        for column in function.arguments
    }
    return function.relation.format(tenant=TENANT, **values)


def _by_key(context: Context, table: Table, nodes: list[FieldNode]) -> str:
    row = Row(context.alias())
    given = context.arguments_of(nodes[0])
    matches = []
    for key in table.primary_key:
        if key not in given:
            raise CompileError(f"{key} cannot be null.")
        column = table.columns[key]
        matches.append(f"{column_sql(column, row.alias)} = {context.bind(column.scalar, given[key])}")
    json = _object(context, table, row, nodes).sql()
    return f"SELECT {json} {source(table, row.alias, matches, row.joins)} LIMIT 1"


def _rows(context: Context, table: Table, nodes: list[FieldNode], asked: FieldNode, outer: _Tie | None) -> str:
    """The list of rows that `asked` has the arguments for, and `nodes` the selections."""
    given = context.arguments_of(asked)
    requested = _count(given, "limit")
    row = Row(context.alias(), _times(context, given, requested, outer))
    limit = context.limits.rows(requested)
    json = _object(context, table, row, nodes).sql()
    cut, bound = "", None
    if limit is not None:
        bound = context.bind(Scalar.INT, limit)
        if limit != requested:
            cut = f"CASE WHEN count(*) >= {bound} THEN {literal(CUT_MARK + ' ' * context.cut_here(limit))} ELSE '' END"
    return f"{array_of(json, cut)} {_source_of(context, table, row, given, outer, bound)}"


def _times(context: Context, given: Mapping[str, Any], requested: int | None, outer: _Tie | None) -> int:
    identity = (given.get("where") or {}).get("id") or {}
    is_one = identity.get("_eq") is not None
    rows = 1 if is_one else context.limits.assumed_rows(requested, is_nested=outer is not None)
    return rows if outer is None else rows * outer.row.times


def _source_of(
    context: Context, table: Table, row: Row, given: Mapping[str, Any], outer: _Tie | None, limit: str | None
) -> str:
    """FROM … of the rows that a field's arguments select; `outer` ties them to the row that they belong to."""
    table = narrowed(table, given.get("where"))
    found = [] if outer is None else joined(outer.relationship, outer.row.alias, row.alias)
    found += conditions(context, table, row.alias, given.get("where"))
    keys = sort_keys(context, table, row.alias, given.get("order_by"))
    distinct = distinct_expressions(table, row.alias, given["distinct_on"], keys) if given.get("distinct_on") else []
    offset = _count(given, "offset")
    if not (keys or distinct or limit is not None or offset):
        return source(table, row.alias, found, row.joins)
    parts = ["SELECT"]
    if distinct:
        parts.append(f"DISTINCT ON ({', '.join(distinct)})")
    parts += [", ".join(f"{row.alias}.{name}" for name in row.columns) or "1", source(table, row.alias, found)]
    if keys:
        parts.append(f"ORDER BY {', '.join(f'{expression} {direction}' for expression, direction in keys)}")
    if limit is not None:
        parts.append(f"LIMIT {limit}")
    if offset:
        parts.append(f"OFFSET {context.bind(Scalar.INT, offset)}")
    return " ".join([f"FROM ({' '.join(parts)}) AS {row.alias}", *row.joins])


def _count(given: Mapping[str, Any], name: str) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    if as_int(value) < 0:
        raise CompileError(f"{name} cannot be negative, but is {as_int(value)}.")
    return as_int(value)


def _object(context: Context, table: Table, row: Row, nodes: Iterable[FieldNode]) -> JsonObject:
    json = JsonObject()
    selected = context.fields(node.selection_set for node in nodes)
    context.charge(row.times * len(selected))
    for key, members in selected.items():
        name = members[0].name.value
        context.path.append(key)
        if (column := table.columns.get(name)) is not None:
            _add_column(context, json, key, row, column, members[0])
        elif name == "__typename":
            json.add_text(key, f'"{table.name}"')
        elif (relationship := table.relationships.get(name)) is not None:
            json.add(key, _related(context, relationship, row, members, table))
        else:
            related = table.relationships[name.removesuffix(AGGREGATE_SUFFIX)]
            json.add(key, _related_aggregate(context, related, row, members, table))
        context.path.pop()
    return json


def _add_column(context: Context, json: JsonObject, key: str, row: Row, column: Column, node: FieldNode) -> None:
    value = row.read(column)
    if node.arguments and (path := context.arguments_of(node).get("path")) is not None:
        steps = context.bind_all(Scalar.STRING, json_path(path))
        json.add(key, f"coalesce(({value} #> {steps})::text, 'null')")
    else:
        json.add_column(key, column, value)


def _tie(relationship: Relationship, row: Row, table: Table) -> _Tie:
    for name in (*(local for local, _ in relationship.join), *relationship.condition_columns):
        row.read(table.columns[name])
    return _Tie(relationship, row)


def _join(context: Context, row: Row, query: str) -> str:
    alias = context.alias()
    row.joins.append(f"LEFT JOIN LATERAL ({query}) AS {alias}(json) ON true")
    return f"{alias}.json"


def _related(context: Context, relationship: Relationship, row: Row, nodes: list[FieldNode], table: Table) -> str:
    target = CATALOG.tables[relationship.target]
    outer = _tie(relationship, row, table)
    if relationship.is_array:
        return _join(context, row, f"SELECT {_rows(context, target, nodes, nodes[0], outer)}")
    related = Row(context.alias(), row.times)
    json = _object(context, target, related, nodes).sql()
    tail = source(target, related.alias, joined(relationship, row.alias, related.alias), related.joins)
    # OFFSET 0 keeps PostgreSQL from turning this into a hash join, which would lose the order of the outer rows
    return f"coalesce({_join(context, row, f'SELECT {json} {tail} OFFSET 0')}, 'null')"


def _related_aggregate(
    context: Context, relationship: Relationship, row: Row, nodes: list[FieldNode], table: Table
) -> str:
    outer = _tie(relationship, row, table)
    target = CATALOG.tables[relationship.target]
    return _join(context, row, f"SELECT {_aggregate(context, target, nodes, outer)}")


def _aggregate(context: Context, table: Table, nodes: list[FieldNode], outer: _Tie | None) -> str:
    row = Row(context.alias(), 1 if outer is None else outer.row.times)
    json = JsonObject()
    has_figures = False
    for key, members in context.fields(node.selection_set for node in nodes).items():
        name = members[0].name.value
        context.path.append(key)
        if name == "__typename":
            json.add_text(key, f'"{table.name}_aggregate"')
        elif name == "nodes":
            # a list of its own: figures are over all rows, and only what is listed is bounded
            json.add(key, f"(SELECT {_rows(context, table, members, nodes[0], outer)})")
        else:
            has_figures = True
            json.add_object(key, figures(context, table, row, members))
        context.path.pop()
    if not has_figures:
        return json.sql()
    given = context.arguments_of(nodes[0])
    requested = _count(given, "limit")
    limit = None if requested is None else context.bind(Scalar.INT, requested)
    # HAVING makes one row of all, also where nothing but __typename is selected
    return f"{json.sql()} {_source_of(context, table, row, given, outer, limit)} HAVING true"


def _roots() -> dict[str, tuple[Table, str]]:
    roots: dict[str, tuple[Table, str]] = {}
    for name, table in CATALOG.tables.items():
        roots[name] = (table, "")
        roots[f"{name}{AGGREGATE_SUFFIX}"] = (table, AGGREGATE_SUFFIX)
        if table.primary_key:
            roots[f"{name}{_BY_KEY_SUFFIX}"] = (table, _BY_KEY_SUFFIX)
    for name, function in CATALOG.functions.items():
        roots[name] = (CATALOG.tables[function.target], "")
        roots[f"{name}{AGGREGATE_SUFFIX}"] = (CATALOG.tables[function.target], AGGREGATE_SUFFIX)
    return roots


_ROOTS = _roots()
