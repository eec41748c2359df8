"""Polling: a reason to look for work every now and then, whatever else may be broken.

While a subscription tells when there is work the pause is long; without one it follows the ladder of 1.x agents.
"""

import asyncio

from flowstead_agent.loops.subscribe import Subscribed
from flowstead_agent.loops.wake import WakeUp

__all__ = ["LADDER_SECONDS", "Ladder", "poll"]

# How long to wait between two polls when nothing else tells that there is work: grows while there is none.
LADDER_SECONDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0)


class Ladder:
    """The time between two polls: short after a run was found, step by step longer while there is none."""

    def __init__(self) -> None:
        self._step = 0

    @property
    def seconds(self) -> float:
        """How long to wait now."""
        return LADDER_SECONDS[self._step]

    def found(self, runs: int) -> None:
        """Note the result of a poll."""
        self._step = 0 if runs else min(self._step + 1, len(LADDER_SECONDS) - 1)


async def poll(wake: WakeUp, ladder: Ladder, subscribed: Subscribed, poll_seconds: float) -> None:
    """Wake the consumer for ever."""
    while True:
        wake.now()
        await asyncio.sleep(poll_seconds if subscribed.now else ladder.seconds)
