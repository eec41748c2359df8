"""The errors of the library, one tree per audience.

`PrefectException` and its children are ordinary errors: what went wrong while talking to the API or loading a flow.
`PrefectSignal` derives from `BaseException` on purpose, so that `except Exception` in a user's task does not swallow
what the engine uses to steer a run.  Nothing here imports anything, so every other module may raise these.
"""

__all__ = [
    "AuthorizationError",
    "ClientError",
    "FlowStorageError",
    "ObjectNotFoundError",
    "PrefectException",
    "PrefectSignal",
    "TaskTimeoutSignal",
    "UnpicklableError",
    "VersionLockMismatchSignal",
]


class PrefectException(Exception):  # noqa: N818 - the name is part of the 1.x API
    """Base class of the library's ordinary errors."""

    def __init__(self, message: object = "") -> None:
        super().__init__(message)


class ClientError(PrefectException):
    """The API refused a request, or could not be understood or reached."""


class ObjectNotFoundError(ClientError):
    """The API has no object with the given id or name."""


class AuthorizationError(ClientError):
    """The API did not accept the credentials that were sent, or none were sent where some are needed."""


class FlowStorageError(PrefectException):
    """A flow could not be written to, found in or loaded from its storage."""


class UnpicklableError(PrefectException, TypeError):
    """Something was to go to another process, or came from one, that cannot be pickled."""


class PrefectSignal(BaseException):
    """Base class of everything that steers the engine rather than reporting an error."""

    def __init__(self, message: object = "") -> None:
        super().__init__(message)


class VersionLockMismatchSignal(PrefectSignal):
    """The API refused a state because another process moved the run on first."""


class TaskTimeoutSignal(PrefectSignal):
    """A task ran longer than its `timeout` allows."""
