"""Named statements in `.sql` files."""

import pytest

from flowstead_server.db.database import redacted
from flowstead_server.db.statements import Statements, load_statements, parse_statements


def test_statements_are_split_by_name_and_lose_comments() -> None:
    text = "-- about the file\n-- name: one\n-- why\nselect 1;\n\n-- name: two\nselect\n    -- inside\n    2\n"
    assert parse_statements(text, "x.sql") == {"one": "/* one */ select 1", "two": "/* two */ select\n    2"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [("-- name: a\nselect 1\n-- name: a\nselect 2", "comes twice"), ("-- name: a\n-- name: b\nselect 1", "is empty")],
)
def test_doubled_and_empty_names_are_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_statements(text, "x.sql")


def test_unknown_name_says_the_file() -> None:
    with pytest.raises(KeyError, match=r"x\.sql has no statement named b"):
        Statements("x.sql", {"a": "select 1"})["b"]


def test_every_statement_file_of_the_store_loads() -> None:
    for name in (
        "agents",
        "artifacts",
        "cloud",
        "deletions",
        "events",
        "flow_groups",
        "flow_runs",
        "flows",
        "hooks",
        "label_sets",
        "limits",
        "logs",
        "messages",
        "queue",
        "states",
        "task_runs",
    ):
        assert len(load_statements("flowstead_server.store", f"{name}.sql")) > 0


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        ("postgresql://me:secret@db:5432/x?sslmode=require", "postgresql://me:…@db:5432/x?sslmode=require"),
        ("postgresql://me@db/x", "postgresql://me@db/x"),
        ("postgresql://[half", "(unreadable URL)"),
    ],
)
def test_passwords_are_not_repeated(dsn: str, shown: str) -> None:
    assert redacted(dsn) == shown
