"""Forgetting old logs and runs: logs first, in small pieces with a pause after each, so that nobody notices.

Any number of processes may do it; a lease lets one at a time. Every piece is a transaction of its own that looks again
at what it deletes: a run that goes on, or that somebody is changing, is left alone. A day of the log whose lines may
all go is emptied and dropped as a table. That needs a lock which everybody who uses the log would have to wait for, so
it is only tried for a few milliseconds at a time, and left to the next round if the log is never free.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from flowstead_server.db import Lease
from flowstead_server.domain.errors import ConflictError
from flowstead_server.domain.retention import DEFAULT_RULES, Action, Rule, cutoffs, days_to_look_at, decide, unowned
from flowstead_server.store import retention as store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import date, datetime
    from uuid import UUID

    from flowstead_server.db import Database, Transaction
    from flowstead_server.domain.retention import Cutoff

logger = logging.getLogger(__name__)

LEASE: Final = "retention"
_RUNS_AT_ONCE: Final = 200
# Beyond some thousand, an array of runs costs more than it saves.
_RUNS_OF_LINES: Final = 500
_LOCK_WAIT: Final = timedelta(milliseconds=40)
_ROW_LOCK_WAIT: Final = timedelta(seconds=1)
_DROP_TRIES: Final = 20
_DROP_PAUSE: Final = 1.0
_CLOCK_SKEW: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast is deleted: lines and rows in one transaction, and the pause between two.

    `rest`: the pause is as many times as long as the work took, but never shorter than `least` seconds.
    """

    lines: int = 2_000
    rows: int = 300
    rest: float = 2.0
    least: float = 0.01


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was deleted.

    `log_lines` includes those of dropped days, `log_days` is the tables that were dropped, `task_runs` those of the
    `flow_runs`. `postponed`: pieces left to the next round, because others were using them. `elsewhere`: 1 if another
    process was at it, and nothing was done.
    """

    log_lines: int = 0
    log_days: int = 0
    flow_runs: int = 0
    task_runs: int = 0
    messages: int = 0
    postponed: int = 0
    elsewhere: int = 0


class Retention:
    """Forgets what is old enough on one database. Get it with `database.part`."""

    def __init__(self, database: Database) -> None:
        self.rules: Sequence[Rule] = DEFAULT_RULES
        self.pace = Pace()
        self._database = database

    async def cutoffs(self, now: datetime | None = None) -> list[Cutoff]:
        """Return what is old enough at `now`, by the rules of the server and of the projects."""
        moment = now or await store.clock(self._database)
        return cutoffs(moment, self.rules, await store.own_rules(self._database))

    async def forget(self, now: datetime | None = None) -> Forgotten:
        """Forget all that is old enough at `now` (default: the database's clock)."""
        async with Lease(self._database, LEASE) as lease:
            if not lease.held:
                return Forgotten(elsewhere=1)
            return await _Round(self._database, store.Limits(await self.cutoffs(now)), self.pace, lease).run()


class _Round:
    """One round under the lease; what it does is counted as it goes."""

    def __init__(self, database: Database, limits: store.Limits, pace: Pace, lease: Lease) -> None:
        self._database = database
        self._limits = limits
        self._pace = pace
        self._lease = lease
        self._counts: Counter[str] = Counter()
        self._tired = 0.0

    async def run(self) -> Forgotten:
        days = days_to_look_at(await store.days_of_log(self._database), self._limits.cutoffs)
        for day in days:
            if self._lease.held:
                await self._forget_day(day)
        await self._forget_runs()
        await self._forget_messages()
        return Forgotten(**self._counts)

    async def _forget_day(self, day: date) -> None:
        for _ in range(_DROP_TRIES):
            found = await store.look_at_day(self._database, day, self._limits)
            action = decide(found.facts)
            if action in {Action.KEEP, Action.WAIT} or not self._lease.held:
                return
            if action is Action.DELETE:
                await self._delete_lines(day, found)
                if len(found.expired_ids) + found.unowned >= found.facts.expired:
                    return
            elif await self._drop(day):
                return
            else:
                # Whoever held the log may take long; a run of this day may go on meanwhile.
                await asyncio.sleep(_DROP_PAUSE)
        self._counts["postponed"] += 1

    async def _drop(self, day: date) -> bool:
        lines = await store.count_day(self._database, day)
        try:
            if lines:
                await self._piece(_LOCK_WAIT, partial(store.empty_day, day=day), one_day=True)
                self._counts["log_lines"] += lines
            dropped = await self._piece(_LOCK_WAIT, partial(store.drop_day, day=day), one_day=True)
        except ConflictError:
            return False
        if dropped:
            self._counts["log_days"] += 1
            logger.info("The log of %s is forgotten: %d lines", day, lines)
        return dropped

    async def _delete_lines(self, day: date, found: store.FoundDay) -> None:
        ids = found.expired_ids
        for start in range(0, len(ids), _RUNS_OF_LINES):
            runs = ids[start : start + _RUNS_OF_LINES]
            await self._all_lines(partial(store.delete_lines, day=day, runs=runs, limit=self._pace.lines), one_day=True)
        if found.unowned:
            await self._all_lines(partial(store.delete_unowned_lines, day=day, limit=self._pace.lines), one_day=True)

    async def _all_lines(self, delete: Callable[[Transaction], Awaitable[int]], *, one_day: bool) -> bool:
        """Delete lines until none is left; false if others were using them."""
        while self._lease.held:
            try:
                deleted = await self._piece(_ROW_LOCK_WAIT, delete, one_day=one_day)
            except ConflictError:
                self._counts["postponed"] += 1
                return False
            self._counts["log_lines"] += deleted
            if deleted < self._pace.lines:
                return True
        return False

    async def _forget_runs(self) -> None:
        tried: set[UUID] = set()
        while self._lease.held:
            runs = await store.expired_runs(self._database, self._limits, _RUNS_AT_ONCE, tried)
            if not runs:
                return
            for group in _groups(runs, self._pace.rows):
                deleted = await self._delete_runs(group)
                tried.update(run.id for run in group if run.id not in deleted)
            if len(tried) > _RUNS_AT_ONCE:
                # So many that are in use are no accident.
                return

    async def _forget_messages(self) -> None:
        before = unowned(self._limits.cutoffs).runs_before
        while self._lease.held:
            delete = partial(store.delete_messages, before=before, limit=self._pace.rows)
            try:
                deleted = await self._piece(_ROW_LOCK_WAIT, delete)
            except ConflictError:
                self._counts["postponed"] += 1
                return
            self._counts["messages"] += deleted
            if deleted < self._pace.rows:
                return

    async def _delete_runs(self, runs: Sequence[store.ExpiredRun]) -> set[UUID]:
        since = min(run.created for run in runs) - _CLOCK_SKEW
        lines = partial(store.delete_lines_of_runs, runs=runs, since=since, count=self._pace.lines)
        if not await self._all_lines(lines, one_day=False):
            return set()
        try:
            deleted = set(await self._piece(_ROW_LOCK_WAIT, partial(store.delete_runs, runs=runs)))
        except ConflictError:
            deleted = set()
        self._database.hints.runs_changed(deleted)
        self._counts["flow_runs"] += len(deleted)
        self._counts["task_runs"] += sum(run.task_runs for run in runs if run.id in deleted)
        self._counts["postponed"] += len(runs) - len(deleted)
        return deleted

    async def _piece(
        self, lock_wait: timedelta, work: Callable[[Transaction], Awaitable[store.Result]], *, one_day: bool = False
    ) -> store.Result:
        """Rest from the last piece of work, and do one in a transaction of its own. Raises ConflictError."""
        await asyncio.sleep(self._tired)
        loop = asyncio.get_running_loop()
        begin = loop.time()
        try:
            async with self._database.transaction() as transaction:
                await store.hurry(transaction, lock_wait, one_day=one_day)
                return await work(transaction)
        finally:
            self._tired = max(self._pace.least, self._pace.rest * (loop.time() - begin))


def _groups(runs: Sequence[store.ExpiredRun], rows: int) -> list[list[store.ExpiredRun]]:
    """Divide runs into groups that have about so many rows; a run is never divided."""
    groups: list[list[store.ExpiredRun]] = []
    left = 0
    for run in runs:
        size = 1 + run.task_runs
        if not groups or left < size:
            groups.append([])
            left = rows
        groups[-1].append(run)
        left -= size
    return groups
