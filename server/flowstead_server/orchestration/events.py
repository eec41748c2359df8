"""Following a run: pages of its events. Whoever reads on from the last cursor misses and repeats nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowstead_server.domain.errors import BadInputError, NotFoundError
from flowstead_server.store import events as store
from flowstead_server.store.events import Event, EventPage

if TYPE_CHECKING:
    from uuid import UUID

    from flowstead_server.db import Database
    from flowstead_server.domain.caller import Caller

__all__ = ["MAX_PAGE", "Event", "EventPage", "read_events"]

MAX_PAGE: Final = 500


async def read_events(
    database: Database, caller: Caller, flow_run_id: UUID, after: int = 0, limit: int = MAX_PAGE
) -> EventPage:
    """Return at most `limit` events (1 to 500) after a cursor; 0 is before the first.

    Raises NotFoundError and BadInputError.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise BadInputError(f"A page has 1 to {MAX_PAGE} events, not {limit}.")
    if not 0 <= after < 2**63:
        raise BadInputError(f"{after} is not a cursor of events.")
    page = await store.read(database, caller.tenant_id, flow_run_id, after, limit)
    if page is None:
        raise NotFoundError(f"Flow run {flow_run_id} not found")
    return page
