"""The tables of the query API as data: the only place that SQL identifiers of compiled statements come from.

Import `CATALOG`. It is checked when it is imported: a contradiction raises `CatalogError` at start, never later.
"""

from __future__ import annotations

from types import MappingProxyType

from flowstead_server.compiler.catalog import cloud, fleet, flows, runs, traversal
from flowstead_server.compiler.catalog.model import (
    Catalog,
    CatalogError,
    Column,
    Function,
    Marks,
    Relationship,
    Scalar,
    Table,
)

__all__ = ["CATALOG", "Catalog", "CatalogError", "Column", "Function", "Marks", "Relationship", "Scalar", "Table"]

CATALOG = Catalog(
    MappingProxyType(
        {
            table.name: table
            for table in sorted(
                (*flows.TABLES, *runs.TABLES, *fleet.TABLES, *cloud.TABLES, traversal.UTILITY_TRAVERSAL),
                key=lambda table: table.name,
            )
        }
    ),
    MappingProxyType({function.name: function for function in traversal.FUNCTIONS}),
)
