"""The one error tree of the server: each error carries its code and data, and its text is one sentence for a person.

`code` goes out as `extensions.code`; texts that 1.x clients match on are fixed here. Errors are translated at the edges
only: the database's in `flowstead_server.db.errors`, ours to GraphQL in `flowstead_server.api`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from uuid import UUID


class FlowsteadError(Exception):
    """Something that a caller may be told as it is. `retryable`: the same call may succeed later, unchanged."""

    code: ClassVar[str] = "INTERNAL_SERVER_ERROR"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotFoundError(FlowsteadError):
    """What the caller names does not exist, or not in the caller's tenant (the two are not told apart)."""

    code = "NOT_FOUND"


class BadInputError(FlowsteadError):
    """A value that no state of the database would make right."""

    code = "BAD_USER_INPUT"


class DatabaseLimitError(BadInputError):
    """A value, or a query, that is too large or too complex for the database; `reason` is what it said."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"A value cannot be stored: {reason}.")
        self.reason = reason


class UnauthenticatedError(FlowsteadError):
    """Who asks is not known; 1.x clients look for the code in the text of an answer's errors."""

    code = "UNAUTHENTICATED"


class PayloadTooLargeError(BadInputError):
    """A value beyond a size limit; `limit` in bytes."""

    def __init__(self, message: str, limit: int) -> None:
        super().__init__(message)
        self.limit = limit


class UniquenessViolationError(FlowsteadError):
    """A row with this key exists; `constraint` names the key if it is known. The text is matched on by 1.x clients."""

    code = "UNIQUENESS_VIOLATION"

    def __init__(self, constraint: str | None = None) -> None:
        super().__init__("Uniqueness violation.")
        self.constraint = constraint


class ForeignKeyViolationError(FlowsteadError):
    """A row that is referred to does not exist."""

    code = "FOREIGN_KEY_VIOLATION"

    def __init__(self, constraint: str | None = None) -> None:
        super().__init__("Foreign key violation.")
        self.constraint = constraint


class StateUpdateFailedError(FlowsteadError):
    """A state that may not follow the stored one for reasons that a 1.4.1 agent expects and gives up on silently."""

    code = "STATE_UPDATE_FAILED"


class StaleWriteError(FlowsteadError):
    """A write by a copy of a run that is not the current one, or of a state that can only come from a stale copy.

    `run_id` is the flow run (or task run) that was left as it was.
    """

    code = "VERSION_LOCKING_ERROR"

    def __init__(self, message: str, run_id: UUID) -> None:
        super().__init__(message)
        self.run_id = run_id


class ApiUnavailableError(FlowsteadError):
    """The server cannot answer now; nothing was stored, or the same request may be sent again without harm."""

    code = "API_ERROR"
    retryable = True


class StatementTimeoutError(ApiUnavailableError):
    """The database stopped a statement that took too long. A write may pass when less is going on beside it."""


class ConflictError(ApiUnavailableError):
    """The database gave up on one of two transactions that waited for each other; ours is to be run again."""


class StartupError(FlowsteadError):
    """The server cannot start; the text says what is wrong, with which value, and what to do."""

    code = "STARTUP_FAILED"


class DatabaseAwayError(StartupError):
    """The server cannot start now, because the database does not answer; it may later, with the same settings."""

    retryable = True
