"""The catalog agrees with itself and with the types of the schema."""

from types import MappingProxyType

import pytest
from graphql import GraphQLInputObjectType, GraphQLObjectType, GraphQLSchema, get_named_type, is_non_null_type

from flowstead_server.api.schema import api_schema
from flowstead_server.compiler.catalog import CATALOG, Catalog, CatalogError, Column, Relationship, Scalar
from flowstead_server.compiler.catalog.model import identified, table, to_many, to_one

STORED = [name for name, described in CATALOG.tables.items() if described.relation is None]
COLUMN = Column("name", Scalar.STRING, "A name.")


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return api_schema()._schema


def _catalog(*relationships: Relationship) -> Catalog:
    tables = (
        table("author", "Who writes.", identified("author", COLUMN), relationships),
        table("book", "What is written.", identified("book", Column("author_id", Scalar.UUID, "Its author."))),
    )
    return Catalog(MappingProxyType({one.name: one for one in tables}))


def test_a_catalog_knows_what_arrays_lead_to() -> None:
    catalog = _catalog(to_many("books", "book", "author_id", "The books."))
    assert catalog.array_targets == {"book"}


@pytest.mark.parametrize(
    ("relationship", "message"),
    [
        (to_one("editor", "editor", "id", "No such table."), "author.editor leads to the unknown table editor"),
        (to_one("book", "book", "book_id", "No such column."), "author.book joins unknown columns book_id, id"),
        (to_many("books", "book", "writer_id", "No such column."), "author.books joins unknown columns id, writer_id"),
        (to_one("name", "book", "id", "Taken."), "author.name has the name of a column"),
    ],
)
def test_a_contradiction_is_refused(relationship: Relationship, message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        _catalog(relationship)


def test_the_tables_of_the_wire_are_there() -> None:
    # of the 1.x server, of Prefect Cloud, and ours: cloud_hook_delivery
    assert len(STORED) == 16 + 4 + 1
    assert set(CATALOG.tables) - set(STORED) == {"utility_traversal"}
    assert list(CATALOG.tables) == sorted(CATALOG.tables)


@pytest.mark.parametrize("name", sorted(CATALOG.tables))
def test_rows_have_exactly_the_members_of_the_catalog(schema: GraphQLSchema, name: str) -> None:
    described = CATALOG.tables[name]
    row = schema.type_map[name]
    assert isinstance(row, GraphQLObjectType)
    members = list(described.columns)
    for relationship in described.relationships.values():
        members += [relationship.name, f"{relationship.name}_aggregate"][: 2 if relationship.is_array else 1]
    assert list(row.fields) == members
    for column in described.columns.values():
        of = row.fields[column.name].type
        assert get_named_type(of).name == column.scalar.value
        assert is_non_null_type(of) is not column.nullable
        assert list(row.fields[column.name].args) == (["path"] if column.scalar is Scalar.JSONB else [])


@pytest.mark.parametrize("name", sorted(CATALOG.tables))
def test_roots_take_the_arguments_of_the_wire(schema: GraphQLSchema, name: str) -> None:
    roots = schema.query_type.fields
    several = {
        "distinct_on": f"[{name}_select_column!]",
        "limit": "Int",
        "offset": "Int",
        "order_by": f"[{name}_order_by!]",
        "where": f"{name}_bool_exp",
    }
    assert {key: str(argument.type) for key, argument in roots[name].args.items()} == several
    assert {key: str(argument.type) for key, argument in roots[f"{name}_aggregate"].args.items()} == several
    assert str(roots[name].type) == f"[{name}!]!"
    assert str(roots[f"{name}_aggregate"].type) == f"{name}_aggregate!"
    if name not in STORED:
        assert f"{name}_by_pk" not in roots
        return
    assert {key: str(argument.type) for key, argument in roots[f"{name}_by_pk"].args.items()} == {"id": "uuid!"}
    assert str(roots[f"{name}_by_pk"].type) == name


@pytest.mark.parametrize("name", sorted(CATALOG.tables))
def test_conditions_and_orders_have_every_column_and_relationship(schema: GraphQLSchema, name: str) -> None:
    described = CATALOG.tables[name]
    where, order = schema.type_map[f"{name}_bool_exp"], schema.type_map[f"{name}_order_by"]
    assert isinstance(where, GraphQLInputObjectType)
    assert isinstance(order, GraphQLInputObjectType)
    assert set(where.fields) == {"_and", "_or", "_not", *described.columns, *described.relationships}
    sorted_by = {
        f"{relationship.name}_aggregate" if relationship.is_array else relationship.name
        for relationship in described.relationships.values()
    }
    assert set(order.fields) == {*described.columns, *sorted_by}
    columns = schema.type_map[f"{name}_select_column"]
    assert list(columns.values) == list(described.columns)


def test_comparisons_have_the_operators_of_the_wire(schema: GraphQLSchema) -> None:
    common = {"_eq", "_neq", "_gt", "_gte", "_lt", "_lte", "_in", "_nin", "_is_null"}
    text = {"_like", "_nlike", "_ilike", "_nilike", "_similar", "_nsimilar", "_regex", "_nregex", "_iregex", "_niregex"}
    jsonb = {"_contains", "_contained_in", "_has_key", "_has_keys_any", "_has_keys_all", "_cast"}
    expected = {"String": common | text, "jsonb": common | jsonb}
    for scalar in ("uuid", "timestamptz", "Int", "Boolean", "interval", "String", "jsonb"):
        fields = schema.type_map[f"{scalar}_comparison_exp"].fields
        assert set(fields) == expected.get(scalar, common)


def test_everything_is_described(schema: GraphQLSchema) -> None:
    silent: list[str] = []
    for name, of in schema.type_map.items():
        if name.startswith("__") or name in {"String", "Int", "Float", "Boolean", "ID"}:
            continue
        if not of.description:
            silent.append(name)
        for key, member in getattr(of, "fields", getattr(of, "values", {})).items():
            if not member.description:
                silent.append(f"{name}.{key}")
            silent += [f"{name}.{key}({a})" for a, it in getattr(member, "args", {}).items() if not it.description]
    assert silent == []
