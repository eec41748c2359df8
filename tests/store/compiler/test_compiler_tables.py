"""Every table, column and relationship of the catalog exists, and answers what is stored."""

from typing import Any

import asyncpg
import pytest
from compiler_world import THEIRS, WORLD, identity, our_rows

from flowstead_server.compiler.catalog import CATALOG, Table

TABLES = sorted(name for name, table in CATALOG.tables.items() if table.relation is None)


def _columns(table: Table) -> str:
    return " ".join(table.columns)


@pytest.mark.parametrize("name", TABLES)
async def test_all_columns_answer_what_is_stored(asker: Any, name: str) -> None:
    table = CATALOG.tables[name]
    answer = await asker.ask(f"{{ {name}(order_by: {{id: asc}}) {{ {_columns(table)} }} }}")
    expected = sorted(our_rows(name), key=lambda row: row["id"])
    assert len(answer[name]) == len(expected) > 0
    for got, row in zip(answer[name], expected, strict=True):
        stored = {column: value for column, value in got.items() if column != "heartbeat" or name == "task_run"}
        assert stored == {column: row[column] for column in stored}
        assert list(got) == list(table.columns)


@pytest.mark.parametrize("name", TABLES)
async def test_all_relationships_lead_to_rows_of_their_table(asker: Any, name: str) -> None:
    table = CATALOG.tables[name]
    fields = [f"{relationship} {{ __typename id }}" for relationship in table.relationships]
    fields += [
        f"{relationship.name}_aggregate {{ aggregate {{ count }} nodes {{ id }} }}"
        for relationship in table.relationships.values()
        if relationship.is_array
    ]
    answer = await asker.ask(f"{{ {name} {{ id {' '.join(fields)} }} }}")
    by_id = {row["id"]: row for row in our_rows(name)}
    for got in answer[name]:
        for relationship in table.relationships.values():
            ((local, remote),) = relationship.join
            related = [row["id"] for row in our_rows(relationship.target) if row[remote] == by_id[got["id"]][local]]
            if relationship.is_array:
                assert sorted(one["id"] for one in got[relationship.name]) == sorted(related)
                assert got[f"{relationship.name}_aggregate"]["aggregate"]["count"] == len(related)
                assert len(got[f"{relationship.name}_aggregate"]["nodes"]) == len(related)
            else:
                assert [got[relationship.name]["id"]] == related if related else got[relationship.name] is None


@pytest.mark.parametrize("name", TABLES)
async def test_by_primary_key_and_figures(asker: Any, name: str) -> None:
    table = CATALOG.tables[name]
    row = our_rows(name)[0]
    ordered = " ".join(column.name for column in table.ordered_columns)
    numeric = " ".join(column.name for column in table.numeric_columns)
    statistics = ["avg", "stddev", "stddev_pop", "stddev_samp", "sum", "var_pop", "var_samp", "variance"]
    figures = [f"max {{ {ordered} }}", f"min {{ {ordered} }}"]
    figures += [f"{function} {{ {numeric} }}" for function in statistics if numeric]
    answer = await asker.ask(
        f"query($id: uuid!) {{ {name}_by_pk(id: $id) {{ id }} "
        f"{name}_aggregate {{ aggregate {{ count {' '.join(figures)} }} }} }}",
        {"id": row["id"]},
    )
    assert answer[f"{name}_by_pk"] == {"id": row["id"]}
    aggregate = answer[f"{name}_aggregate"]["aggregate"]
    rows = our_rows(name)
    assert aggregate["count"] == len(rows)
    for column in (column for column in table.ordered_columns if column.expression is None):
        values = [stored[column.name] for stored in rows if stored[column.name] is not None]
        assert aggregate["max"][column.name] == (max(values) if values else None)
        assert aggregate["min"][column.name] == (min(values) if values else None)
    for column in table.numeric_columns:
        values = [stored[column.name] for stored in rows if stored[column.name] is not None]
        assert aggregate["sum"][column.name] == (sum(values) if values else None)
        assert aggregate["avg"][column.name] == (pytest.approx(sum(values) / len(values)) if values else None)


@pytest.mark.parametrize("name", TABLES)
async def test_another_tenant_sees_nothing_of_ours(asker: Any, name: str) -> None:
    theirs = asker.as_tenant(THEIRS)
    key = "id" if name == "tenant" else "tenant_id"
    ours = our_rows(name)[0]["id"]
    answer = await theirs.ask(
        f"query($id: uuid!, $ids: [uuid!]) {{ all: {name} {{ {key} }} one: {name}_by_pk(id: $id) {{ id }} "
        f"some: {name}(where: {{_or: [{{id: {{_in: $ids}}}}, {{{key}: {{_eq: $id}}}}]}}) {{ id }} "
        f"{name}_aggregate(where: {{id: {{_in: $ids}}}}) {{ aggregate {{ count max {{ id }} }} nodes {{ id }} }} }}",
        {"id": ours, "ids": [row["id"] for row in our_rows(name)]},
    )
    assert {row[key] for row in answer["all"]} == {THEIRS}
    assert len(answer["all"]) == len(WORLD[name]) - len(our_rows(name))
    assert answer["one"] is None
    assert answer["some"] == []
    assert answer[f"{name}_aggregate"] == {"aggregate": {"count": 0, "max": {"id": None}}, "nodes": []}


async def test_the_tenant_holds_for_related_rows_too(asker: Any, world_dsn: str) -> None:
    """A row that wrongly refers to another tenant's row still does not show it."""
    connection = await asyncpg.connect(world_dsn)
    await connection.execute("set session_replication_role = replica")
    await connection.execute(
        "update agent set agent_config_id = $1::text::uuid where id = $2::text::uuid",
        identity("theirs config"),
        identity("ours agent 1"),
    )
    try:
        answer = await asker.ask("{ agent { agent_config_id agent_config { id } } agent_config { agents { id } } }")
        hidden = await asker.ask("{ agent(where: {agent_config: {}}) { id } }")
        theirs = await asker.as_tenant(THEIRS).ask("{ agent_config { agents { tenant_id } } }")
    finally:
        await connection.execute(
            "update agent set agent_config_id = $1::text::uuid where id = $2::text::uuid",
            identity("ours config"),
            identity("ours agent 1"),
        )
        await connection.close()
    assert answer == {
        "agent": [{"agent_config_id": identity("theirs config"), "agent_config": None}],
        "agent_config": [{"agents": []}],
    }
    assert hidden == {"agent": []}
    assert {agent["tenant_id"] for row in theirs["agent_config"] for agent in row["agents"]} == {THEIRS}
