"""When to try again: a policy over attempts and times; it sleeps nowhere and sends nothing."""

import logging
import random
import time
from dataclasses import dataclass, replace

from prefect.configuration import Config, config
from prefect.exceptions import PrefectException

__all__ = ["Attempts", "RetryPolicy", "TransientError"]

_LONGEST_DOUBLING = 30
_logger = logging.getLogger("prefect.client")


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


class Attempts:
    """Counts the attempts of one request, the first of which begins now; `retry` as for `AsyncSession.execute`."""

    def __init__(self, policy: RetryPolicy, *, retry: bool) -> None:
        self._policy = policy
        self._retry = retry
        self._started = time.monotonic()
        self._count = 0

    def pause_after(self, problem: TransientError) -> float:
        """Return how many seconds to wait before the next attempt; raises the problem's error if there is none."""
        elapsed = time.monotonic() - self._started
        pause = self._policy.pause(problem, self._count, elapsed, random.random())  # noqa: S311 - jitter
        if pause is None or (problem.sent and not self._retry):
            raise problem.error from problem.__cause__
        self._count += 1
        if problem.rate_limited:
            _logger.warning("Rate limit encountered (attempt %d); sleeping for %.0fs...", self._count, pause)
        return pause
