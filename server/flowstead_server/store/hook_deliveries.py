"""The outbox of cloud hooks: taking what is due under a lease, writing down how it went, forgetting what is old.

A trigger writes down an event and whom to tell, in the transaction that writes a state; from that deliveries are made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from flowstead_server.db import json_text, load_statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import timedelta
    from uuid import UUID

    from flowstead_server.db.database import Executor

_SQL: Final = load_statements(__package__, "hook_deliveries.sql")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one hook, to be sent now. `attempts` counts this one; `sent` requests of it arrived earlier."""

    id: UUID
    tenant_id: UUID
    hook_id: UUID
    lease: UUID
    attempts: int
    sent: int
    type: str
    config: dict[str, Any]
    secret: str | None
    event: dict[str, Any]


async def spread(executor: Executor, about: int = 2000) -> int:
    """Make about so many deliveries of new events; returns of how many events. 0: there are none, or others do it."""
    events: int = await executor.fetch_value(_SQL["spread"], about)
    return events


async def take(
    executor: Executor, busy: Mapping[UUID, int], share: int, limit: int, lease: timedelta
) -> list[Delivery]:
    """Take up to `limit` deliveries, of each hook as many as its share leaves after its `busy` calls."""
    calls = json_text([{"id": hook_id, "calls": count} for hook_id, count in busy.items()])
    rows = await executor.fetch(_SQL["take"], calls, share, limit, lease)
    return [
        Delivery(
            row["id"],
            row["tenant_id"],
            row["cloud_hook_id"],
            row["lease"],
            row["attempts"],
            row["sent"],
            row["type"],
            orjson.loads(row["config"]),
            row["secret"],
            orjson.loads(row["event"]),
        )
        for row in rows
    ]


async def oldest_due(executor: Executor) -> float:
    """Return for how many seconds the longest waiting delivery that is due has been so, or an event without any."""
    seconds: float = await executor.fetch_value(_SQL["oldest_due"])
    return seconds


async def delivered(executor: Executor, delivery: Delivery, sent: int) -> bool:
    """Write down that a delivery arrived; false if it is another one's by now."""
    return await executor.execute(_SQL["delivered"], delivery.id, delivery.lease, sent) > 0


async def failed(executor: Executor, delivery: Delivery, error: str, sent: int, pause: timedelta | None) -> None:
    """Write down why a delivery did not arrive. It is due again after a pause; without one it is dead."""
    arguments = (delivery.id, delivery.lease, error.replace("\0", ""), sent)
    if pause is None:
        await executor.execute(_SQL["dead"], *arguments)
    else:
        await executor.execute(_SQL["failed"], *arguments, pause)


async def retry(executor: Executor, tenant_id: UUID, delivery_id: UUID) -> UUID | None:
    """Let a dead or waiting delivery be due now; returns its flow run, null if there is no such delivery."""
    flow_run_id: UUID | None = await executor.fetch_value(_SQL["retry"], tenant_id, delivery_id)
    return flow_run_id


async def lock_cleaning(executor: Executor) -> bool:
    """Begin to clean in this transaction; false if somebody else does."""
    locked: bool = await executor.fetch_value(_SQL["lock"])
    return locked


async def forget(
    executor: Executor, keep_delivered: timedelta, keep_others: timedelta, limit: int
) -> tuple[list[str], set[UUID]]:
    """Delete old deliveries, up to `limit` of each kind; returns their states and the ids of their events."""
    rows = await executor.fetch(_SQL["forget"], keep_delivered, keep_others, limit)
    return [row["state"] for row in rows], {row["event_id"] for row in rows}


async def forget_events(executor: Executor, event_ids: Iterable[UUID]) -> None:
    """Delete those of the events that no delivery is left of. After `forget`, in its transaction."""
    await executor.execute(_SQL["forget_events"], list(event_ids))
