"""What can be wrong with a query that GraphQL's own validation cannot see."""

from __future__ import annotations

from typing import Any


class CompileError(Exception):
    """A value in the query cannot be used; the message is one sentence for the person who wrote it.

    `code` is what the answer carries as `extensions.code`; `path` holds response keys from the root to the field.
    """

    code = "BAD_USER_INPUT"

    def __init__(self, message: str, path: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.data: dict[str, Any] = {}


class LimitError(CompileError):
    """The query asks for more than the server is willing to do at once; `data` names the limit and its figure."""

    code = "QUERY_TOO_LARGE"

    def __init__(self, message: str, data: dict[str, Any] | None = None, path: tuple[str, ...] = ()) -> None:
        super().__init__(message, path)
        self.data = data or {}


class TimeLimitError(LimitError):
    """The database did not finish the query in time; the same query would not finish either."""

    code = "QUERY_TIMEOUT"
