"""When to try again: a policy over attempts and times; it sleeps nowhere and sends nothing."""

import logging
import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from prefect.client.errors import ApiError, ApiUnreachable
from prefect.configuration import Config, config
from prefect.exceptions import PrefectException

__all__ = ["Attempts", "Patience", "RetryPolicy", "TransientError", "is_outage"]

_LONGEST_DOUBLING = 30
_QUIET_SECONDS = 10.0
_logger = logging.getLogger("prefect.client")


def is_outage(error: BaseException) -> bool:
    """Return whether an error says that the API, or the database behind it, is away; a defect of it is no outage."""
    if isinstance(error, ApiUnreachable):
        return True
    # A defect has an id, by which the server's log tells about it.
    return isinstance(error, ApiError) and error.code == "API_ERROR" and not _has_id(error)


def _has_id(error: ApiError) -> bool:
    return any("id" in (one.get("extensions") or {}) for one in error.errors)


class TransientError(Exception):
    """Trying again may help; `error` is what to raise if it is not tried.

    `sent` is False if the API cannot have seen the request.  `retry_after` is in seconds, as the API asked for.
    """

    def __init__(
        self,
        error: PrefectException,
        *,
        sent: bool = True,
        rate_limited: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.sent = sent
        self.rate_limited = rate_limited
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long and how often to try.  All times in seconds.

    The pause before attempt n+1 is `first * 2**n`, at most `longest`, times a random factor between one half and one,
    so that many clients do not come back at once.  Nothing is tried again that would start after `retry_for`; 0 means
    one attempt.  Rate limits are counted instead of timed, unless `strict`.
    """

    retry_for: float = 60.0
    first: float = 0.1
    longest: float = 10.0
    strict: bool = False
    rate_limit_pause: float = 180.0
    rate_limit_multiplier: float = 10.0
    rate_limit_exponent: float = 2.0
    rate_limit_retries: int = 6

    @classmethod
    def from_settings(cls, settings: Config | None = None) -> "RetryPolicy":
        """Return the default policy with the rate limits of `cloud.rate_limiting`."""
        limits = (settings or config)["cloud"].get("rate_limiting") or {}
        return cls(
            rate_limit_pause=float(limits.get("backoff_s", 180)),
            rate_limit_multiplier=float(limits.get("backoff_multiplier", 10)),
            rate_limit_exponent=float(limits.get("backoff_exponent", 2)),
            rate_limit_retries=int(limits.get("max_retries", 6)),
        )

    def limited_to(self, retry_for: float | None) -> "RetryPolicy":
        """Return the policy with another limit in seconds, which then holds for rate limits too."""
        return self if retry_for is None else replace(self, retry_for=retry_for, strict=True)

    def pause(self, problem: TransientError, attempt: int, elapsed: float, chance: float) -> float | None:
        """Return how long to wait before the next attempt, or None for giving up.

        `attempt` counts from 0, `elapsed` is the time since the first attempt began, `chance` lies between 0 and 1.
        """
        if problem.rate_limited:
            pause = problem.retry_after
            if pause is None:
                pause = self.rate_limit_pause + chance * self.rate_limit_multiplier * self.rate_limit_exponent**attempt
            if not self.strict:
                return pause if attempt < self.rate_limit_retries else None
        else:
            pause = min(self.first * 2 ** min(attempt, _LONGEST_DOUBLING), self.longest) * (0.5 + chance / 2)
            if problem.retry_after is not None:
                pause = max(pause, problem.retry_after)
        return pause if elapsed + pause <= self.retry_for else None


class Patience:
    """How long a program puts up with an API that is away; shared by all of its requests, from any thread.

    `seconds` tells for how long, counted from the first failure; it is said once when that takes longer, and once when
    the API is back.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._since: float | None = None
        self._told = False
        self._ended = threading.Event()

    @property
    def seconds(self) -> float:
        """For how long, in seconds from the first failure."""
        return self._seconds()

    @property
    def is_tried(self) -> bool:
        """Whether the API is away."""
        return self._since is not None

    @property
    def is_over(self) -> bool:
        """Whether the API has been away for too long."""
        since = self._since
        return self._ended.is_set() or (since is not None and time.monotonic() - since >= self.seconds)

    def end(self) -> None:
        """Have nobody wait any longer for an API that is away."""
        self._ended.set()

    def sleep(self, seconds: float) -> None:
        """Wait before another attempt, unless nobody is to wait any longer."""
        self._ended.wait(seconds)

    def failed(self, error: BaseException) -> float:
        """Note a failure, and return for how many seconds the API has been away."""
        with self._lock:
            now = time.monotonic()
            if self._since is None:
                self._since = now
            away = now - self._since
            tell = not self._told and _QUIET_SECONDS <= away < self.seconds
            self._told = self._told or tell
        if self._ended.is_set():
            return math.inf
        if tell:
            _logger.warning("%s Waiting for it, for up to %.0f seconds.", error, self.seconds)
        return away

    def succeeded(self) -> None:
        """Note that the API answers."""
        if self._since is None:
            return
        with self._lock:
            since, self._since = self._since, None
            told, self._told = self._told, False
            self._ended.clear()
        if told and since is not None:
            _logger.info("The API answers again, after %.0f seconds.", time.monotonic() - since)


class Attempts:
    """Counts the attempts of one request, the first of which begins now; `retry` as for `AsyncSession.execute`.

    With `patience` an API that is away is waited for as long as that says, instead of the policy.
    """

    def __init__(self, policy: RetryPolicy, *, retry: bool, patience: Patience | None = None) -> None:
        self._policy = policy
        self._retry = retry
        self._patience = patience
        self._started = time.monotonic()
        self._count = 0

    def pause_after(self, problem: TransientError) -> float:
        """Return how many seconds to wait before the next attempt; raises the problem's error if there is none."""
        elapsed, policy = time.monotonic() - self._started, self._policy
        if self._patience is not None and is_outage(problem.error):
            elapsed, policy = self._patience.failed(problem.error), policy.limited_to(self._patience.seconds)
        pause = policy.pause(problem, self._count, elapsed, random.random())  # noqa: S311 - jitter
        if pause is None or (problem.sent and not self._retry):
            raise problem.error from problem.__cause__
        self._count += 1
        if problem.rate_limited:
            _logger.warning("Rate limit encountered (attempt %d); sleeping for %.0fs...", self._count, pause)
        return pause

    def sleep(self, seconds: float) -> None:
        """Wait before another attempt."""
        (time.sleep if self._patience is None else self._patience.sleep)(seconds)

    def succeeded(self) -> None:
        """Note that the API answered."""
        if self._patience is not None:
            self._patience.succeeded()
