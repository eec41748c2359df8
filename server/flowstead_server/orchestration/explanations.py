"""Saying why a run is where it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowstead_server.domain.errors import NotFoundError
from flowstead_server.domain.explanations import Explanation, RunFacts, explain
from flowstead_server.store import explanations as store

if TYPE_CHECKING:
    from uuid import UUID

    from flowstead_server.db import Database
    from flowstead_server.domain.caller import Caller

__all__ = ["Explained", "explain_flow_run"]


@dataclass(frozen=True, slots=True)
class Explained:
    """A run and the explanation of it."""

    run: RunFacts
    explanation: Explanation


async def explain_flow_run(database: Database, caller: Caller, flow_run_id: UUID) -> Explained:
    """Say what a run waits for, or what it is doing. Raises NotFoundError."""
    run = await store.facts(database, caller.tenant_id, flow_run_id)
    if run is None:
        raise NotFoundError(f"Flow run {flow_run_id} not found")
    return Explained(run, explain(run))
