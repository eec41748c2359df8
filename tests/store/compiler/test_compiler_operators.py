"""Every operator of every column, and every order by figures of related rows, is SQL that PostgreSQL understands."""

import statistics
from typing import Any

import pytest
from compiler_world import our_rows

from flowstead_server.api.types.tables import EXTREMES, STATISTICS
from flowstead_server.compiler.catalog import CATALOG, Column, Scalar, Table

COMMON = ["_eq", "_neq", "_gt", "_gte", "_lt", "_lte"]
PATTERNS = ["_like", "_nlike", "_ilike", "_nilike", "_similar", "_nsimilar", "_regex", "_nregex", "_iregex", "_niregex"]
VALUES: dict[Scalar, str] = {
    Scalar.UUID: '"00000000-0000-0000-0000-000000000001"',
    Scalar.TIMESTAMPTZ: '"2026-03-01T00:00:00"',
    Scalar.JSONB: '{a: ["b", 1, null], c: {d: true}}',
    Scalar.INTERVAL: '"00:01:02"',
    Scalar.STRING: '"ab_c%"',
    Scalar.INT: "1",
    Scalar.BOOLEAN: "true",
}


def _comparisons(column: Column) -> list[str]:
    value = VALUES[column.scalar]
    found = [f"{{{operator}: {value}}}" for operator in COMMON]
    found += [f"{{_in: [{value}, {value}]}}", f"{{_nin: [{value}]}}", f"{{_in: {value}}}", "{_in: []}", "{_nin: []}"]
    found += ["{_is_null: true}", "{_is_null: false}", "{}", "{_eq: null, _in: null, _is_null: null}"]
    if column.scalar is Scalar.STRING:
        found += [f"{{{operator}: {value}}}" for operator in PATTERNS]
    if column.scalar is Scalar.JSONB:
        found += [f"{{{operator}: {value}}}" for operator in ("_contains", "_contained_in")]
        found += ['{_has_key: "a"}', '{_has_keys_any: ["a", "b"]}', '{_has_keys_all: "a"}', "{_has_keys_any: []}"]
        found += [f'{{_cast: {{String: {{{operator}: "x"}}}}}}' for operator in [*COMMON, *PATTERNS]]
        found += ['{_cast: {String: {_in: ["x"], _is_null: false}}}', "{_cast: null}", "{_cast: {}}"]
    return found


@pytest.mark.parametrize("name", sorted(CATALOG.tables))
async def test_every_operator_of_every_column(asker: Any, name: str) -> None:
    table = CATALOG.tables[name]
    for column in table.columns.values():
        fields = [
            f"a{number}: {name}(where: {{{column.name}: {comparison}}}) {{ {column.name} }}"
            f" n{number}: {name}(where: {{_not: {{{column.name}: {comparison}}}}}) {{ {column.name} }}"
            for number, comparison in enumerate(_comparisons(column))
        ]
        data = await asker.ask(f"{{ all: {name} {{ __typename }} {' '.join(fields)} }}")
        rows = len(data["all"])
        for number in range(len(fields)):
            # unknown is neither true nor false
            assert len(data[f"a{number}"]) + len(data[f"n{number}"]) <= rows
        values = data["a11"] + data["a12"]
        assert len(values) == rows, "each row is null or not"


def _orders(table: Table) -> list[str]:
    found: list[str] = []
    for relationship in (one for one in table.relationships.values() if one.is_array):
        target = CATALOG.tables[relationship.target]
        found.append(f"{{{relationship.name}_aggregate: {{count: desc}}}}")
        for functions, columns in ((EXTREMES, target.ordered_columns), (STATISTICS, target.numeric_columns)):
            found += [
                f"{{{relationship.name}_aggregate: {{{function}: {{{column.name}: asc_nulls_first}}}}}}"
                for function in functions
                for column in columns
            ]
    return found


@pytest.mark.parametrize("name", sorted(name for name, table in CATALOG.tables.items() if _orders(table)))
async def test_every_order_by_figures(asker: Any, name: str) -> None:
    orders = _orders(CATALOG.tables[name])
    for start in range(0, len(orders), 100):
        fields = [f"a{n}: {name}(order_by: {order}) {{ id }}" for n, order in enumerate(orders[start : start + 100])]
        data = await asker.ask(f"{{ {' '.join(fields)} }}")
        assert all(len(rows) == len(our_rows(name)) for rows in data.values())


@pytest.mark.parametrize(
    ("function", "figure"),
    [
        ("sum", sum),
        ("avg", statistics.fmean),
        ("stddev_pop", statistics.pstdev),
        ("var_pop", statistics.pvariance),
        ("stddev", lambda values: statistics.stdev(values) if len(values) > 1 else None),
        ("variance", lambda values: statistics.variance(values) if len(values) > 1 else None),
    ],
)
async def test_orders_by_statistics(asker: Any, function: str, figure: Any) -> None:
    order = f"{{task_runs_aggregate: {{{function}: {{map_index: desc_nulls_last}}}}}}"
    data = await asker.ask(
        f"{{ flow_run(order_by: {order}) {{ id task_runs_aggregate "
        f"{{ aggregate {{ {function} {{ map_index }} }} nodes {{ map_index }} }} }} }}"
    )
    found = []
    for row in data["flow_run"]:
        indexes = [one["map_index"] for one in row["task_runs_aggregate"]["nodes"]]
        expected = figure(indexes) if indexes else None
        value = row["task_runs_aggregate"]["aggregate"][function]["map_index"]
        assert value == (None if expected is None else pytest.approx(expected))
        found.append(value)
    present = [value for value in found if value is not None]
    assert found == sorted(present, reverse=True) + [None] * (len(found) - len(present))
