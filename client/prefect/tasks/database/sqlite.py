"""Queries and scripts on SQLite files; every argument may also be given when the task is called."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from prefect.core.task import Task
from prefect.utilities.tasks import defaults_from_attrs

__all__ = ["SQLiteQuery", "SQLiteScript"]


def _required(value: str | None, name: str) -> str:
    if not value:
        raise ValueError(f"A {name} must be provided.")
    return value


class SQLiteQuery(Task):
    """Executes one statement on the file `db`, with `data` for its placeholders."""

    def __init__(
        self, db: str | None = None, query: str | None = None, data: Sequence[Any] = (), **kwargs: Any
    ) -> None:
        self.db = db
        self.query = query
        self.data = data
        super().__init__(**kwargs)

    @defaults_from_attrs("db", "query", "data")
    def run(self, db: str | None = None, query: str | None = None, data: Sequence[Any] = ()) -> list[Any]:
        """Return the rows, and commit what the statement changed; raises `sqlite3.Error`."""
        with closing(sqlite3.connect(_required(db, "database"))) as connection, connection:
            return connection.execute(_required(query, "query"), data).fetchall()


class SQLiteScript(Task):
    """Executes several statements on the file `db`."""

    def __init__(self, db: str | None = None, script: str | None = None, **kwargs: Any) -> None:
        self.db = db
        self.script = script
        super().__init__(**kwargs)

    @defaults_from_attrs("db", "script")
    def run(self, db: str | None = None, script: str | None = None) -> None:
        """Execute and commit them; raises `sqlite3.Error`."""
        with closing(sqlite3.connect(_required(db, "database"))) as connection, connection:
            connection.executescript(_required(script, "script"))
