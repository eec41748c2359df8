"""What can be wrong with a query that GraphQL's own validation cannot see."""

from __future__ import annotations


class CompileError(Exception):
    """A value in the query cannot be used; the message is one sentence for the person who wrote it.

    `code` is what the answer carries as `extensions.code`; `path` holds response keys from the root to the field.
    """

    code = "BAD_USER_INPUT"

    def __init__(self, message: str, path: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


class LimitError(CompileError):
    """The query asks for more than the server is willing to do at once."""

    code = "QUERY_TOO_LARGE"
