"""What is read from a row while the JSON of it is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowstead_server.compiler.conditions import column_sql

if TYPE_CHECKING:
    from flowstead_server.compiler.catalog import Column


@dataclass(slots=True)
class Row:
    """A row that JSON is written from: its alias, the columns that are read from it, and the joins that it needs.

    `times`: how many rows of the answer the cost of the operation counts it for.
    """

    alias: str
    times: int = 1
    columns: dict[str, None] = field(default_factory=dict)
    joins: list[str] = field(default_factory=list)

    def read(self, column: Column) -> str:
        """The SQL that reads a column, which the row then has to provide."""
        for name in column.depends_on or (column.name,):
            self.columns[name] = None
        return column_sql(column, self.alias)
