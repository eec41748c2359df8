"""What this agent or runs of this machine could not tell the API, kept on disk and sent when it is back.

The files are those of `prefect.utilities.outbox`; the loop looks for them at its start, whenever something may have
been left, and every half minute, so that nothing is lost with an agent or with the process of a run.  While the API
is away it asks again with growing pauses.  A disk that takes nothing is said once; what is to be told then stays in
memory.
"""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flowstead_agent.api import LogLine
from flowstead_agent.errors import AgentRefusedError
from flowstead_agent.launchers.protocol import ClaimedRun
from flowstead_agent.outage import Backoff, Outage
from prefect.client.outbox_delivery import deliver
from prefect.client.session import Session
from prefect.exceptions import AuthorizationError, ClientError
from prefect.utilities.outbox import Address, OutboxFile, waiting_files

__all__ = ["Outbox", "logs_record"]

_LOOK_SECONDS = 30.0


def logs_record(lines: Sequence[LogLine], flow_run_id: str) -> dict[str, Any]:
    """Return lines as a record of the outbox, which the API stores once however often it is sent."""
    logs = [
        {
            "flow_run_id": flow_run_id,
            "timestamp": line.timestamp.isoformat(),
            "name": line.logger,
            "level": line.level,
            "message": line.message,
        }
        for line in lines
    ]
    return {"batch_id": str(uuid.uuid4()), "logs": logs}


class Outbox:
    """The outbox of one agent.  Belongs to one event loop."""

    def __init__(self, directory: Path, session: Session, outage: Outage, logger: logging.Logger) -> None:
        self._directory = directory
        self._session = session
        self._outage = outage
        self._logger = logger
        self._wanted = asyncio.Event()
        self._rounds = asyncio.Condition()
        self._kept: set[str] = set()
        self._told = False

    def keep(self, run: ClaimedRun, record: Mapping[str, Any]) -> bool:
        """Put something about a run on disk; returns False if the disk does not take it."""
        address = Address(self._session.endpoint.url, run.flow_run_id, claim_token=run.claim_token)
        try:
            file = OutboxFile.create(self._directory, address, "agent")
            try:
                file.append(record, durable=True)
            finally:
                file.close()
        except OSError as error:
            if not self._told:
                self._told = True
                self._logger.warning(
                    "What the API has to be told cannot be kept in %s (%s); it waits in memory.", self._directory, error
                )
            return False
        self._kept.add(run.flow_run_id)
        self._wanted.set()
        return True

    def has_kept(self, run: ClaimedRun) -> bool:
        """Return whether something that this agent put on disk about a run is still there."""
        return run.flow_run_id in self._kept

    def has_any(self, run: ClaimedRun) -> bool:
        """Return whether anybody has left something about a run."""
        return bool(waiting_files(self._directory, run.flow_run_id))

    async def sent(self, run: ClaimedRun) -> None:
        """Return when nothing about a run is left."""
        self._wanted.set()
        async with self._rounds:
            await self._rounds.wait_for(lambda: not self.has_any(run))

    def look(self) -> None:
        """Look now whether something was left."""
        self._wanted.set()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    async def run(self) -> None:
        """Send what there is, for ever.  Raises `AgentRefusedError`."""
        backoff = Backoff()
        while True:
            self._wanted.clear()
            pause = _LOOK_SECONDS
            if waiting_files(self._directory):
                pause = await self._round(backoff)
            async with self._rounds:
                self._kept = {path.name.partition(".")[0] for path in waiting_files(self._directory)} & self._kept
                self._rounds.notify_all()
            with contextlib.suppress(TimeoutError):
                if pause == _LOOK_SECONDS:
                    await asyncio.wait_for(self._wanted.wait(), pause)
                else:
                    await asyncio.sleep(pause)

    async def _round(self, backoff: Backoff) -> float:
        said: list[str] = []
        try:
            done = await asyncio.to_thread(deliver, self._directory, self._session, said.append)
        except AuthorizationError as error:
            raise AgentRefusedError(str(error)) from error
        except (ClientError, OSError) as error:
            self._outage.failed(error)
            return backoff.pause()
        finally:
            for sentence in said:
                self._logger.warning("%s", sentence)
        if done.sent:
            self._outage.succeeded()
            self._logger.info("Sent what was kept in %d file(s) while the API was away.", done.sent)
        if self._kept:
            # Somebody holds a file that ours wait behind.
            return backoff.pause()
        backoff.reset()
        return _LOOK_SECONDS
