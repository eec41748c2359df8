"""Tasks on databases that need nothing but Python; they raise what the driver says."""

from prefect.tasks.database.sqlite import SQLiteQuery, SQLiteScript

__all__ = ["SQLiteQuery", "SQLiteScript"]
