"""What wakes an agent, how long it waits between polls, and how it talks about an API that is away."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import pytest

from flowstead_agent.clock import ApiClock
from flowstead_agent.loops.poll import LADDER_SECONDS, Ladder
from flowstead_agent.loops.wake import WakeUp
from flowstead_agent.outage import Backoff, Outage


async def test_reasons_while_busy_are_one_reason():
    wake = WakeUp(ApiClock())
    wake.now()
    wake.now()
    await asyncio.wait_for(wake.wait(), 1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(wake.wait(), 0.02)


async def test_the_earliest_moment_counts():
    wake = WakeUp(ApiClock())
    started = asyncio.get_running_loop().time()
    now = datetime.now(UTC)
    wake.at(now + timedelta(hours=1))
    wake.at(now + timedelta(seconds=0.05))
    wake.at(now + timedelta(hours=2))
    await asyncio.wait_for(wake.wait(), 5)
    assert 0.04 < asyncio.get_running_loop().time() - started < 4
    wake.close()


async def test_a_moment_in_the_past_is_now():
    wake = WakeUp(ApiClock())
    wake.at(datetime.now(UTC) - timedelta(days=1))
    await asyncio.wait_for(wake.wait(), 1)
    # and does not stand in the way of a later one
    wake.at(datetime.now(UTC) + timedelta(seconds=0.01))
    await asyncio.wait_for(wake.wait(), 1)


def test_the_clock_is_that_of_the_api():
    """Whatever the machine's says; never ahead of the answers, however long they took."""
    count = 1000.0
    clock = ApiClock(lambda: count)
    assert abs(clock.seconds_until(datetime.now(UTC))) < 5
    noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
    clock.heard(noon)
    assert clock.now() == noon
    count += 10
    assert clock.now() == noon + timedelta(seconds=10)
    assert clock.seconds_until(noon + timedelta(seconds=12)) == 2
    # this answer was told at 12:00:09 and took a second to come
    clock.heard(noon + timedelta(seconds=9))
    assert clock.now() == noon + timedelta(seconds=10)
    # this one was quicker than all before
    clock.heard(noon + timedelta(seconds=10.5))
    assert clock.now() == noon + timedelta(seconds=10.5)
    # in the end a database whose clock was set back is believed
    count += 61
    clock.heard(noon)
    assert clock.now() == noon


def test_the_ladder_grows_while_nothing_is_found():
    ladder = Ladder()
    seen = []
    for _ in range(9):
        seen.append(ladder.seconds)
        ladder.found(0)
    assert seen == [*LADDER_SECONDS, 10.0, 10.0]
    ladder.found(3)
    assert ladder.seconds == 0.25


def test_pauses_grow_up_to_a_limit_and_start_again():
    backoff = Backoff(first_seconds=1, most_seconds=4)
    for most in (1, 2, 4, 4):
        assert most / 2 <= backoff.pause() <= most
    backoff.reset()
    assert backoff.pause() <= 1


def test_an_outage_is_told_once_and_so_is_its_end(caplog):
    caplog.set_level(logging.INFO)
    outage = Outage(logging.getLogger("outage"), "http://api")
    outage.succeeded()
    for _ in range(3):
        outage.failed(OSError("connection refused."))
    assert outage.away
    outage.succeeded()
    outage.succeeded()
    assert [record.message for record in caplog.records] == [
        "connection refused. The agent waits, and goes on when the API answers.",
        "The API at http://api answers again.",
    ]
