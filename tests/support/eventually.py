"""Waiting for what gives no signal of its own."""

import asyncio
from collections.abc import Callable

DEADLINE = 30.0


async def eventually(condition: Callable[[], bool], seconds: float = DEADLINE) -> None:
    """Return as soon as the condition holds; TimeoutError if it does not within `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - nothing sets an event for it
            await asyncio.sleep(0.002)
