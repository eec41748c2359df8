"""Writes the agent's own lines into the logs of flow runs, in the background.

Lines are sent at once and in order.  While the API is away they are put into the outbox, or, if the disk does not take
them, kept in memory, up to a number of them (the oldest go first, and their number is said), and sent when it is back.
Lines for a run that belongs to somebody else by now are dropped.
"""

import asyncio
import contextlib
import logging
from collections import deque
from datetime import UTC, datetime

from flowstead_agent.api import AgentApi, LogLine
from flowstead_agent.errors import ApiError, ApiRejectedError, ClaimLostError
from flowstead_agent.launchers.protocol import ClaimedRun, Note
from flowstead_agent.outage import Backoff, Outage
from flowstead_agent.outbox import Outbox, logs_record

__all__ = ["RunLog"]

_MOST_KEPT = 10_000
_MOST_AT_ONCE = 100


class RunLog:
    """A queue of lines and the task that sends them.  Belongs to one event loop."""

    def __init__(self, api: AgentApi, name: str, outbox: Outbox, outage: Outage, logger: logging.Logger) -> None:
        self._api = api
        self._name = name
        self._outbox = outbox
        self._outage = outage
        self._logger = logger
        self._lines: deque[tuple[ClaimedRun, LogLine]] = deque()
        self._wanted = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._dropped = 0

    def write(self, run: ClaimedRun, level: str, message: str) -> None:
        """Queue a line of the agent, with the time of now.  `level` is the name of a logging level."""
        self.note(run, Note(datetime.now(UTC), self._name, level, message))

    def note(self, run: ClaimedRun, note: Note) -> None:
        """Queue a line of the platform that the run is on."""
        if len(self._lines) >= _MOST_KEPT:
            self._lines.popleft()
            self._dropped += 1
        self._lines.append((run, LogLine(note.timestamp, note.logger, note.level, note.message)))
        self._empty.clear()
        self._wanted.set()

    async def run(self) -> None:
        """Send lines, for ever."""
        backoff = Backoff()
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while self._lines:
                run, lines = self._take_batch()
                record = logs_record(lines, run.flow_run_id)
                if self._outbox.has_kept(run) and self._outbox.keep(run, record):
                    continue
                try:
                    await self._api.write_logs(run, lines, record["batch_id"])
                except (ClaimLostError, ApiRejectedError) as error:
                    self._logger.debug("The log of flow run %s takes no more lines: %s", run.flow_run_id, error)
                except ApiError as error:
                    self._outage.failed(error)
                    if self._outbox.keep(run, record):
                        continue
                    self._lines.extendleft((run, line) for line in reversed(lines))
                    await asyncio.sleep(backoff.pause())
                else:
                    self._outage.succeeded()
                    backoff.reset()
            self._tell_dropped()
            self._empty.set()

    async def flush(self, seconds: float) -> None:
        """Return when everything written so far is sent or on disk, or after `seconds`."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), seconds)

    def _take_batch(self) -> tuple[ClaimedRun, list[LogLine]]:
        run = self._lines[0][0]
        lines: list[LogLine] = []
        while self._lines and self._lines[0][0] is run and len(lines) < _MOST_AT_ONCE:
            lines.append(self._lines.popleft()[1])
        return run, lines

    def _tell_dropped(self) -> None:
        if self._dropped:
            self._logger.warning("%d line(s) for the logs of flow runs were dropped during the outage.", self._dropped)
            self._dropped = 0
