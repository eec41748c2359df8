"""Cancelling flow runs, with or without the runs that they have created.

A run that no process executes is Cancelled at once; another one is Cancelling until its process has stopped, which its
agent is told to see to. Cancelling what has ended, or what is being cancelled already, changes nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from flowstead_server.domain.errors import FlowsteadError, NotFoundError
from flowstead_server.domain.serialized_states import parse_state
from flowstead_server.domain.states import classify
from flowstead_server.orchestration.flow_run_states import FlowRunWrite, FlowRunWriter, RunMovedError
from flowstead_server.orchestration.logs import write_run_logs
from flowstead_server.store import flow_runs as run_store
from flowstead_server.store import states as store

if TYPE_CHECKING:
    from uuid import UUID

    from flowstead_server.db import Database
    from flowstead_server.domain.caller import Caller

_ATTEMPTS: Final = 5
# Six times as long as an idle agent lets pass between two requests.
_AGENT_SILENT: Final = timedelta(seconds=60)
_LOGGER_NAME: Final = "flowstead.cancellation"
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What came of it: the name of the run's state, and the child runs that were cancelled with it."""

    state: str
    children: list[UUID]


async def cancel_flow_run(database: Database, caller: Caller, flow_run_id: UUID, *, cascade: bool = False) -> Cancelled:
    """Cancel a run: at once if it does not run, else by telling its process; `cascade`: with all that it created.

    The children of a run that has ended already are cancelled too if `cascade` asks for it. Raises NotFoundError.
    """
    state = await _cancel(database, caller, flow_run_id)
    children = []
    if cascade:
        for child in await run_store.unfinished_descendants(database, caller.tenant_id, flow_run_id):
            try:
                await _cancel(database, caller, child)
            except NotFoundError:
                continue  # deleted in this moment
            children.append(child)
    return Cancelled(state, children)


async def _cancel(database: Database, caller: Caller, flow_run_id: UUID) -> str:
    writer = database.part(FlowRunWriter)
    for attempt in range(_ATTEMPTS):
        found = await store.read_flow_runs(database, [(caller.tenant_id, flow_run_id)])
        run = found.get((caller.tenant_id, flow_run_id))
        if run is None:
            raise NotFoundError(f"Invalid flow run ID: {flow_run_id}.")
        if run.state is not None and (run.state == "Cancelling" or classify(run.state).is_finished):
            return run.state
        name, message = (
            ("Cancelling", "Flow run is cancelling")
            if classify(run.state).is_running
            else ("Cancelled", "Flow run is cancelled")
        )
        state = parse_state({"type": name, "message": message}, datetime.now(UTC))
        try:
            # the version that was looked at: between Scheduled and Running lies the difference between the two answers
            await writer.write(FlowRunWrite(caller, flow_run_id, state, None, only_from=run.version))
        except RunMovedError:
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            if name == "Cancelling":
                await _tell_if_nobody_listens(database, caller, flow_run_id)
            return name
    raise AssertionError("unreachable")


async def _tell_if_nobody_listens(database: Database, caller: Caller, flow_run_id: UUID) -> None:
    """Write into the run's log that its agent cannot stop it. The cancellation stands even if that fails."""
    by = await run_store.who_runs(database, caller.tenant_id, flow_run_id, _AGENT_SILENT)
    if by is None or by.agent_lives:
        return
    who = (
        "No agent started this run"
        if by.agent_name is None or by.agent_seen is None
        else f"The agent '{by.agent_name}' that started this run was last heard of {_moment(by.agent_seen)}"
    )
    process = "never" if by.process_seen is None else _moment(by.process_seen)
    line = {
        "flow_run_id": flow_run_id,
        "name": _LOGGER_NAME,
        "level": "WARNING",
        "message": (
            f"{who}, so it cannot end the run's process. The process ends by itself when it next asks for the run's "
            f"state, unless it is gone too; it was last heard of {process}."
        ),
    }
    try:
        await write_run_logs(database, type(caller)(caller.tenant_id), [line])
    except FlowsteadError as error:
        _logger.warning("Cannot write into the log of flow run %s: %s", flow_run_id, error)


def _moment(moment: datetime) -> str:
    return f"at {moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
