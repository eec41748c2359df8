"""`where`: from a validated `X_bool_exp` to an SQL condition.

Null handling is the one that 1.x programs depend on: a comparison with null, and a member that is null, are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowstead_server.compiler.catalog import CATALOG, Column, Marks, Relationship, Scalar, Table
from flowstead_server.compiler.errors import CompileError
from flowstead_server.compiler.scope import TENANT, source
from flowstead_server.compiler.values import as_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flowstead_server.compiler.context import Context

_OPERATORS = {
    "_eq": "=",
    "_neq": "<>",
    "_gt": ">",
    "_gte": ">=",
    "_lt": "<",
    "_lte": "<=",
    "_like": "LIKE",
    "_nlike": "NOT LIKE",
    "_ilike": "ILIKE",
    "_nilike": "NOT ILIKE",
    "_similar": "SIMILAR TO",
    "_nsimilar": "NOT SIMILAR TO",
    "_regex": "~",
    "_nregex": "!~",
    "_iregex": "~*",
    "_niregex": "!~*",
    "_contains": "@>",
    "_contained_in": "<@",
}
_LIST_OPERATORS = {"_in": ("=", "ANY"), "_nin": ("<>", "ALL")}
_KEY_OPERATORS = {"_has_keys_any": "?|", "_has_keys_all": "?&"}


def column_sql(column: Column, row: str) -> str:
    """The SQL that reads a column of the row with the alias `row`."""
    if column.expression is None:
        return f"{row}.{column.name}"
    return column.expression.format(row=row, tenant=TENANT)


def joined(relationship: Relationship, row: str, related: str) -> list[str]:
    """The conditions that tie a related row to the row that it is related to."""
    conditions = [f"{related}.{remote} = {row}.{local}" for local, remote in relationship.join]
    if relationship.condition is not None:
        conditions.append(relationship.condition.format(row=row, related=related))
    return conditions


def narrowed(table: Table, where: dict[str, Any] | None) -> Table:
    """The table as it is best read for the rows that `where` leaves: by its marks, if it leaves marked rows only.

    Not for what stands under a `_not`: in rows that are not marked the copies are null.
    """
    return table.of_marked_rows() if table.marks and _is_marked(table.marks, where or {}) else table


def _is_marked(marks: Marks, where: dict[str, Any]) -> bool:
    wanted = where.get(marks.column) or {}
    if wanted.get("_eq") in marks.values or (wanted.get("_in") and marks.values.issuperset(as_list(wanted["_in"]))):
        return True
    return any(_is_marked(marks, member) for member in as_list(where.get("_and") or []))


def conditions(context: Context, table: Table, row: str, where: dict[str, Any] | None) -> list[str]:
    """The conditions that must all hold for a row; none for an empty `where`.

    Raises:
        CompileError: a value means nothing for its column.
    """
    found: list[str] = []
    for name, value in (where or {}).items():
        if value is None:
            continue
        if name == "_and":
            for member in as_list(value):
                found += conditions(context, table, row, member)
        elif name == "_or":
            found.append(_either(context, table, row, as_list(value)))
        elif name == "_not":
            found.append(f"NOT ({_all(conditions(context, table, row, value))})")
        elif (column := table.columns.get(name)) is not None:
            left = column_sql(column, row)
            if column.is_hashed:
                found += _hash_comparisons(context, left, value)
            found += _comparisons(context, column.scalar, left, value)
        else:
            found += _related(context, table.relationships[name], row, value)
    return found


def _all(found: Iterable[str]) -> str:
    return " AND ".join(found) or "true"


def _either(context: Context, table: Table, row: str, members: list[dict[str, Any]]) -> str:
    alternatives = [_all(conditions(context, table, row, member)) for member in members]
    if not alternatives:
        return "false"
    return f"({' OR '.join(f'({alternative})' for alternative in alternatives)})"


def _related(context: Context, relationship: Relationship, row: str, where: dict[str, Any]) -> list[str]:
    target = narrowed(CATALOG.tables[relationship.target], where)
    related = context.alias()
    inner = conditions(context, target, related, where)
    if not inner and not relationship.is_array and not relationship.nullable:
        # a foreign key says that the related row exists
        return []
    return [f"EXISTS (SELECT 1 {source(target, related, [*joined(relationship, row, related), *inner])})"]


def _hash_comparisons(context: Context, left: str, operators: dict[str, Any]) -> Iterator[str]:
    """What follows from equality, for the index."""
    if (value := operators.get("_eq")) is not None:
        yield f"hashtextextended({left}, 0) = hashtextextended({context.bind(Scalar.STRING, value)}, 0)"
    if (values := operators.get("_in")) is not None:
        listed = context.bind_all(Scalar.STRING, as_list(values))
        hashes = f"SELECT hashtextextended(v, 0) FROM unnest({listed}) AS v"  # noqa: S608 - the list is a bind parameter
        yield f"hashtextextended({left}, 0) = ANY (ARRAY({hashes}))"


def _comparisons(context: Context, scalar: Scalar, left: str, operators: dict[str, Any]) -> list[str]:
    return [
        _comparison(context, scalar, left, operator, value)
        for operator, value in operators.items()
        if value is not None
    ]


def _among(context: Context, scalar: Scalar, left: str, operator: str, members: list[Any]) -> str:
    symbol, quantifier = _LIST_OPERATORS[operator]
    if len(members) == 1:
        # an index gives rows in order for one value, not for a list
        return f"{left} {symbol} {context.bind(scalar, members[0])}"
    return f"{left} {symbol} {quantifier} ({context.bind_all(scalar, members)})"


def _comparison(context: Context, scalar: Scalar, left: str, operator: str, value: Any) -> str:
    if (symbol := _OPERATORS.get(operator)) is not None:
        return f"{left} {symbol} {context.bind(scalar, value)}"
    if operator in _LIST_OPERATORS:
        return _among(context, scalar, left, operator, as_list(value))
    if operator == "_is_null":
        return f"{left} IS {'' if value else 'NOT '}NULL"
    if operator == "_has_key":
        return f"{left} ? {context.bind(Scalar.STRING, value)}"
    if (symbol := _KEY_OPERATORS.get(operator)) is not None:
        return f"{left} {symbol} {context.bind_all(Scalar.STRING, as_list(value))}"
    if operator == "_cast":
        text = value.get("String")
        return _all(_comparisons(context, Scalar.STRING, f"({left})::text", text or {}))
    raise CompileError(f"There is no comparison {operator}.")
