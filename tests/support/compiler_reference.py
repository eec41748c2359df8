"""A slow, obvious evaluator of `where`, `order_by`, `limit` and `offset` over the rows of the world.

Conditions are True, False or None (unknown), as in SQL; a row is kept when its condition is True.
"""

import re
from collections.abc import Iterable
from functools import cmp_to_key
from typing import Any

import pytest
from compiler_world import Row, our_rows

from flowstead_server.compiler.catalog import CATALOG, Relationship, Scalar, Table

Truth = bool | None


def _both(values: Iterable[Truth]) -> Truth:
    found = list(values)
    return False if False in found else None if None in found else True


def _either(values: Iterable[Truth]) -> Truth:
    found = list(values)
    return True if True in found else None if None in found else False


def _negation(value: Truth) -> Truth:
    return None if value is None else not value


def related(row: Row, relationship: Relationship) -> list[Row]:
    """The rows that a relationship leads to."""
    ((local, remote),) = relationship.join
    if row[local] is None:
        return []
    return [other for other in our_rows(relationship.target) if other[remote] == row[local]]


def _like(value: str, pattern: str, flags: int = 0) -> bool:
    parts = (".*" if part == "%" else "." if part == "_" else re.escape(part) for part in pattern)
    return re.fullmatch("".join(parts), value, flags | re.DOTALL) is not None


def _contains(outer: Any, inner: Any) -> bool:
    if isinstance(outer, dict):
        return isinstance(inner, dict) and all(key in outer and _contains(outer[key], inner[key]) for key in inner)
    if isinstance(outer, list):
        if not isinstance(inner, list):
            # PostgreSQL's exception: a list contains a plain value that is one of its elements
            return not isinstance(inner, dict) and inner in outer
        return all(any(_contains_element(mine, wanted) for mine in outer) for wanted in inner)
    return not isinstance(inner, dict | list) and outer == inner


def _contains_element(mine: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict | list):
        return type(mine) is type(wanted) and _contains(mine, wanted)
    return not isinstance(mine, dict | list) and mine == wanted


def _has_key(value: Any, key: str) -> bool:
    return key in value if isinstance(value, dict | list) else value == key


_COMPARISONS = {
    "_eq": lambda a, b: a == b,
    "_neq": lambda a, b: a != b,
    "_gt": lambda a, b: a > b,
    "_gte": lambda a, b: a >= b,
    "_lt": lambda a, b: a < b,
    "_lte": lambda a, b: a <= b,
    "_like": _like,
    "_nlike": lambda a, b: not _like(a, b),
    "_ilike": lambda a, b: _like(a, b, re.IGNORECASE),
    "_nilike": lambda a, b: not _like(a, b, re.IGNORECASE),
    "_contains": _contains,
    "_contained_in": lambda a, b: _contains(b, a),
    "_has_key": _has_key,
    "_has_keys_any": lambda a, b: any(_has_key(a, key) for key in b),
    "_has_keys_all": lambda a, b: all(_has_key(a, key) for key in b),
}


def _compare(value: Any, operator: str, operand: Any) -> Truth:
    if operand is None:
        return True
    if operator == "_is_null":
        return (value is None) is operand
    if operator == "_in":
        return False if not operand else None if value is None else value in operand
    if operator == "_nin":
        return True if not operand else None if value is None else value not in operand
    return None if value is None else _COMPARISONS[operator](value, operand)


def holds(table: Table, row: Row, where: dict[str, Any] | None) -> Truth:
    """Whether a condition is true of a row."""
    return _both(_member(table, row, name, value) for name, value in (where or {}).items())


def _member(table: Table, row: Row, name: str, value: Any) -> Truth:
    if value is None:
        return True
    members = value if isinstance(value, list) else [value]
    if name == "_and":
        return _both(holds(table, row, member) for member in members)
    if name == "_or":
        return _either(holds(table, row, member) for member in members)
    if name == "_not":
        return _negation(holds(table, row, value))
    if name in table.columns:
        return _both(_compare(row[name], operator, operand) for operator, operand in value.items())
    relationship = table.relationships[name]
    target = CATALOG.tables[relationship.target]
    return any(holds(target, other, value) is True for other in related(row, relationship))


def _key_of(table: Table, row: Row, order: dict[str, Any]) -> list[tuple[Any, str]]:
    """Pairs of value and direction."""
    keys: list[tuple[Any, str]] = []
    for name, value in order.items():
        if value is None:
            continue
        if name in table.columns:
            keys.append((row[name], value))
            continue
        if name.endswith("_aggregate"):
            others = related(row, table.relationships[name.removesuffix("_aggregate")])
            for function, wanted in value.items():
                if function == "count":
                    keys.append((len(others), wanted))
                    continue
                for column, direction in wanted.items():
                    values = [other[column] for other in others if other[column] is not None]
                    keys.append(((max if function == "max" else min)(values, default=None), direction))
            continue
        relationship = table.relationships[name]
        target = CATALOG.tables[relationship.target]
        others = related(row, relationship)
        nothing = dict.fromkeys(target.columns)
        keys += _key_of(target, others[0] if others else nothing, value)
    return keys


def _sign(first: Any, second: Any, direction: str) -> int:
    nulls_first = direction.endswith("nulls_first") or direction == "desc"
    if first is None or second is None:
        if first is second:
            return 0
        return (-1 if nulls_first else 1) * (1 if first is None else -1)
    order = (first > second) - (first < second)
    return -order if direction.startswith("desc") else order


def chosen(table: Table, rows: list[Row], arguments: dict[str, Any]) -> list[Row]:
    """The rows of a list that its arguments leave, in order; `order_by` has to leave no two rows equal."""
    orders = arguments.get("order_by") or []
    found = [row for row in rows if holds(table, row, arguments.get("where")) is True]
    keys = {row["id"]: [key for order in orders for key in _key_of(table, row, order)] for row in found}

    def compare(first: Row, second: Row) -> int:
        pairs = zip(keys[first["id"]], keys[second["id"]], strict=True)
        signs = (_sign(a, b, direction) for (a, direction), (b, _) in pairs)
        return next((sign for sign in signs if sign), 0)

    found.sort(key=cmp_to_key(compare))
    if arguments.get("distinct_on"):
        firsts: dict[Any, Row] = {}
        for row in found:
            firsts.setdefault(row[arguments["distinct_on"]], row)
        found = list(firsts.values())
    start, limit = arguments.get("offset") or 0, arguments.get("limit")
    return found[start : None if limit is None else start + limit]


def select(
    name: str, where: dict[str, Any] | None, order_by: list[dict[str, Any]], limit: int | None, offset: int | None
) -> list[str]:
    """Ids of the rows that a root field returns, in order; `order_by` has to leave no two rows equal."""
    arguments = {"where": where, "order_by": order_by, "limit": limit, "offset": offset}
    return [row["id"] for row in chosen(CATALOG.tables[name], our_rows(name), arguments)]


def figure(rows: list[Row], name: str, of: Any) -> Any:
    """One aggregate: `of` is the pair of columns and `distinct` of a count, or the column of another function."""
    if name == "count":
        columns, distinct = of
        values = [tuple(row[column] for column in columns) for row in rows]
        values = [value for value in values if None not in value]
        return len(set(values)) if distinct and columns else len(values)
    values = [row[of] for row in rows if row[of] is not None]
    if not values:
        return None
    if name == "avg":
        return pytest.approx(sum(values) / len(values))
    return {"max": max, "min": min, "sum": sum}[name](values)


COMPARABLE = {
    Scalar.UUID: ["_eq", "_neq", "_in", "_nin", "_is_null", "_gt", "_lte"],
    Scalar.TIMESTAMPTZ: ["_eq", "_neq", "_gt", "_gte", "_lt", "_lte", "_in", "_nin", "_is_null"],
    Scalar.INT: ["_eq", "_neq", "_gt", "_gte", "_lt", "_lte", "_in", "_nin", "_is_null"],
    Scalar.BOOLEAN: ["_eq", "_neq", "_is_null"],
    Scalar.STRING: ["_eq", "_neq", "_in", "_nin", "_is_null", "_like", "_nlike", "_ilike", "_nilike"],
    Scalar.JSONB: ["_eq", "_neq", "_in", "_is_null", "_contains", "_contained_in", "_has_key", "_has_keys_any"],
}
"""Operators whose meaning does not depend on the collation of the database."""
