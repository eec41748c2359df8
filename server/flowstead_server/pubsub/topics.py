"""Who in this process waits for what. Everything here is synchronous and used from one event loop."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

from flowstead_server.pubsub.messages import QueueHint

_MAX_PENDING_SETS = 1_000
_MAX_PENDING_RUNS = 10_000


class RunFollower:
    """Waits for hints about one run. However many arrive, they are one wake-up."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Let `wait` return."""
        self._woken.set()

    async def wait(self, seconds: float) -> bool:
        """Return true at the next hint since the last call, or false after `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        woken = self._woken.is_set()
        self._woken.clear()
        return woken


class QueueFollower(RunFollower):
    """Waits for hints about the queue of a tenant, and remembers which label sets they named."""

    def __init__(self) -> None:
        super().__init__()
        self._sets: set[int] | None = set()

    def hint(self, label_set_ids: Iterable[int] | None) -> None:
        """Take a hint about some label sets, or all."""
        if label_set_ids is None or self._sets is None:
            self._sets = None
        else:
            self._sets.update(label_set_ids)
            if len(self._sets) > _MAX_PENDING_SETS:
                self._sets = None
        self.wake()

    def take(self) -> frozenset[int] | None:
        """Return the label sets that were named since the last call; None means any."""
        sets, self._sets = self._sets, set()
        return None if sets is None else frozenset(sets)


class ChangesFollower(RunFollower):
    """Waits for hints about any run, and remembers which runs they named."""

    def __init__(self) -> None:
        super().__init__()
        self._runs: set[UUID] | None = set()

    def hint(self, run_ids: Iterable[UUID] | None) -> None:
        """Take a hint about some runs, or all."""
        if run_ids is None or self._runs is None:
            self._runs = None
        else:
            self._runs.update(run_ids)
            if len(self._runs) > _MAX_PENDING_RUNS:
                self._runs = None
        self.wake()

    def take(self) -> frozenset[UUID] | None:
        """Return the runs that were named since the last call; None means any."""
        runs, self._runs = self._runs, set()
        return None if runs is None else frozenset(runs)


class Topics:
    """The followers of this process, by run and by tenant."""

    def __init__(self) -> None:
        self._changes: set[ChangesFollower] = set()
        self._runs: defaultdict[UUID, set[RunFollower]] = defaultdict(set)
        self._queues: defaultdict[UUID, set[QueueFollower]] = defaultdict(set)

    @contextmanager
    def follow_run(self, run_id: UUID) -> Iterator[RunFollower]:
        """Follow one run until the context ends."""
        follower = RunFollower()
        self._runs[run_id].add(follower)
        try:
            yield follower
        finally:
            self._runs[run_id].discard(follower)
            if not self._runs[run_id]:
                del self._runs[run_id]

    @contextmanager
    def follow_queue(self, tenant_id: UUID) -> Iterator[QueueFollower]:
        """Follow the queue of a tenant until the context ends."""
        follower = QueueFollower()
        self._queues[tenant_id].add(follower)
        try:
            yield follower
        finally:
            self._queues[tenant_id].discard(follower)
            if not self._queues[tenant_id]:
                del self._queues[tenant_id]

    @contextmanager
    def follow_changes(self) -> Iterator[ChangesFollower]:
        """Follow all runs until the context ends."""
        follower = ChangesFollower()
        self._changes.add(follower)
        try:
            yield follower
        finally:
            self._changes.discard(follower)

    def wake_runs(self, run_ids: Collection[UUID] | None) -> None:
        """Wake the followers of some runs, or of all."""
        for changes in self._changes:
            changes.hint(run_ids)
        if run_ids is None:
            run_ids = list(self._runs)
        for run_id in run_ids:
            for follower in self._runs.get(run_id, ()):
                follower.wake()

    def wake_queues(self, hint: QueueHint) -> None:
        """Wake the followers of a tenant's queue, or of all queues."""
        tenants = list(self._queues) if hint.tenant_id is None else [hint.tenant_id]
        for tenant_id in tenants:
            for follower in self._queues.get(tenant_id, ()):
                follower.hint(hint.label_set_ids)

    def wake_all(self) -> None:
        """Wake everybody: hints may have been missed."""
        self.wake_runs(None)
        self.wake_queues(QueueHint(None, None))

    @property
    def follower_count(self) -> int:
        """How many followers there are."""
        return sum(map(len, self._runs.values())) + sum(map(len, self._queues.values())) + len(self._changes)
