"""What a claim token says of a write: whether its sender still has the run, and whether it has sent it before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from flowstead_server.domain.errors import StaleWriteError
from flowstead_server.store.flow_runs import claim_of

if TYPE_CHECKING:
    from uuid import UUID

    from flowstead_server.db import Database
    from flowstead_server.domain.caller import Caller
    from flowstead_server.domain.serialized_states import ParsedState


async def check_claim(database: Database, caller: Caller, flow_run_id: UUID | None) -> None:
    """Raise StaleWriteError if the caller sends a token that is not the run's. An unknown run is no error."""
    if caller.claim_token is None or flow_run_id is None:
        return
    exists, token = await claim_of(database, caller.tenant_id, flow_run_id)
    if exists and token != caller.claim_token:
        raise StaleWriteError(f"The claim of this process on the flow run {flow_run_id} has ended.", flow_run_id)


def is_repetition(caller: Caller, claim_token: UUID | None, stored: str | None, state: ParsedState) -> bool:
    """Whether the one process that has the run sends its present state again, the answer to the first time being lost.

    Without a token it could be another process in the same state, whose write counts. `stored` is JSON text.
    """
    if caller.claim_token is None or caller.claim_token != claim_token or stored is None:
        return False
    return bool(orjson.loads(stored) == orjson.loads(state.payload))
