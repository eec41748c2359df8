"""What users do while everything breaks: they create runs, cancel some, and write into the logs of others.

No more than `MOST_AT_ONCE` runs are under way at a time, so that a slow machine takes longer and does not choke.

Each request is repeated until it is answered, at a server or proxy drawn by lot, and what was answered goes into the
journal. Runs are created with idempotency keys; some creates are repeated although they were answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from history import Journal
from world import NARROW, REAL, TINY, World

from prefect._generated import inputs
from prefect._generated import operations as ops
from prefect.client.request import Request
from prefect.client.session import AsyncSession
from prefect.exceptions import ClientError, ObjectNotFoundError, VersionLockMismatchSignal

R = TypeVar("R")
# Answers that stay what they are: a mistake in this test, or something acknowledged that is gone.
MOST_AT_ONCE = 150
FINAL = {"BAD_USER_INPUT", "FOREIGN_KEY_VIOLATION"}


@dataclass(frozen=True, slots=True)
class Mix:
    """What runs are like: the flows of real processes, in turn, those of executors, by lot, and shares of all runs."""

    real: float = 0.1
    real_flows: Sequence[str] = ("steps", "slow", "retrying", "mapped", "steps", "slow")
    tiny_flows: Sequence[str] = ("tiny", "tiny", "tiny", "tiny", "stubborn")
    later: float = 0.1
    limited: float = 0.1
    cancelled: float = 0.06
    repeated: float = 0.2
    noted: float = 0.15


class Load:
    """Creates `runs` runs in no less than `seconds`; `created` counts those that were acknowledged."""

    def __init__(self, world: World, chance: random.Random, runs: int, seconds: float, mix: Mix) -> None:
        self._world = world
        self._chance = chance
        self._runs = runs
        self._seconds = seconds
        self._mix = mix
        self._journal = Journal(world.journals)
        self._sessions: Sequence[AsyncSession] = ()
        self.created = 0
        self._under_way = 0
        self.repeats = 0

    async def run(self) -> None:
        """Do it all; returns when everything was acknowledged."""
        async with contextlib.AsyncExitStack() as stack:
            self._sessions = [
                await stack.enter_async_context(AsyncSession(proxy.url, timeout=3, retry_for=0))
                for proxy in self._world.proxies
            ]
            plans = [self._plan(number) for number in range(self._runs)]
            looking = asyncio.create_task(self._look())
            began = asyncio.get_running_loop().time()
            async with asyncio.TaskGroup() as group:
                for number, plan in enumerate(plans):
                    due = began + number * self._seconds / self._runs
                    await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
                    while self._under_way >= MOST_AT_ONCE:  # noqa: ASYNC110 - the figure comes from the database
                        await asyncio.sleep(0.05)
                    self._under_way += 1
                    group.create_task(self._one(number, plan))
            looking.cancel()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(1)
            if (unfinished := await self._world.unfinished()) is not None:
                self._under_way = unfinished

    async def _one(self, number: int, plan: dict[str, Any]) -> None:
        try:
            await self._live(number, plan)
        except (ClientError, VersionLockMismatchSignal) as error:
            # the checker says what has become of the run
            print(f"run {number}: {error!r}", file=sys.stderr)

    def _plan(self, number: int) -> dict[str, Any]:
        """What is left to chance about one run, drawn in the order of the runs, so that a seed says it all."""
        chance, mix = self._chance, self._mix
        # every so many, rather than by lot, so that a short test has them all
        every = round(1 / mix.real)
        is_real = number % every == 0
        flows = mix.real_flows if is_real else mix.tiny_flows
        return {
            "flow": flows[number // every % len(flows)] if is_real else chance.choice(flows),
            "labels": [REAL] if is_real else [TINY, NARROW] if chance.random() < mix.limited else [TINY],
            "key": str(uuid.UUID(int=chance.getrandbits(128))),
            "delay": chance.uniform(0.5, 6) if chance.random() < mix.later else 0,
            "cancel": chance.uniform(0, 3) if chance.random() < mix.cancelled else None,
            "again": chance.uniform(0, 5) if chance.random() < mix.repeated else None,
            "notes": chance.randint(1, 3) if chance.random() < mix.noted else 0,
        }

    async def _live(self, number: int, plan: dict[str, Any]) -> None:
        due = datetime.now(UTC) + timedelta(seconds=plan["delay"]) if plan["delay"] else None
        run_id = await self._create(plan, due)
        self.created += 1
        for note in range(plan["notes"]):
            await self._note(run_id, number, note)
        if plan["cancel"] is not None:
            await asyncio.sleep(plan["cancel"])
            answer = await self._insist(ops.cancel_flow_run(flow_run_id=run_id))
            self._journal.write("cancelled", run=run_id, state=answer.state)
        if plan["again"] is not None:
            await asyncio.sleep(plan["again"])
            await self._create(plan, due)

    async def _create(self, plan: dict[str, Any], due: datetime | None) -> str:
        request = ops.create_flow_run(
            flow_id=self._world.flows[plan["flow"]],
            labels=plan["labels"],
            idempotency_key=plan["key"],
            scheduled_start_time=due,
            parameters={"seconds": self._world.heartbeat_limit + 2} if plan["flow"] == "slow" else {},
        )
        run_id = (await self._insist(request)).id
        self._journal.write("created", key=plan["key"], run=run_id)
        return run_id

    async def _note(self, run_id: str, number: int, note: int) -> None:
        batch = str(uuid.UUID(int=self._chance.getrandbits(128)))
        texts = [f"note {batch} of run {number}: {note}.{line}" for line in range(2)]
        logs = [inputs.WriteRunLogInput(flow_run_id=run_id, message=text, name="user") for text in texts]
        await self._insist(ops.write_run_logs(logs=logs, batch_id=batch))
        self._journal.write("lines", run=run_id, texts=texts)

    async def _insist(self, request: Request[R]) -> R:
        while True:
            try:
                return await random.choice(self._sessions).execute(request)
            except (ClientError, VersionLockMismatchSignal) as error:
                if isinstance(error, ObjectNotFoundError) or getattr(error, "code", None) in FINAL:
                    raise
                self.repeats += 1
                await asyncio.sleep(random.uniform(0.05, 0.5))
