"""The retry policy is arithmetic."""

import pytest

from prefect.client.retries import RetryPolicy, TransientError
from prefect.exceptions import ClientError

TROUBLE = TransientError(ClientError("x"))


def test_pauses_grow_to_a_limit_and_stay_within_the_time():
    policy = RetryPolicy(retry_for=60, first=0.1, longest=10)
    assert [policy.pause(TROUBLE, attempt, 0, 1) for attempt in (0, 1, 5, 50)] == [0.1, 0.2, 3.2, 10]
    assert policy.pause(TROUBLE, 1, 0, 0) == 0.1
    assert policy.pause(TROUBLE, 50, 50.1, 1) is None
    assert RetryPolicy(retry_for=0).pause(TROUBLE, 0, 0, 0) is None


def test_the_api_may_ask_for_more_time():
    slow = TransientError(ClientError("x"), retry_after=7)
    assert RetryPolicy().pause(slow, 0, 0, 1) == 7
    assert RetryPolicy(retry_for=5).pause(slow, 0, 0, 1) is None


def test_rate_limits_are_counted():
    limited = TransientError(ClientError("x"), rate_limited=True)
    policy = RetryPolicy.from_settings()
    assert policy.pause(limited, 0, 10_000, 0) == 180
    assert policy.pause(limited, 2, 0, 1) == pytest.approx(180 + 10 * 2**2)
    assert policy.pause(limited, 6, 0, 0) is None
    assert policy.limited_to(10).pause(limited, 0, 0, 0) is None
    assert policy.limited_to(None) is policy
