"""The one consumer: waits for a wake-up, claims what it has room for, and hands it on to be launched.

Every failure of the API ends the round and is followed by a pause; the round that comes then asks again.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from flowstead_agent.api import AgentApi
from flowstead_agent.clock import ApiClock
from flowstead_agent.deployments import Deployments
from flowstead_agent.errors import AgentUnknownError, ApiError
from flowstead_agent.loops.poll import Ladder
from flowstead_agent.loops.wake import WakeUp
from flowstead_agent.outage import Backoff, Outage
from flowstead_agent.settings import AgentSettings

__all__ = ["Claiming"]

_MOST_AT_ONCE = 100


class Claiming:
    """Claims runs until it is stopped or has made as many rounds as it was told to."""

    def __init__(
        self,
        settings: AgentSettings,
        api: AgentApi,
        wake: WakeUp,
        ladder: Ladder,
        outage: Outage,
        logger: logging.Logger,
        clock: ApiClock,
        register: Callable[[], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._api = api
        self._wake = wake
        self._ladder = ladder
        self._outage = outage
        self._logger = logger
        self._clock = clock
        self._register = register
        self._backoff = Backoff()
        self._stop = asyncio.Event()
        self._hungry = False

    def serve(self, deployments: Deployments) -> None:
        """Hand what is claimed on to `deployments`; called once, before `run`."""
        self._deployments = deployments

    def room_again(self) -> None:
        """Look for work again if there may be some that there was no room for."""
        if self._hungry:
            self._wake.now()

    def stop(self) -> None:
        """Claim nothing more; what is being claimed is still handed on."""
        self._stop.set()
        self._wake.now()

    async def run(self) -> None:
        """Make rounds.  Returns after `stop`, or after the last round."""
        rounds = 0
        while self._settings.max_polls is None or rounds < self._settings.max_polls:
            await self._wake.wait()
            if self._stop.is_set():
                return
            try:
                self._ladder.found(await self._round())
            except AgentUnknownError:
                self._logger.warning("The API does not know this agent any more; registering again.")
                await self._register()
                self._wake.now()
                continue
            except ApiError as error:
                self._outage.failed(error)
                self._ladder.found(0)
                await self._pause()
                self._wake.now()
            else:
                rounds += 1

    async def _round(self) -> int:
        total = 0
        while not self._stop.is_set():
            limit = min(self._deployments.room(), _MOST_AT_ONCE)
            self._hungry = True
            if limit <= 0:
                break
            asked_at = asyncio.get_running_loop().time()
            claims = await self._api.claim(
                limit=limit,
                before=self._clock.now() + timedelta(seconds=self._settings.prefetch_seconds),
                lease_seconds=self._settings.lease_seconds,
            )
            self._clock.heard(claims.now)
            self._outage.succeeded()
            self._backoff.reset()
            total += len(claims.runs)
            self._logger.debug("Claimed %d flow run(s)", len(claims.runs))
            for run in claims.runs:
                self._deployments.take(run, until=asked_at + self._settings.lease_seconds)
            if len(claims.runs) < limit:
                self._hungry = False
                if claims.next_start_time is not None:
                    self._wake.at(claims.next_start_time - timedelta(seconds=self._settings.prefetch_seconds / 2))
                break
        return total

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), self._backoff.pause())
