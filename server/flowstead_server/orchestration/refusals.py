"""Leaving a trace of refused writes in the log of their run."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from flowstead_server.domain.caller import Caller
from flowstead_server.domain.errors import FlowsteadError
from flowstead_server.orchestration.logs import write_run_logs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from flowstead_server.db import Database

_LOGGER_NAME: Final = "flowstead.states"
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A write that was not applied, and why."""

    tenant_id: UUID
    flow_run_id: UUID
    task_run_id: UUID | None
    message: str


async def record_refusals(database: Database, refusals: Sequence[Refusal]) -> None:
    """Write a WARNING line per refusal. The refusal stands even if the line cannot be written."""
    key = attrgetter("tenant_id")
    for tenant_id, group in groupby(sorted(refusals, key=key), key=key):
        lines = [
            {
                "flow_run_id": refusal.flow_run_id,
                "task_run_id": refusal.task_run_id,
                "name": _LOGGER_NAME,
                "level": "WARNING",
                "message": refusal.message,
            }
            for refusal in group
        ]
        try:
            await write_run_logs(database, Caller(tenant_id), lines)
        except FlowsteadError as error:
            _logger.warning("Cannot record %d refused writes in the run logs: %s", len(lines), error)
