"""Refusing writes of processes whose claim on a flow run has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstead_server.domain.errors import StaleWriteError
from flowstead_server.store.flow_runs import claim_of

if TYPE_CHECKING:
    from uuid import UUID

    from flowstead_server.db import Database
    from flowstead_server.domain.caller import Caller


async def check_claim(database: Database, caller: Caller, flow_run_id: UUID | None) -> None:
    """Raise StaleWriteError if the caller sends a token that is not the run's. An unknown run is no error."""
    if caller.claim_token is None or flow_run_id is None:
        return
    exists, token = await claim_of(database, caller.tenant_id, flow_run_id)
    if exists and token != caller.claim_token:
        raise StaleWriteError(f"The claim of this process on the flow run {flow_run_id} has ended.", flow_run_id)
