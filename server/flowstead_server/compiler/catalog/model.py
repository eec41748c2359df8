"""What a table of the query API is made of: columns, relationships and their SQL, as data.

The catalog is the only source of SQL identifiers in a compiled statement: nothing that a client wrote ever becomes
one. Everything here is frozen and built once at import. A catalog that contradicts itself (a relationship to an
unknown table or column) raises `CatalogError` when it is assembled, never while a query is answered.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum, unique
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class CatalogError(Exception):
    """The table descriptions contradict each other; a mistake in the program, not in a query."""


@unique
class Scalar(Enum):
    """A scalar of the query API; the value is its GraphQL name."""

    UUID = "uuid"
    TIMESTAMPTZ = "timestamptz"
    JSONB = "jsonb"
    INTERVAL = "interval"
    STRING = "String"
    INT = "Int"
    FLOAT = "Float"
    BOOLEAN = "Boolean"

    @property
    def postgres(self) -> str:
        """The PostgreSQL type that bind parameters of this scalar are cast to."""
        return _POSTGRES[self]

    @property
    def is_ordered(self) -> bool:
        """Whether `max` and `min` exist for columns of this scalar."""
        return self not in {Scalar.JSONB, Scalar.BOOLEAN}

    @property
    def is_numeric(self) -> bool:
        """Whether `sum`, `avg` and the other statistics exist for columns of this scalar."""
        return self in {Scalar.INT, Scalar.FLOAT}


_POSTGRES = {
    Scalar.UUID: "uuid",
    Scalar.TIMESTAMPTZ: "timestamptz",
    Scalar.JSONB: "jsonb",
    Scalar.INTERVAL: "interval",
    Scalar.STRING: "text",
    Scalar.INT: "integer",
    Scalar.FLOAT: "double precision",
    Scalar.BOOLEAN: "boolean",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    `expression` is SQL for a computed column, with `{row}` where the alias of the table's row goes and `{tenant}`
    where the caller's tenant goes; without it the column is stored under its own name. `is_hashed`: a text that may be
    too long for an index, which holds its hash instead.
    """

    name: str
    scalar: Scalar
    description: str
    nullable: bool = True
    expression: str | None = None
    depends_on: tuple[str, ...] = ()
    is_hashed: bool = False


@dataclass(frozen=True, slots=True)
class Relationship:
    """A way from a row to the row (object) or rows (array) of another table.

    `join` pairs a column of this table with a column of the target. `condition` is extra SQL with `{row}` and
    `{related}`; it may only say what is true anyway (it exists so that PostgreSQL can skip partitions).
    `condition_columns` names the columns of this table that the condition reads.
    """

    name: str
    target: str
    join: tuple[tuple[str, str], ...]
    description: str
    is_array: bool = False
    nullable: bool = True
    condition: str | None = None
    condition_columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Marks:
    """Rows whose `column` has one of `values` keep copies of columns, which are null in all other rows.

    Indexes hold the copies: an index on `column` itself would have to be written whenever it changes. `copies` has the
    name of each copied column, `column` among them, and that of its copy.
    """

    column: str
    values: frozenset[str]
    copies: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the query API. `tenant_column` is the column that the caller's tenant is compared with.

    `relation` is the SQL of a subquery to read from where the table is not a stored one.
    """

    name: str
    description: str
    columns: Mapping[str, Column]
    relationships: Mapping[str, Relationship]
    primary_key: tuple[str, ...] = ("id",)
    tenant_column: str = "tenant_id"
    relation: str | None = None
    marks: Marks | None = None

    def of_marked_rows(self) -> Table:
        """The same table, with columns read from their copies; right for marked rows only."""
        if self.marks is None:
            return self
        copied = {
            name: replace(self.columns[name], expression=f"{{row}}.{copy}") for name, copy in self.marks.copies.items()
        }
        return replace(self, columns=MappingProxyType({**self.columns, **copied}), marks=None)

    @property
    def ordered_columns(self) -> list[Column]:
        """Columns that have `max` and `min`."""
        return [column for column in self.columns.values() if column.scalar.is_ordered]

    @property
    def numeric_columns(self) -> list[Column]:
        """Columns that have `sum`, `avg` and the other statistics."""
        return [column for column in self.columns.values() if column.scalar.is_numeric]


@dataclass(frozen=True, slots=True)
class Function:
    """A root field whose rows are computed; `target` is the table that describes them.

    `relation` is the SQL of a subquery with `{tenant}` and the names of `arguments` where their values go; an argument
    that is not given has the value in `defaults`, or is null.
    """

    name: str
    target: str
    description: str
    arguments: tuple[Column, ...]
    relation: str
    defaults: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every table and every function by name.

    Raises:
        CatalogError: a relationship names an unknown table or column, or two members of a table share a name.
    """

    tables: Mapping[str, Table]
    functions: Mapping[str, Function] = field(default_factory=dict)
    array_targets: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        for table in self.tables.values():
            self._check(table)
        for function in self.functions.values():
            if function.target not in self.tables:
                raise CatalogError(f"{function.name} answers with the unknown table {function.target}")
        targets = frozenset(
            relationship.target
            for table in self.tables.values()
            for relationship in table.relationships.values()
            if relationship.is_array
        )
        object.__setattr__(self, "array_targets", targets)

    def _check(self, table: Table) -> None:
        if table.marks is not None and not table.columns.keys() >= {table.marks.column, *table.marks.copies}:
            raise CatalogError(f"{table.name} marks rows by unknown columns")
        for relationship in table.relationships.values():
            target = self.tables.get(relationship.target)
            where = f"{table.name}.{relationship.name}"
            if target is None:
                raise CatalogError(f"{where} leads to the unknown table {relationship.target}")
            if relationship.name in table.columns:
                raise CatalogError(f"{where} has the name of a column")
            for local, remote in relationship.join:
                if local not in table.columns or remote not in target.columns:
                    raise CatalogError(f"{where} joins unknown columns {local}, {remote}")


def table(
    name: str,
    description: str,
    columns: Iterable[Column],
    relationships: Iterable[Relationship] = (),
    tenant_column: str = "tenant_id",
    marks: Marks | None = None,
) -> Table:
    """Build a table from its parts, keeping the order in which they are written."""
    return Table(
        name=name,
        description=description,
        columns=MappingProxyType({column.name: column for column in columns}),
        relationships=MappingProxyType({relationship.name: relationship for relationship in relationships}),
        tenant_column=tenant_column,
        marks=marks,
    )


def identified(noun: str, *columns: Column) -> list[Column]:
    """The columns that every table has (`id`, `created`, `updated`), around a table's own ones."""
    return [
        Column("id", Scalar.UUID, f"Identifies the {noun}.", nullable=False),
        Column("created", Scalar.TIMESTAMPTZ, f"When the {noun} was stored.", nullable=False),
        Column("updated", Scalar.TIMESTAMPTZ, f"When the {noun} was last changed.", nullable=False),
        Column("tenant_id", Scalar.UUID, f"The tenant that the {noun} belongs to."),
        *columns,
    ]


def to_one(name: str, target: str, local: str, description: str, *, nullable: bool = True) -> Relationship:
    """An object relationship: `local` holds the id of one row of `target`."""
    return Relationship(name, target, ((local, "id"),), description, nullable=nullable)


def to_many(name: str, target: str, remote: str, description: str) -> Relationship:
    """An array relationship: rows of `target` hold this row's id in `remote`."""
    return Relationship(name, target, (("id", remote),), description, is_array=True)


def logs_of(noun: str, remote: str) -> Relationship:
    """The log lines of a run: none is older than the run, which lets PostgreSQL skip the older day partitions.

    The hour allows for a clock that was set back between the two.
    """
    return Relationship(
        "logs",
        "log",
        (("id", remote),),
        f"Log lines of the {noun}.",
        is_array=True,
        condition="{related}.created >= {row}.created - interval '1 hour'",
        condition_columns=("created",),
    )
