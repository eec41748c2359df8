"""The base of all services: when rounds come, what is counted, what failures do, and how it ends."""

import asyncio
import logging
from dataclasses import dataclass

import pytest

from flowstead_server.domain.errors import ApiUnavailableError
from flowstead_server.services.loop import Service


@dataclass(frozen=True, slots=True)
class Done:
    runs: int
    refused: int = 0
    complete: bool = True


class Worker(Service[Done]):
    name = "worker"
    first_wait = 0.0

    def __init__(self, interval: float = 3600.0) -> None:
        super().__init__()
        self.interval = interval
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.cancelled = False
        self.answers: list[Done | Exception] = []

    async def run_once(self) -> Done:
        self.begun.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        answer = self.answers.pop(0) if self.answers else Done(2)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def another_round(self) -> None:
        """Wait until a round has begun, and let it begin only once."""
        async with asyncio.timeout(5):
            await self.begun.wait()
            self.begun.clear()


async def test_rounds_are_counted_and_a_wake_up_brings_the_next_one(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "flowstead_server")
    worker = Worker()
    worker.may_end.set()
    worker.start()
    await worker.another_round()
    worker.wake()
    await worker.another_round()
    worker.wake()
    worker.may_end.clear()
    await worker.another_round()
    assert (worker.figures.rounds, worker.figures.failures) == (2, 0)
    assert worker.figures.counts == {"runs": 4, "refused": 0}, "truth values are no counts"
    assert worker.figures.last_success is not None
    assert "worker: runs 2" in caplog.messages
    await worker.stop()
    assert worker.cancelled


async def test_stopping_does_not_wait_for_the_next_round() -> None:
    worker = Worker()
    worker.first_wait = 3600.0
    worker.start()
    async with asyncio.timeout(5):
        await worker.stop()
    assert not worker.begun.is_set()


async def test_a_round_that_fails_is_logged_and_tried_again_soon(caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker(interval=0.01)
    worker.answers = [ValueError("no luck")]
    worker.may_end.set()
    worker.start()
    await worker.another_round()
    await worker.another_round()
    await worker.another_round()
    await worker.stop()
    assert worker.figures.failures == 1
    assert worker.figures.rounds >= 2
    assert "A round of worker failed" in caplog.messages


_AWAY = ApiUnavailableError("Unable to connect to postgres.")


@pytest.mark.parametrize("error", [_AWAY, ExceptionGroup("of two tasks", [_AWAY, ExceptionGroup("inner", [_AWAY])])])
async def test_a_database_that_is_away_is_told_in_one_line(caplog: pytest.LogCaptureFixture, error: Exception) -> None:
    worker = Worker(interval=0.01)
    worker.answers = [error]
    worker.may_end.set()
    worker.start()
    await worker.another_round()
    await worker.another_round()
    await worker.stop()
    assert worker.figures.failures == 1
    (record,) = [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}]
    assert record.getMessage() == "A round of worker failed: Unable to connect to postgres."
    assert record.exc_info is None


async def test_the_lag_grows_while_a_round_hangs() -> None:
    worker = Worker()
    assert worker.figures.lag(1e9) == 0, "it has not been started"
    worker.start()
    await worker.another_round()
    now = asyncio.get_running_loop().time()
    assert 0 <= worker.figures.lag(now) < 5
    assert worker.figures.lag(now + 60) >= 60
    worker.may_end.set()
    worker.wake()
    await worker.another_round()
    await worker.stop()


async def test_the_lag_grows_while_rounds_fail() -> None:
    worker = Worker(interval=0.001)
    worker.answers = [ValueError("no luck") for _ in range(1000)]
    worker.may_end.set()
    worker.start()
    await worker.another_round()
    due = worker.figures.due
    await worker.another_round()
    await worker.another_round()
    assert worker.figures.due == due
    await worker.stop()
