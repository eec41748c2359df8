"""Coalescing of calls: batches, neighbours of a failing item, callers that go away."""

import asyncio
from collections.abc import Sequence

import pytest

from flowstead_server.domain.errors import ApiUnavailableError, BadInputError, FlowsteadError
from flowstead_server.orchestration.batcher import Batcher


class Doubler:
    """Answers twice each number when told to go; 13 spoils its batch, negative numbers are their caller's error."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.started = asyncio.Event()
        self.go = asyncio.Event()

    async def run(self, items: list[int]) -> Sequence[int | FlowsteadError]:
        self.batches.append(items)
        self.started.set()
        await self.go.wait()
        if 13 in items:
            raise BadInputError("thirteen")
        return [BadInputError("negative") if item < 0 else 2 * item for item in items]


async def test_calls_during_a_batch_form_the_next_one() -> None:
    doubler = Doubler()
    batcher = Batcher(doubler.run, max_size=3, max_in_flight=1)
    first = asyncio.create_task(batcher.submit(0))
    await doubler.started.wait()
    others = [asyncio.create_task(batcher.submit(n)) for n in range(1, 6)]
    await asyncio.sleep(0)
    doubler.go.set()
    assert await asyncio.gather(first, *others) == [0, 2, 4, 6, 8, 10]
    assert doubler.batches == [[0], [1, 2, 3], [4, 5]]


async def test_heavy_items_go_in_small_batches() -> None:
    doubler = Doubler()
    batcher = Batcher(doubler.run, max_in_flight=1, weigh=lambda item: item, max_weight=10)
    first = asyncio.create_task(batcher.submit(0))
    await doubler.started.wait()
    others = [asyncio.create_task(batcher.submit(n)) for n in (4, 5, 6, 100, 1)]
    await asyncio.sleep(0)
    doubler.go.set()
    await asyncio.gather(first, *others)
    assert doubler.batches == [[0], [4, 5, 6], [100], [1]]


async def test_one_bad_item_does_not_fail_its_neighbours() -> None:
    doubler = Doubler()
    doubler.go.set()
    batcher = Batcher(doubler.run, max_in_flight=1)
    answers = await batcher.submit_all([1, 13, -1, 4])
    assert [answer if isinstance(answer, int) else str(answer) for answer in answers] == [2, "thirteen", "negative", 8]


async def test_errors_are_raised_to_their_caller_alone() -> None:
    doubler = Doubler()
    doubler.go.set()
    batcher = Batcher(doubler.run)
    results = await asyncio.gather(*(batcher.submit(n) for n in (1, -1, 2)), return_exceptions=True)
    assert results[0] == 2
    assert isinstance(results[1], BadInputError)
    assert results[2] == 4


async def test_lost_database_fails_the_batch_once() -> None:
    calls = 0

    async def run(_items: list[int]) -> Sequence[int]:
        nonlocal calls
        calls += 1
        raise ApiUnavailableError("gone")

    answers = await Batcher(run, max_in_flight=1).submit_all([1, 2, 3])
    assert [type(answer) for answer in answers] == [ApiUnavailableError] * 3
    assert calls == 1


async def test_defects_are_raised_and_the_batcher_goes_on() -> None:
    async def run(items: list[int]) -> Sequence[int]:
        return [1 // item for item in items]

    batcher = Batcher(run, max_in_flight=1)
    with pytest.raises(ZeroDivisionError):
        await batcher.submit(0)
    assert await batcher.submit(1) == 1


async def test_callers_that_left_are_left_out() -> None:
    doubler = Doubler()
    batcher = Batcher(doubler.run, max_in_flight=1)
    first = asyncio.create_task(batcher.submit(0))
    await doubler.started.wait()
    leaving = asyncio.create_task(batcher.submit(1))
    staying = asyncio.create_task(batcher.submit(2))
    await asyncio.sleep(0)
    leaving.cancel()
    first.cancel()
    await asyncio.gather(first, leaving, return_exceptions=True)
    doubler.go.set()
    assert await staying == 4
    assert doubler.batches == [[0], [2]]


async def test_callers_hear_of_a_shutdown() -> None:
    doubler = Doubler()
    batcher = Batcher(doubler.run, max_in_flight=1)
    call = asyncio.create_task(batcher.submit(1))
    await doubler.started.wait()
    for worker in batcher._workers:
        worker.cancel()
    with pytest.raises(ApiUnavailableError, match="shutting down"):
        await call
