"""Tasks end, also those that lose a cancellation."""

import asyncio

import pytest

from flowstead_agent.cancelling import cancel_all


def test_a_task_that_swallows_a_cancellation_is_cancelled_again() -> None:
    swallowed = []

    async def stubborn() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed.append(1)
                if len(swallowed) > 1:
                    raise

    async def run() -> None:
        task = asyncio.create_task(stubborn())
        await asyncio.wait([task], timeout=0)
        await cancel_all([task])
        assert task.cancelled()

    asyncio.run(run())
    assert len(swallowed) == 2


def test_tasks_that_are_done_or_fail_do_no_harm() -> None:
    async def fail() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("while ending")

    async def run() -> None:
        done = asyncio.create_task(asyncio.sleep(0))
        failing = asyncio.create_task(fail())
        await done
        await cancel_all([done, failing])
        with pytest.raises(ValueError, match="while ending"):
            failing.result()

    asyncio.run(run())
