"""What can go wrong between this process and the API: children of `prefect.exceptions.ClientError`, carrying data.

The text of each is one sentence for a user: what is wrong, with which value, and what to do.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from prefect.exceptions import AuthorizationError, ClientError, ObjectNotFoundError, VersionLockMismatchSignal

__all__ = [
    "ApiError",
    "ApiUnreachable",
    "AuthorizationApiError",
    "MalformedAnswerError",
    "NotFoundApiError",
    "RequestTooLargeError",
    "SubscriptionLost",
    "SubscriptionsUnavailable",
    "error_from_answer",
]


class ApiError(ClientError):
    """The API answered with errors; `errors` holds them as they came, `status` is the HTTP status.

    `str` joins their messages.
    """

    def __init__(self, errors: Sequence[Mapping[str, Any]], message: str | None = None, *, status: int = 200) -> None:
        self.errors = [dict(error) for error in errors]
        self.status = status
        super().__init__(message or "; ".join(str(error.get("message", error)) for error in self.errors))

    @property
    def code(self) -> str | None:
        """The `extensions.code` of the first error, if it has one."""
        return _code(self.errors[0]) if self.errors else None

    def __reduce__(self) -> Any:
        return (type(self), (self.errors, str(self)))


class ApiUnreachable(ClientError):  # noqa: N818 - it describes a situation, not a mistake
    """No API answered at `url` in time; `reason` says how it failed, `setting` where the URL comes from."""

    def __init__(self, url: str, reason: str, setting: str) -> None:
        self.url = url
        self.reason = reason
        self.setting = setting
        super().__init__(
            f"Cannot reach the API at {url} ({setting}): {reason}. "
            "Start a server with `prefect server start`, or set PREFECT__CLOUD__API to the URL of a running one."
        )

    def __reduce__(self) -> Any:
        return (type(self), (self.url, self.reason, self.setting))


class MalformedAnswerError(ClientError):
    """Something answered that is no GraphQL API, or an API of another kind than this client knows."""


class RequestTooLargeError(ClientError):
    """The API, or a proxy before it, takes no request of that size: its parts may pass one by one."""

    code = "REQUEST_TOO_LARGE"


class SubscriptionLost(ClientError):  # noqa: N818 - it describes a situation, not a mistake
    """The connection of a live stream broke; a new one may go on where it ended."""


class SubscriptionsUnavailable(ClientError):  # noqa: N818 - it describes a situation, not a mistake
    """The API, or something in front of it, does not accept websockets; polling is the way left."""


def _code(error: Mapping[str, Any]) -> str | None:
    extensions = error.get("extensions")
    code = extensions.get("code") if isinstance(extensions, Mapping) else None
    return code if isinstance(code, str) else None


def error_from_answer(errors: Sequence[Any]) -> ClientError | VersionLockMismatchSignal:
    """Return what to raise for the `errors` of an answer."""
    known = [error if isinstance(error, Mapping) else {"message": str(error)} for error in errors]
    error = ApiError(known or [{"message": "The API answered with an empty list of errors."}])
    text = str(errors)
    if "UNAUTHENTICATED" in text or "Malformed Authorization header" in text:
        return AuthorizationApiError(error.errors, str(error))
    if error.code == "VERSION_LOCKING_ERROR":
        return VersionLockMismatchSignal(str(error))
    if error.code == "NOT_FOUND":
        return NotFoundApiError(error.errors, str(error))
    return error


class AuthorizationApiError(ApiError, AuthorizationError):
    """The API's own words about credentials."""


class NotFoundApiError(ApiError, ObjectNotFoundError):
    """The API's own words about something that does not exist."""
