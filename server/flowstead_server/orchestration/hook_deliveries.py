"""Delivering events of cloud hooks from the outbox: at least once, normally once, and none holding up another.

A delivery is taken under a lease, sent outside of any transaction, and written down. Should this process end in
between, the lease ends and the event is sent again, with the same id. A receiver that hangs costs its own hook a place,
and others nothing: each hook has a share of the calls that are made at a time.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from flowstead_server.domain.errors import FlowsteadError
from flowstead_server.domain.hook_rules import pause_after
from flowstead_server.domain.hooks import MESSAGE_TYPE, event_text, hook_requests
from flowstead_server.domain.serialized_states import encode
from flowstead_server.orchestration.hook_sender import DeliveryError, HookSender
from flowstead_server.store import hook_deliveries as store
from flowstead_server.store import messages

if TYPE_CHECKING:
    from uuid import UUID

    from flowstead_server.db import Database, Transaction
    from flowstead_server.domain.caller import Caller
    from flowstead_server.domain.hooks import HookRequest
    from flowstead_server.store.hook_deliveries import Delivery

logger = logging.getLogger(__name__)

_CALLS: Final = 64
_CALLS_OF_A_HOOK: Final = 4
# Longer than the deadline of the sender.
_LEASE: Final = timedelta(seconds=60)
# How long one round goes on; what is not done then is counted by the next one.
_ROUND_SECONDS: Final = 1.0
# Longer than most receivers take: whoever stops a server does not want the last events to be sent twice.
_GRACE_SECONDS: Final = 3.0
_NEVER_HEARD: Final = "The servers that sent it ended before they heard an answer."
_CLEANED_AT_ONCE: Final = 5000


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a round did: deliveries that arrived, will be tried again, or are given up."""

    delivered: int = 0
    failed: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Deliveries that were deleted: old ones, and those that waited for a hook that is gone or off for too long."""

    delivered: int = 0
    dead: int = 0
    waiting: int = 0


async def retry_cloud_hook_delivery(database: Database, caller: Caller, delivery_id: UUID) -> bool:
    """Let a dead or waiting delivery be tried now; false if there is none, or it has arrived or is under way."""
    flow_run_id = await store.retry(database, caller.tenant_id, delivery_id)
    if flow_run_id is not None:
        database.hints.runs_changed([flow_run_id])
    return flow_run_id is not None


async def forget_old_deliveries(database: Database) -> Forgotten:
    """Delete what is older than the rules keep it. Does nothing while another process does it."""
    rules = database.part(HookSender).rules
    counts: Counter[str] = Counter()

    async def work(transaction: Transaction) -> list[str]:
        if not await store.lock_cleaning(transaction):
            return []
        states, event_ids = await store.forget(transaction, rules.keep_delivered, rules.keep_dead, _CLEANED_AT_ONCE)
        await store.forget_events(transaction, event_ids)
        return states

    while states := await database.transact(work):
        counts.update(states)
    return Forgotten(counts["Delivered"], counts["Dead"], counts["Waiting"])


async def oldest_due_delivery(database: Database) -> float:
    """Return for how many seconds a delivery has been due, 0 if none is."""
    return await store.oldest_due(database)


class HookDeliverer:
    """Delivers for one server process. Get it with `database.part(HookDeliverer)`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sender = database.part(HookSender)
        self._calls: dict[asyncio.Task[Delivered], UUID] = {}
        self._look = asyncio.Event()
        self._new = True
        self._more = False
        self.events = 0
        """How many new events this process has made deliveries of."""

    def look(self) -> None:
        """Say that something may be due. A round that is under way looks at once."""
        self._new = True
        self._look.set()

    @property
    def busy(self) -> bool:
        """Whether deliveries are under way, or may be to be made."""
        return self._more or bool(self._calls)

    async def deliver_due(self, seconds: float = _ROUND_SECONDS) -> Delivered:
        """Deliver until nothing is due and all is done, or for `seconds`; what is under way then goes on."""
        counts: Counter[str] = Counter()
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        self._new = True
        while True:
            self._look.clear()
            await self._start_due()
            rest = end - loop.time()
            if rest <= 0 or not self.busy:
                return Delivered(**counts)
            if not self._more:
                await self._wait(rest)
            self._collect(counts)

    async def close(self) -> None:
        """Give what is under way a moment to end, then end it; it is sent again when its lease ends."""
        if self._calls:
            await asyncio.wait(self._calls, timeout=_GRACE_SECONDS)
        for task in self._calls:
            task.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        self._calls.clear()

    async def _start_due(self) -> None:
        # as long as there were new events, there may be more of them
        if self._new or self._more:
            self._new = False
            found = await store.spread(self._database)
            self.events += found
            self._more = found > 0
        free = _CALLS - len(self._calls)
        if free > 0:
            busy = Counter(self._calls.values())
            for delivery in await store.take(self._database, busy, _CALLS_OF_A_HOOK, free, _LEASE):
                self._calls[asyncio.create_task(self._deliver(delivery))] = delivery.hook_id

    async def _wait(self, seconds: float) -> None:
        """Return when a call is done or something new may be due."""
        look = asyncio.create_task(self._look.wait())
        try:
            await asyncio.wait([look, *self._calls], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Not waited for: that would swallow a cancellation that comes meanwhile, and nobody could end this.
            look.cancel()

    def _collect(self, counts: Counter[str]) -> None:
        for task in [task for task in self._calls if task.done()]:
            del self._calls[task]
            done = task.result()
            counts.update({member.name: getattr(done, member.name) for member in fields(done)})

    async def _deliver(self, delivery: Delivery) -> Delivered:
        try:
            return await self._deliver_now(delivery)
        except FlowsteadError as error:
            # what happened could not be written down: when the lease ends, somebody does it again
            logger.warning("How a delivery went could not be stored, so it is repeated: %s", error)
            return Delivered(failed=1)
        finally:
            self._look.set()

    async def _deliver_now(self, delivery: Delivery) -> Delivered:
        rules = self._sender.rules
        if delivery.type == "PREFECT_MESSAGE":
            await self._database.transact(lambda transaction: self._store_message(transaction, delivery))
            return Delivered(delivered=1)
        sent = delivery.sent
        if delivery.attempts > rules.attempts:
            return await self._note_failure(delivery, sent, DeliveryError(_NEVER_HEARD))
        try:
            async with self._sender.deadline():
                for request in self._requests(delivery)[sent:]:
                    await self._sender.send(request)
                    sent += 1
        except (DeliveryError, KeyError, TypeError) as error:
            return await self._note_failure(delivery, sent, error)
        await store.delivered(self._database, delivery, sent)
        return Delivered(delivered=1)

    def _requests(self, delivery: Delivery) -> list[HookRequest]:
        rules = self._sender.rules
        return hook_requests(
            delivery.type,
            delivery.config,
            delivery.event,
            link_base=rules.link_base,
            secret=delivery.secret,
            timeout=rules.timeout,
        )

    async def _note_failure(self, delivery: Delivery, sent: int, error: Exception) -> Delivered:
        message, wanted = f"The hook's config is unusable: {error!r}.", timedelta(0)
        if isinstance(error, DeliveryError):
            message, wanted = error.message, error.wanted_pause
        pause = pause_after(delivery.attempts, self._sender.rules, random.random(), wanted)  # noqa: S311 - spreads load
        await store.failed(self._database, delivery, message, sent, pause)
        return Delivered(dead=1) if pause is None else Delivered(failed=1)

    async def _store_message(self, transaction: Transaction, delivery: Delivery) -> None:
        if not await store.delivered(transaction, delivery, 1):
            return
        text = event_text(delivery.event, self._sender.rules.link_base)
        content = encode({"type": MESSAGE_TYPE, "event": delivery.event})
        await messages.create(transaction, delivery.tenant_id, MESSAGE_TYPE, text, content)
