"""The way of one claimed run: wait for its start, launch it, follow it to its end, and report what it could not itself.

Nothing that goes wrong with one run leaves this module: a run that cannot be started becomes Failed with the reason,
also in its log; so does one whose process dies before the run is finished.  A claim that was lost is dropped without
a trace in the run, and its process is ended, because another one executes the run by now.  A run that is to be
cancelled is ended with everything that it has started, and its log gets a receipt of that.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, TypeVar

from flowstead_agent.api import FINISHED_STATES, AgentApi, LogLine
from flowstead_agent.clock import ApiClock
from flowstead_agent.errors import (
    ApiError,
    ApiRejectedError,
    ClaimLostError,
    LaunchError,
    LaunchOutcomeUnknownError,
)
from flowstead_agent.launchers.protocol import ClaimedRun, Ended, Launched, Launcher
from flowstead_agent.logs.run_log import RunLog
from flowstead_agent.outage import Backoff, Outage
from flowstead_agent.outbox import Outbox, logs_record
from flowstead_agent.settings import AgentSettings

__all__ = ["Deployment", "Phase", "Surroundings"]

T = TypeVar("T")


class Phase(IntEnum):
    """How far a run has come."""

    WAITING = 0
    """for its start time, or for a place among the launches"""
    LAUNCHING = 1
    STARTING = 2
    """launched, but still taking one of the places"""
    RUNNING = 3
    REPORTING = 4
    """its process is over or never was; the API is being told"""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every deployment of an agent works with."""

    settings: AgentSettings
    api: AgentApi
    launcher: Launcher
    log: RunLog
    outbox: Outbox
    outage: Outage
    logger: logging.Logger
    slots: asyncio.Semaphore
    clock: ApiClock


class Deployment:
    """One run on its way.  `go` is run once, as a task."""

    def __init__(self, run: ClaimedRun, claimed_until: float, surroundings: Surroundings) -> None:
        self.run = run
        self.phase = Phase.WAITING
        self.claimed_until = claimed_until
        """the loop's time when the claim ends"""
        self.is_lost = False
        self.left_waiting = asyncio.Event()
        """set when the run has been launched or never will be"""
        self.on_room: Callable[[], None] = lambda: None
        """called when the run no longer takes one of the places for launches"""
        self._around = surroundings
        self._has_said = False
        self._lost = asyncio.Event()
        self._cancelled = asyncio.Event()

    async def go(self) -> None:
        """Go all the way.  May be cancelled while the run waits for its start, and again once it is launched."""
        around = self._around
        try:
            await self._wait_for_start()
            async with around.slots:
                launched = await self._launch()
                if launched is None:
                    return
                # Short runs free their place by ending; for others a while tells that the start is over.
                await self._settled(launched)
            self.phase = Phase.RUNNING
            self.on_room()
            ended = await self._follow(launched)
            self.phase = Phase.REPORTING
            around.outbox.look()
            if not ended.ok and not self.is_lost:
                await self._report_death(ended)
        except ClaimLostError as error:
            around.logger.debug("Updating Flow Run state failed: %s", error)
        finally:
            self.left_waiting.set()

    def lose(self) -> None:
        """Note that the claim is not this agent's any more."""
        self.is_lost = True
        self._lost.set()

    def cancel(self) -> None:
        """End the run's process, if it lives, because the run is to be cancelled."""
        self._cancelled.set()

    async def hand_back(self) -> None:
        """Put the run back into the queue.  Failing that, the API takes it back when the claim runs out."""
        if self.run.restart:
            # It is Running for everybody else; only the end of the claim brings it back as it was.
            return
        try:
            await self._around.api.set_state(
                self.run,
                "Scheduled",
                f"Handed back by agent '{self._around.settings.name}', which was stopped before the start.",
                start_time=self.run.start_time.isoformat(),
            )
        except (ApiError, ClaimLostError) as error:
            self._around.logger.warning(
                "Flow run %s could not be handed back (%s); it returns to the queue when its claim runs out.",
                self.run.flow_run_id,
                error,
            )

    async def _wait_for_start(self) -> None:
        seconds = self._around.clock.seconds_until(self.run.start_time)
        if seconds > 0:
            self._around.logger.debug("Waiting %.3fs to deploy flow run %s on time...", seconds, self.run.flow_run_id)
            try:
                await asyncio.wait_for(self._lost.wait(), seconds)
            except TimeoutError:
                return

    async def _launch(self) -> Launched | None:
        """Launch the run; returns None if it is not to be launched (any more), which has been seen to then."""
        around, run = self._around, self.run
        if self.is_lost or asyncio.get_running_loop().time() >= self.claimed_until:
            around.logger.info("Flow run %s is not claimed by this agent any more; it is not started.", run.flow_run_id)
            return None
        self.phase = Phase.LAUNCHING
        around.logger.info("Deploying flow run %s to execution environment...", run.flow_run_id)
        try:
            # A launch that has begun is not to be torn apart by the end of the agent.
            launched = await asyncio.shield(asyncio.ensure_future(around.launcher.launch(run)))
        except LaunchError as error:
            await self._report_no_start(str(error))
            return None
        except LaunchOutcomeUnknownError as error:
            around.logger.warning(
                "%s Flow run %s returns to the queue unless its process has started.", error, run.flow_run_id
            )
            return None
        except Exception as error:
            around.logger.exception("Exception encountered while deploying flow run %s", run.flow_run_id)
            await self._report_no_start(f"The agent failed to start the run: {error!r}")
            return None
        self.phase = Phase.STARTING
        self.left_waiting.set()
        around.log.write(run, "INFO", f"Submitted for execution: {launched.description}")
        around.logger.info("Completed deployment of flow run %s", run.flow_run_id)
        return launched

    async def _settled(self, launched: Launched) -> None:
        """Return when the start is over: after a while, or because something has happened to the run."""
        events = [asyncio.ensure_future(one) for one in (launched.ended, self._lost.wait(), self._cancelled.wait())]
        try:
            await asyncio.wait(
                events, timeout=self._around.settings.settle_seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for event in events:
                event.cancel()

    async def _follow(self, launched: Launched) -> Ended:
        """Return how the process ended; end it if the claim is lost or the run is to be cancelled."""
        ended = asyncio.ensure_future(launched.ended)
        lost = asyncio.ensure_future(self._lost.wait())
        cancelled = asyncio.ensure_future(self._cancelled.wait())
        try:
            await asyncio.wait([ended, lost, cancelled], return_when=asyncio.FIRST_COMPLETED)
            if not ended.done() and cancelled.done() and not lost.done():
                await self._end_cancelled(launched)
            elif not ended.done():
                await self._end_lost(launched)
            return await ended
        finally:
            for event in (ended, lost, cancelled):
                event.cancel()

    async def _end_cancelled(self, launched: Launched) -> None:
        around, run = self._around, self.run
        around.logger.info("Flow run %s is to be cancelled; ending its process.", run.flow_run_id)
        loop = asyncio.get_running_loop()
        began = loop.time()
        # Once begun it goes through, also when the agent is told to end meanwhile.
        what = await asyncio.shield(asyncio.ensure_future(launched.terminate(around.settings.grace_seconds)))
        seconds = loop.time() - began
        receipt = f"Cancelled by agent '{around.settings.name}', which ended {what}, after {seconds:.1f} seconds."
        around.log.write(run, "INFO", receipt)

    async def _end_lost(self, launched: Launched) -> None:
        around, run = self._around, self.run
        state = await self._insist(lambda: around.api.run_state(run))
        if state in FINISHED_STATES and state != "Cancelled":
            return  # it finished by itself, and is about to end
        if state == "Cancelled" and await self._ended_within(launched, around.settings.lease_seconds):
            return
        around.logger.warning(
            "Flow run %s (now %s) is not claimed by this agent any more; ending its process (%s).",
            run.flow_run_id,
            state or "deleted",
            launched.description,
        )
        await launched.terminate(around.settings.grace_seconds)

    async def _report_no_start(self, reason: str) -> None:
        around, run = self._around, self.run
        self.phase = Phase.REPORTING
        self.left_waiting.set()
        around.logger.error("Flow run %s could not be started: %s", run.flow_run_id, reason)
        around.log.write(run, "ERROR", reason)
        await around.log.flush(around.settings.stop_seconds)
        around.logger.error("Updating flow run %s state to Failed...", run.flow_run_id)
        if around.outbox.has_kept(run) or not await self._tried(lambda: around.api.set_state(run, "Failed", reason)):
            await self._keep_or(
                {"flow_state": {"type": "Failed", "message": reason}},
                lambda: self._insist(lambda: around.api.set_state(run, "Failed", reason)),
            )

    async def _report_death(self, ended: Ended) -> None:
        """Report a death in the order of events: what the process itself has left on disk goes first."""
        around, run = self._around, self.run
        if not around.outbox.has_any(run) and await self._tried(lambda: self._tell_death(ended)):
            return
        line = LogLine(datetime.now(UTC), around.settings.name, "ERROR", _last_words(ended))
        died = {**logs_record([] if self._has_said else [line], run.flow_run_id), "reason": ended.reason}
        await self._keep_or({"died": died}, lambda: self._insist(lambda: self._tell_death(ended)))

    async def _tell_death(self, ended: Ended) -> None:
        around, run = self._around, self.run
        state = await around.api.run_state(run)
        if state is None or state in FINISHED_STATES:
            return
        if not self._has_said:
            self._has_said = True
            around.logger.error("Flow run %s was %s when it died: %s", run.flow_run_id, state, ended.reason)
            around.log.write(run, "ERROR", _last_words(ended))
        await around.log.flush(around.settings.stop_seconds)
        if state == "Cancelling":
            await around.api.set_state(run, "Cancelled", "Flow run is cancelled")
        else:
            await around.api.set_state(run, "Failed", ended.reason)

    async def _tried(self, ask: Callable[[], Awaitable[object]]) -> bool:
        """Ask once; returns False if the API is away.  Refusals are logged."""
        try:
            await ask()
        except ApiRejectedError as error:
            self._log_refusal(error)
        except ApiError as error:
            self._around.outage.failed(error)
            return False
        return True

    async def _keep_or(self, record: Mapping[str, Any], otherwise: Callable[[], Awaitable[object]]) -> None:
        """Leave a report to the outbox and wait until it is sent, or do it otherwise if the disk does not take it."""
        if self._around.outbox.keep(self.run, record):
            self._around.logger.error(
                "What has become of flow run %s is reported when the API is back.", self.run.flow_run_id
            )
            await self._around.outbox.sent(self.run)
        else:
            await otherwise()

    def _log_refusal(self, error: ApiRejectedError) -> None:
        self._around.logger.error("The API refuses to hear about flow run %s: %s", self.run.flow_run_id, error)

    async def _insist(self, ask: Callable[[], Awaitable[T]]) -> T | None:
        """Ask until the API answers; None if it refuses for good, which is logged."""
        backoff = Backoff()
        while True:
            try:
                answer = await ask()
            except ApiRejectedError as error:
                self._log_refusal(error)
                return None
            except ApiError as error:
                self._around.outage.failed(error)
                await asyncio.sleep(backoff.pause())
            else:
                self._around.outage.succeeded()
                return answer

    @staticmethod
    async def _ended_within(launched: Launched, seconds: float) -> bool:
        ended = asyncio.ensure_future(launched.ended)
        done, _ = await asyncio.wait([ended], timeout=seconds)
        ended.cancel()
        return bool(done)


def _last_words(ended: Ended) -> str:
    return f"{ended.reason} The last of its output:\n{ended.output}" if ended.output else ended.reason
