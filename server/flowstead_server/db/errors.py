"""PostgreSQL's and the driver's errors as errors of the domain."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import asyncpg

from flowstead_server.domain.errors import (
    ApiUnavailableError,
    BadInputError,
    ConflictError,
    DatabaseLimitError,
    FlowsteadError,
    ForeignKeyViolationError,
    StatementTimeoutError,
    UniquenessViolationError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONFLICTS: Final = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.LockNotAvailableError)
_LOST: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    OSError,
    asyncio.TimeoutError,
)
_BAD_VALUES: Final = (
    asyncpg.DataError,
    asyncpg.CheckViolationError,
    asyncpg.NotNullViolationError,
)


def translate(error: BaseException) -> FlowsteadError | None:
    """Return what the caller of a verb is told instead, or null for an error that is a defect of ours."""
    translated: FlowsteadError | None = None
    if isinstance(error, asyncpg.UniqueViolationError):
        translated = UniquenessViolationError(error.constraint_name)
    elif isinstance(error, asyncpg.ForeignKeyViolationError):
        translated = ForeignKeyViolationError(error.constraint_name)
    elif isinstance(error, _CONFLICTS):
        translated = ConflictError("The database is busy with conflicting changes; please try again.")
    elif isinstance(error, asyncpg.QueryCanceledError):
        translated = StatementTimeoutError("The database took too long to answer and the statement was stopped.")
    elif isinstance(error, asyncpg.ProgramLimitExceededError):
        translated = DatabaseLimitError(_first_line(error))
    elif isinstance(error, _BAD_VALUES):
        translated = BadInputError(f"A value cannot be stored: {_first_line(error)}.")
    elif isinstance(error, _LOST) or _is_closed(error):
        translated = ApiUnavailableError("Unable to connect to postgres.")
    return translated


def _is_closed(error: BaseException) -> bool:
    # the driver has one class for connections and pools that are closed and for misuse, which is a defect of ours
    return isinstance(error, asyncpg.InterfaceError) and "clos" in str(error)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise errors of the driver as errors of the domain; others pass."""
    try:
        yield
    except FlowsteadError:
        raise
    except Exception as error:
        translated = translate(error)
        if translated is None:
            raise
        raise translated from error


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
