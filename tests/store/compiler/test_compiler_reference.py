"""Random conditions, orders and limits answer what the slow evaluator says."""

from typing import Any

import pytest
from compiler_operations import DIRECTIONS, Field, Figures, Selection, Writer, answer, literal
from compiler_reference import COMPARABLE, select
from compiler_world import WORLD, our_rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowstead_server.compiler.catalog import CATALOG, Column, Scalar, Table

ROOTS = ["flow", "flow_run", "task_run"]
# computed from a table that is not part of the world
HIDDEN = {"heartbeat"}
LISTS = {"_in", "_nin", "_has_keys_any", "_has_keys_all"}
KEYS = {"_has_key", "_has_keys_any", "_has_keys_all"}
PATTERNS = ["%", "alpha%", "%a", "_eta", "ALPHA", "", "%_%", "gam_a"]
FRAGMENTS: list[Any] = [{}, [], {"x": 1}, ["a"], "a", 1, {"deep": {"list": [3]}}, {"tag": "c"}, {"type": "Failed"}]


def _values(table: Table, column: Column) -> list[Any]:
    stored = [row[column.name] for row in our_rows(table.name) if row[column.name] is not None]
    others: dict[Scalar, list[Any]] = {
        Scalar.UUID: ["00000000-0000-0000-0000-000000000000"],
        Scalar.TIMESTAMPTZ: ["2026-03-01T03:00:00.25+00:00"],
        Scalar.INT: [-1, 0, 4],
        Scalar.BOOLEAN: [True, False],
        Scalar.STRING: ["nothing"],
        Scalar.JSONB: FRAGMENTS,
        Scalar.INTERVAL: ["00:01:02"],
    }
    return stored + others[column.scalar]


def _comparison(table: Table, column: Column) -> st.SearchStrategy[dict[str, Any]]:
    value = st.sampled_from(_values(table, column))

    def operand(operator: str) -> st.SearchStrategy[Any]:
        if operator == "_is_null":
            return st.booleans()
        if operator in KEYS:
            one: st.SearchStrategy[Any] = st.sampled_from(["a", "x", "deep", "nothing"])
        elif operator.endswith("like"):
            one = st.sampled_from(PATTERNS)
        else:
            one = value
        return st.lists(one, max_size=3) if operator in LISTS else st.none() | one

    operators = st.sampled_from(COMPARABLE[column.scalar])
    pair = operators.flatmap(lambda operator: st.tuples(st.just(operator), operand(operator)))
    return st.lists(pair, max_size=2).map(dict)


def _columns(table: Table) -> list[Column]:
    return [column for column in table.columns.values() if column.scalar in COMPARABLE and column.name not in HIDDEN]


def _wheres(table: Table, depth: int) -> st.SearchStrategy[Any]:
    columns = st.sampled_from(_columns(table)).flatmap(
        lambda column: st.tuples(st.just(column.name), _comparison(table, column))
    )
    members: st.SearchStrategy[Any] = columns
    if depth:
        inner = st.deferred(lambda: _wheres(table, depth - 1))
        several = st.lists(inner, max_size=2) | inner
        members = columns | st.one_of(
            st.tuples(st.sampled_from(["_and", "_or"]), several),
            st.tuples(st.just("_not"), inner),
            st.sampled_from(list(table.relationships.values()) or [None]).flatmap(
                lambda relationship: (
                    st.tuples(st.just(relationship.name), _wheres(CATALOG.tables[relationship.target], depth - 1))
                    if relationship
                    else columns
                )
            ),
        )
    return st.lists(members, max_size=3).map(dict)


def _orders(table: Table) -> st.SearchStrategy[list[dict[str, Any]]]:
    # text sorts by the collation of the database, and the order of JSON values is PostgreSQL's own
    unordered = {Scalar.STRING, Scalar.JSONB, Scalar.BOOLEAN}

    def by_column(of: Table) -> st.SearchStrategy[dict[str, Any]]:
        names = [column.name for column in _columns(of) if column.scalar not in unordered]
        return st.dictionaries(st.sampled_from(names), st.sampled_from(DIRECTIONS), min_size=1, max_size=2)

    members = [by_column(table)]
    for relationship in table.relationships.values():
        target = CATALOG.tables[relationship.target]
        if relationship.is_array:
            extremes = st.sampled_from(["max", "min"])
            figures = st.dictionaries(extremes, by_column(target), min_size=1) | st.fixed_dictionaries(
                {"count": st.sampled_from(DIRECTIONS)}
            )
            members.append(st.fixed_dictionaries({f"{relationship.name}_aggregate": figures}))
        else:
            members.append(st.fixed_dictionaries({relationship.name: by_column(target)}))
    return st.lists(st.one_of(members), max_size=2).map(lambda orders: [*orders, {"id": "asc"}])


@st.composite
def _questions(draw: st.DrawFn) -> tuple[str, Any, list[dict[str, Any]], int | None, int | None]:
    name = draw(st.sampled_from(ROOTS))
    table = CATALOG.tables[name]
    where = draw(_wheres(table, 2))
    counts = st.none() | st.integers(0, 8)
    return name, where, draw(_orders(table)), draw(counts), draw(counts)


@pytest.mark.anyio
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(question=_questions(), inline=st.booleans())
async def test_random_questions(asker: Any, question: Any, *, inline: bool) -> None:
    name, where, order_by, limit, offset = question
    given_values = {"where": where, "order_by": order_by, "limit": limit, "offset": offset}
    if inline:
        arguments = ", ".join(f"{key}: {literal(value)}" for key, value in given_values.items())
        data = await asker.ask(f"{{ {name}({arguments}) {{ id }} }}")
    else:
        data = await asker.ask(
            f"""query($where: {name}_bool_exp, $order_by: [{name}_order_by!], $limit: Int, $offset: Int) {{
                {name}(where: $where, order_by: $order_by, limit: $limit, offset: $offset) {{ id }} }}""",
            given_values,
        )
    assert [row["id"] for row in data[name]] == select(name, where, order_by, limit, offset)


ALL_ROOTS = sorted(name for name in CATALOG.tables if name in WORLD)
# the order of these is the same for PostgreSQL and for Python
ORDERED = {Scalar.UUID, Scalar.TIMESTAMPTZ, Scalar.INT}


def _stored(table: Table) -> list[Column]:
    return [column for column in table.columns.values() if column.name in our_rows(table.name)[0]]


def _arguments(table: Table) -> st.SearchStrategy[dict[str, Any]]:
    counts = st.none() | st.integers(0, 8)
    usual = st.fixed_dictionaries(
        {"order_by": _orders(table)}, optional={"where": _wheres(table, 1), "limit": counts, "offset": counts}
    )
    leading = st.sampled_from([column.name for column in _stored(table) if column.scalar in ORDERED])
    distinct = leading.map(lambda name: {"distinct_on": name, "order_by": [{name: "desc"}, {"id": "asc"}]})
    return usual | usual | distinct


@st.composite
def _figures(draw: st.DrawFn, table: Table, depth: int) -> Figures:
    columns = _stored(table)
    # neither values of jsonb nor the collation of text are Python's
    counted = st.sampled_from([column.name for column in columns if column.scalar is not Scalar.JSONB])
    extremes = st.sampled_from([column.name for column in columns if column.scalar in ORDERED])
    wanted: list[st.SearchStrategy[tuple[str, Any]]] = [
        st.tuples(st.just("count"), st.tuples(st.lists(counted, max_size=2, unique=True), st.booleans())),
        st.tuples(st.sampled_from(["max", "min"]), extremes),
    ]
    numbers = [column.name for column in columns if column.scalar is Scalar.INT]
    if numbers:
        wanted.append(st.tuples(st.sampled_from(["sum", "avg", "max", "min"]), st.sampled_from(numbers)))
    nodes = draw(st.none() | _selections(table, 0)) if depth else None
    return Figures(draw(st.lists(st.one_of(wanted), min_size=1, max_size=3)), nodes)


@st.composite
def _selections(draw: st.DrawFn, table: Table, depth: int) -> Selection:
    names = st.sampled_from([column.name for column in _stored(table)])
    fields = [
        Field(name, is_left_out=draw(st.integers(0, 9)) == 0) for name in draw(st.lists(names, min_size=1, max_size=4))
    ]
    relationships = list(table.relationships.values())
    for _ in range(draw(st.integers(0, 2)) if depth and relationships else 0):
        relationship = draw(st.sampled_from(relationships))
        target = CATALOG.tables[relationship.target]
        if not relationship.is_array:
            fields.append(Field(relationship.name, draw(_selections(target, depth - 1))))
        else:
            fields.append(draw(_lists(relationship.name, target, depth - 1)))
    return Selection(table, fields, draw(st.sampled_from(["plain", "inline", "named"])))


@st.composite
def _lists(draw: st.DrawFn, name: str, table: Table, depth: int) -> Field:
    arguments, by_variable = draw(_arguments(table)), draw(st.booleans())
    if draw(st.integers(0, 3)) == 0:
        return Field(f"{name}_aggregate", draw(_figures(table, depth + 1)), arguments, by_variable)
    return Field(name, draw(_selections(table, depth)), arguments, by_variable)


@st.composite
def _operations(draw: st.DrawFn) -> list[Field]:
    names = draw(st.lists(st.sampled_from(ALL_ROOTS), min_size=1, max_size=3))
    return [draw(_lists(name, CATALOG.tables[name], 2)) for name in names]


@pytest.mark.anyio
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(roots=_operations())
async def test_random_operations(asker: Any, roots: list[Field]) -> None:
    writer = Writer()
    text = writer.document(roots)
    data = await asker.ask(text, writer.variables)
    expected = {f"k{index}": value for index, value in enumerate(answer(roots))}
    assert data == expected, text
