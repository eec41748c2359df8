"""The caller's tenant: the one place that writes FROM, so that no table is ever read outside of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowstead_server.compiler.catalog import Table

TENANT = "$1::uuid"
"""The caller's tenant is the first argument of every statement."""


def source(table: Table, alias: str, conditions: Iterable[str] = (), joins: Iterable[str] = ()) -> str:
    """FROM and WHERE of a read of `table`: the tenant's rows for which all conditions hold."""
    scoped = [f"{alias}.{table.tenant_column} = {TENANT}", *conditions]
    return " ".join([f"FROM {table.relation or table.name} AS {alias}", *joins, "WHERE", " AND ".join(scoped)])
