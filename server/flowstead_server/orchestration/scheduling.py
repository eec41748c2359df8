"""Making the runs that schedules ask for. Any number of server processes may do so at once: no run is made twice.

A flow that is looked at is leased for some seconds. What is made for it is made only while the lease is the flow's, so
that nothing of an old schedule comes after a new one was set. A process that dies leaves its flows to the next one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final

import orjson

from flowstead_server.domain.caller import Caller
from flowstead_server.domain.errors import BadInputError, ConflictError, FlowsteadError, NotFoundError
from flowstead_server.domain.schedules import read_schedule
from flowstead_server.domain.scheduling import Plan, SchedulingRules, idempotency_key, own_policy, plan
from flowstead_server.orchestration.flow_runs import CreateFlowRun, FlowRunCreator
from flowstead_server.orchestration.logs import write_run_logs
from flowstead_server.store import schedules as store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from flowstead_server.db import Database

logger = logging.getLogger(__name__)

LOG_NAME: Final = "prefect-server.Scheduler.FlowRun"
# So few that a batch is done long before its leases end, however many tasks the flows have.
_FLOWS_AT_ONCE: Final = 25
# While the database makes the runs of one batch, the next one is computed.
_WORKERS: Final = 2
_LEASE: Final = timedelta(seconds=20)
_LAST_BATCH_SECONDS: Final = 2.0
_RETRY_REFUSED: Final = timedelta(seconds=150)
_RETRY_UNREADABLE: Final = timedelta(days=1)
_Tally = Counter[str]


@dataclass(frozen=True, slots=True)
class Scheduled:
    """What was done: flows looked at, runs made, runs missed, flows that cannot be scheduled, leases lost meanwhile."""

    flows: int = 0
    runs: int = 0
    missed: int = 0
    refused: int = 0
    unreadable: int = 0
    changed: int = 0


@dataclass(slots=True)
class _Complaints:
    """Flows that were complained about, with the complaint: each is logged once."""

    known: dict[UUID, str] = field(default_factory=dict)

    def say(self, flow: store.DueFlow, complaint: str) -> None:
        if self.known.get(flow.id) != complaint:
            self.known[flow.id] = complaint
            logger.warning("The flow %r (%s) is not run by its schedule: %s", flow.name, flow.id, complaint)


class RunScheduler:
    """Makes runs by schedules on one database. Get it with `database.part`."""

    def __init__(self, database: Database) -> None:
        self.rules = SchedulingRules()
        self._database = database
        self._complaints = _Complaints()

    async def schedule_due(self, now: datetime | None = None) -> Scheduled:
        """Make the runs of all flows that are due; `now` is the database's clock unless given."""
        counts: _Tally = Counter()
        async with asyncio.TaskGroup() as workers:
            for _ in range(_WORKERS):
                workers.create_task(self._work(now, counts))
        return Scheduled(**counts)

    async def oldest_due(self) -> float:
        """Return for how many seconds a flow has been due, 0 if none is."""
        return await store.oldest_due(self._database)

    async def _work(self, now: datetime | None, counts: _Tally) -> None:
        while due := await store.lease(self._database, now, _FLOWS_AT_ONCE, _LEASE):
            batch = asyncio.create_task(self._schedule(due, counts))
            try:
                await asyncio.shield(batch)
            except asyncio.CancelledError:
                # The server stops. What is half done would make the next one wait until the leases end.
                await asyncio.wait([batch], timeout=_LAST_BATCH_SECONDS)
                batch.cancel()
                await asyncio.gather(batch, return_exceptions=True)
                raise

    async def schedule_flows(self, flow_ids: Sequence[UUID]) -> None:
        """Make the first runs of flows whose schedule was set just now. What fails is left to the next round."""
        try:
            due = await store.lease(self._database, None, len(flow_ids), _LEASE, flow_ids)
            await self._schedule(due, Counter())
        except FlowsteadError as error:
            logger.warning("Runs of a new schedule will be made later: %s", error)

    async def _schedule(self, due: Sequence[store.DueFlow], counts: _Tally) -> None:
        if not due:
            return
        counts["flows"] += len(due)
        # In a thread, so that requests are answered meanwhile.
        plans = await asyncio.to_thread(_plans, due, self.rules)
        requests = [_requests(*pair) for pair in zip(due, plans, strict=True)]
        creator = self._database.part(FlowRunCreator)
        answers = iter(await creator.create_all([request for of_flow in requests for request in of_flow]))
        outcomes = [
            await self._carry_out(flow, decided, list(islice(answers, len(of_flow))), counts)
            for flow, decided, of_flow in zip(due, plans, requests, strict=True)
        ]
        held = await store.finish(self._database, outcomes)
        counts["changed"] += len(due) - held

    async def _carry_out(
        self, flow: store.DueFlow, decided: Plan | str, answers: Sequence[UUID | FlowsteadError], counts: _Tally
    ) -> store.Outcome:
        if isinstance(decided, str):
            counts["unreadable"] += 1
            self._complaints.say(flow, decided)
            return store.Outcome(flow.id, flow.lease, flow.now + _RETRY_UNREADABLE, None)
        counts["missed"] += decided.missed
        if decided.due is None and not decided.runs and flow.through is None:
            self._complaints.say(flow, "it has no time that is still to come. Give it another schedule.")
        made: list[UUID] = []
        for answer in answers:
            if isinstance(answer, BadInputError):
                counts["refused"] += 1
                self._complaints.say(flow, answer.message)
                # Nothing was missed: whoever mends the flow gets the runs from then on.
                return store.Outcome(flow.id, flow.lease, flow.now + _RETRY_REFUSED, None)
            if isinstance(answer, ConflictError | NotFoundError):
                # The schedule was changed, or the flow deleted; `finish` will notice.
                continue
            if isinstance(answer, FlowsteadError):
                raise answer
            made.append(answer)
        counts["runs"] += len(made)
        self._complaints.known.pop(flow.id, None)
        if decided.missed and made:
            next_one = min(decided.caught_up, len(made) - 1)
            await self._tell(flow, decided, made[next_one])
        elif decided.missed:
            logger.warning("The flow %r (%s): %s", flow.name, flow.id, missed_message(decided))
        return store.Outcome(flow.id, flow.lease, decided.due, decided.through)

    async def _tell(self, flow: store.DueFlow, decided: Plan, flow_run_id: UUID) -> None:
        message = missed_message(decided)
        logger.warning("The flow %r (%s): %s", flow.name, flow.id, message)
        line = {"flow_run_id": flow_run_id, "level": "WARNING", "name": LOG_NAME, "message": message}
        try:
            await write_run_logs(self._database, Caller(flow.tenant_id), [line])
        except FlowsteadError as error:
            logger.warning("The log of the flow run %s does not say that runs were missed: %s", flow_run_id, error)


def _requests(flow: store.DueFlow, decided: Plan | str) -> list[tuple[Caller, CreateFlowRun]]:
    if isinstance(decided, str):
        return []
    caller = Caller(flow.tenant_id)
    return [
        (
            caller,
            CreateFlowRun(
                flow_id=flow.id,
                parameters=event.parameter_defaults,
                labels=event.labels,
                scheduled_start_time=event.start,
                idempotency_key=idempotency_key(event),
                schedule_lease=flow.lease,
            ),
        )
        for event in decided.runs
    ]


def missed_message(decided: Plan) -> str:
    """Return the log line about runs that were missed."""
    first, last = (
        moment.astimezone(UTC).isoformat(sep=" ", timespec="seconds")
        for moment in (decided.missed_from, decided.missed_to)
        if moment is not None
    )
    few = decided.missed == 1 and not decided.more_missed
    number = f"{'More than ' if decided.more_missed else ''}{decided.missed} scheduled {'run' if few else 'runs'}"
    span = f"of {first}" if first == last else f"from {first} to {last}"
    done = f"{decided.caught_up} of them made late" if decided.caught_up else "skipped"
    return (
        f"{number} {span} could not be made in time, because no scheduler was at work: {done} "
        f"(missed runs: {decided.policy})."
    )


def _plans(due: Sequence[store.DueFlow], rules: SchedulingRules) -> list[Plan | str]:
    return [_plan(flow, rules) for flow in due]


def _plan(flow: store.DueFlow, rules: SchedulingRules) -> Plan | str:
    """Return what to do for a flow, or why nothing can be done."""
    if flow.schedule is None:
        return "it has none."
    try:
        data = orjson.loads(flow.schedule)
        schedule = read_schedule(data)
        rules = replace(rules, missed_runs=own_policy(data, rules.missed_runs))
        return plan(schedule, now=flow.now, through=flow.through, rules=rules, spread=flow.id.int)
    except FlowsteadError as error:
        return error.message
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        # What dates and rules of other programs can do wrong is not to be listed.
        return f"its times cannot be computed ({type(error).__name__}: {error})."
