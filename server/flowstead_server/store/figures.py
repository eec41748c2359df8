"""Figures about all tenants together, for those who run the server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flowstead_server.db import load_statements

if TYPE_CHECKING:
    from flowstead_server.db.database import Database

_SQL: Final = load_statements(__package__, "figures.sql")


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """How many flow runs wait for their time or an agent, how many could start now, and what those in flight do.

    `oldest_due`: for how many seconds the run has been due that waits longest; 0 if none is.
    """

    waiting: int
    due: int
    oldest_due: float
    submitted: int
    running: int


async def queue(database: Database) -> QueueFigures:
    """Count the flow runs of all tenants. Raises StatementTimeoutError if there are too many to be counted."""
    (row,) = await database.read(_SQL["queue"])
    return QueueFigures(**row)
