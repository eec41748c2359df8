"""What can come of an exchange over HTTP, sorted: the same for every transport, and without loading any.

Failures are `TransientError` if another attempt may help, else a `ClientError` that says it in a sentence.
"""

import os
from collections.abc import Mapping

from prefect.client.encoding import loads
from prefect.client.endpoint import Endpoint
from prefect.client.errors import ApiError, ApiUnreachable, MalformedAnswerError, RequestTooLargeError
from prefect.client.retries import TransientError
from prefect.exceptions import AuthorizationError, ClientError

__all__ = ["RETRYABLE_STATUS", "TOO_MANY_REQUESTS", "Failures", "HttpStatusError", "system_reason"]

RETRYABLE_STATUS = frozenset({500, 502, 503, 504})
TOO_MANY_REQUESTS = 429
_BAD_REQUEST = 400
_TOO_LARGE = 413


class HttpStatusError(Exception):
    """The answer has a status of 300 or more; `headers` are looked up by lower-case names."""

    def __init__(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        super().__init__(str(status))
        self.status = status
        self.location = headers.get("location", "")
        self.retry_after = _seconds(headers.get("retry-after"))
        try:
            body = loads(content)
        except ValueError:
            body = None
        self.errors = body.get("errors") if isinstance(body, dict) else None


def _seconds(text: str | None) -> float | None:
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:  # the header may hold a date; no API of ours sends one
        return None


class Failures:
    """Makes the errors of exchanges with one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def unreachable(self, reason: str) -> ApiUnreachable:
        """Return the error for an API that cannot be reached."""
        return ApiUnreachable(self._endpoint.url, reason, self._endpoint.setting)

    def not_connected(self, reason: str) -> TransientError:
        """Return the failure of an exchange for which there was no connection: the API has seen nothing of it."""
        return TransientError(self.unreachable(reason), sent=False)

    def broken(self, reason: str) -> TransientError:
        """Return the failure of an exchange whose connection broke."""
        return TransientError(self.unreachable(reason))

    def late(self) -> TransientError:
        """Return the failure of an exchange that took too long."""
        return self.broken(f"no answer within {self._endpoint.timeout:g} s")

    def not_sendable(self, reason: object) -> ClientError:
        """Return the error for a request that HTTP cannot carry."""
        return ClientError(f"The request to {self._endpoint.url} cannot be sent: {reason}")

    def bad_header(self, name: str) -> ClientError:
        """Return the error for a header that HTTP cannot carry; its value may be a secret, which no log is to show."""
        hint = " Look at the API key (cloud.api_key)." if name.lower() == "authorization" else ""
        return self.not_sendable(f"its header {name!r} has a line break or a character that is not ASCII.{hint}")

    def no_graphql(self) -> MalformedAnswerError:
        """Return the error for an answer that is none to a GraphQL request."""
        return MalformedAnswerError(
            f"Malformed response received from API. What answers at {self._endpoint.url} "
            f"({self._endpoint.setting}) does not speak GraphQL."
        )

    def of_status(self, answer: HttpStatusError, size: int | None = None) -> Exception:
        """Return what an answer means that is no success; `size` is that of the body that was sent, in bytes."""
        url, setting, status = self._endpoint.url, self._endpoint.setting, answer.status
        if status == TOO_MANY_REQUESTS:
            error = ClientError(f"The API at {url} limits the rate of requests; try again later.")
            return TransientError(error, rate_limited=True, retry_after=answer.retry_after)
        if status in RETRYABLE_STATUS:
            words = f": {answer.errors[0].get('message')}" if answer.errors else ""
            return TransientError(
                self.unreachable(f"it answers with HTTP status {status}{words}"), retry_after=answer.retry_after
            )
        if status == _BAD_REQUEST and isinstance(answer.errors, list):
            return ApiError(answer.errors, status=status)
        if status in {401, 403}:
            return AuthorizationError(f"The API at {url} refuses the request with HTTP status {status}.")
        if status == _TOO_LARGE and size is not None:
            return RequestTooLargeError(f"A request of {size:,} bytes is larger than the API at {url} accepts.")
        where = f" to {answer.location}; use that address" if answer.location else ""
        return MalformedAnswerError(
            f"What answers at {url} ({setting}) is no Prefect API: it answers with HTTP status {status}{where}."
        )


def system_reason(cause: BaseException) -> str:
    """Return the reason in the operating system's words, which httpx hides behind "All connection attempts failed"."""
    seen: BaseException | None = cause
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno:
            words = os.strerror(seen.errno) if seen.errno > 0 else str(seen.strerror)
            return words[:1].lower() + words[1:]
        seen = seen.__cause__ or seen.__context__
    return str(cause) or type(cause).__name__
