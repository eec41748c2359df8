"""The one wake-up of an agent: whatever gives a reason to look for work sets it, and one consumer waits for it."""

import asyncio
from datetime import datetime

from flowstead_agent.clock import ApiClock

__all__ = ["WakeUp"]


class WakeUp:
    """Wakes one consumer, now or at a moment.  Reasons that come while it is busy are one reason to look again."""

    def __init__(self, clock: ApiClock) -> None:
        self._clock = clock
        self._event = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    def now(self) -> None:
        """Wake the consumer."""
        self._event.set()

    def at(self, moment: datetime) -> None:
        """Wake the consumer at `moment` (aware), unless something earlier is known."""
        loop = asyncio.get_running_loop()
        when = loop.time() + max(0.0, self._clock.seconds_until(moment))
        if self._timer is not None and not self._timer.cancelled():
            if loop.time() < self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = loop.call_at(when, self._event.set)

    async def wait(self) -> None:
        """Return when there is a reason to look for work, and forget it."""
        await self._event.wait()
        self._event.clear()

    def close(self) -> None:
        """Drop the timer."""
        if self._timer is not None:
            self._timer.cancel()
