"""Whole operations at random: what is selected at each level, its GraphQL text, and its slow, obvious answer.

A `Selection` is drawn once; `Writer` makes the document and its variables from it, `answer` evaluates it over the rows
of the world. Every field has an alias of its own, so that no two of them have to be merged.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from compiler_reference import chosen, figure, related
from compiler_world import Row, our_rows

from flowstead_server.compiler.catalog import CATALOG, Table

DIRECTIONS = ["asc", "desc", "asc_nulls_first", "asc_nulls_last", "desc_nulls_first", "desc_nulls_last"]


@dataclass(frozen=True)
class Figures:
    """Aggregates of a list: pairs of function and what it is taken of; `nodes` are the rows, if asked for."""

    wanted: list[tuple[str, Any]]
    nodes: "Selection | None"


@dataclass(frozen=True)
class Field:
    """One field: a column, a relationship with what is selected of it, or figures over one."""

    name: str
    inner: "Selection | Figures | None" = None
    arguments: dict[str, Any] = field(default_factory=dict)
    by_variable: bool = False
    is_left_out: bool = False


@dataclass(frozen=True)
class Selection:
    """The fields of one table at one place, written as they are, in an inline fragment or in a named one."""

    table: Table
    fields: list[Field]
    style: str = "plain"


def literal(value: Any) -> str:
    """GraphQL's way to write a value; directions and columns are enums."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {literal(member)}" for key, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(literal, value)) + "]"
    return value if value in DIRECTIONS else json.dumps(value)


class Writer:
    """Writes an operation; collects its fragments, and the values of its variables."""

    def __init__(self) -> None:
        self.variables: dict[str, Any] = {}
        self._declared: list[str] = []
        self._fragments: list[str] = []
        self._names = 0

    def document(self, roots: list[Field]) -> str:
        """The text of the operation with these root fields."""
        fields = " ".join(
            f"k{index}: {self._field(root, CATALOG.tables[root.name.removesuffix('_aggregate')])}"
            for index, root in enumerate(roots)
        )
        declared = f"({', '.join(self._declared)})" if self._declared else ""
        return " ".join([f"query Q{declared} {{ {fields} }}", *self._fragments])

    def _name(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}{self._names}"

    def _field(self, one: Field, target: Table | None) -> str:
        text = one.name
        if target is not None:
            given = [self._argument(target, name, value, one) for name, value in one.arguments.items()]
            text += f"({', '.join(given)})" if given else ""
        if one.is_left_out:
            self.variables["never"] = False
            if "$never: Boolean!" not in self._declared:
                self._declared.append("$never: Boolean!")
            text += " @include(if: $never)"
        if isinstance(one.inner, Selection):
            text += f" {{ {self._selection(one.inner)} }}"
        elif isinstance(one.inner, Figures):
            text += f" {{ {self._figures(one.inner)} }}"
        return text

    def _argument(self, target: Table, name: str, value: Any, one: Field) -> str:
        if name == "distinct_on":
            return f"distinct_on: {value}"
        if not one.by_variable:
            return f"{name}: {literal(value)}"
        kinds = {"where": f"{target.name}_bool_exp", "order_by": f"[{target.name}_order_by!]"}
        variable = self._name("v")
        self._declared.append(f"${variable}: {kinds.get(name, 'Int')}")
        self.variables[variable] = value
        return f"{name}: ${variable}"

    def _selection(self, selection: Selection) -> str:
        keyed = []
        for index, one in enumerate(selection.fields):
            relationship = selection.table.relationships.get(one.name.removesuffix("_aggregate"))
            target = CATALOG.tables[relationship.target] if relationship else None
            keyed.append(f"k{index}: {self._field(one, target)}")
        text = " ".join(keyed)
        if selection.style == "inline":
            return f"... on {selection.table.name} {{ {text} }} ... {{ __typename }}"
        if selection.style == "named":
            name = self._name("F")
            self._fragments.append(f"fragment {name} on {selection.table.name} {{ {text} __typename }}")
            return f"...{name}"
        return f"{text} __typename"

    def _figures(self, figures: Figures) -> str:
        parts = []
        for index, (name, of) in enumerate(figures.wanted):
            if name == "count":
                columns, distinct = of
                listed = f"columns: [{' '.join(columns)}], " if columns else ""
                parts.append(f"k{index}: count({listed}distinct: {json.dumps(distinct)})")
            else:
                parts.append(f"k{index}: {name} {{ value: {of} }}")
        text = f"aggregate {{ {' '.join(parts)} __typename }}"
        return text if figures.nodes is None else f"{text} nodes {{ {self._selection(figures.nodes)} }}"


def answer(roots: list[Field]) -> list[Any]:
    """What the root fields answer, in order."""
    answers = []
    for root in roots:
        table = CATALOG.tables[root.name.removesuffix("_aggregate")]
        answers.append(_list(table, our_rows(table.name), root))
    return answers


def _list(table: Table, rows: list[Row], one: Field) -> Any:
    rows = chosen(table, rows, one.arguments)
    if isinstance(one.inner, Selection):
        return [_object(row, one.inner) for row in rows]
    assert isinstance(one.inner, Figures)
    values: dict[str, Any] = {}
    for index, (name, of) in enumerate(one.inner.wanted):
        value = figure(rows, name, of)
        values[f"k{index}"] = value if name == "count" else {"value": value}
    found: dict[str, Any] = {"aggregate": {**values, "__typename": f"{table.name}_aggregate_fields"}}
    if one.inner.nodes is not None:
        found["nodes"] = [_object(row, one.inner.nodes) for row in rows]
    return found


def _object(row: Row, selection: Selection) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for index, one in enumerate(selection.fields):
        if one.is_left_out:
            continue
        key = f"k{index}"
        relationship = selection.table.relationships.get(one.name.removesuffix("_aggregate"))
        if relationship is None:
            found[key] = row[one.name]
            continue
        target, rows = CATALOG.tables[relationship.target], related(row, relationship)
        if relationship.is_array:
            found[key] = _list(target, rows, one)
        else:
            assert isinstance(one.inner, Selection)
            found[key] = _object(rows[0], one.inner) if rows else None
    found["__typename"] = selection.table.name
    return found
