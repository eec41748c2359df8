"""Coalescing: calls that arrive while the database works on earlier ones go to it together.

There are no timers: an idle server answers one call at once, a busy one makes batches as large as its load. One bad
item never fails its neighbours: a batch that fails is repeated item by item. A caller that goes away before its batch
starts is left out of it; later, its work is done and nobody is told.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from flowstead_server.domain.errors import ApiUnavailableError, ConflictError, FlowsteadError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Batcher(Generic[Item, Answer]):
    """Hands items to `run` in batches of at most `max_size`, at most `max_in_flight` batches at a time.

    A batch also ends with the item that brings its weight (`weigh`, for instance bytes) to `max_weight`.
    `run` answers in the order of its items; an answer that is a FlowsteadError is raised to that item's caller alone.
    """

    def __init__(
        self,
        run: Callable[[list[Item]], Awaitable[Sequence[Answer | FlowsteadError]]],
        *,
        max_size: int = 128,
        max_in_flight: int = 2,
        weigh: Callable[[Item], int] = lambda _: 0,
        max_weight: int = 2_000_000,
    ) -> None:
        self._run = run
        self._max_size = max_size
        self._max_in_flight = max_in_flight
        self._weigh = weigh
        self._max_weight = max_weight
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._workers: set[asyncio.Task[None]] = set()

    async def submit(self, item: Item) -> Answer:
        """Return the answer for one item. Raises what `run` raised or answered for it."""
        return await self._enqueue(item)

    async def submit_all(self, items: Sequence[Item]) -> list[Answer | FlowsteadError]:
        """Return each item's answer or expected error, in order. Other errors are raised."""
        futures = [self._enqueue(item) for item in items]
        answers = await asyncio.gather(*futures, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, FlowsteadError):
                raise answer
        return answers  # type: ignore[return-value] # other exceptions were raised

    def _enqueue(self, item: Item) -> asyncio.Future[Answer]:
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        # a worker that has ended is still in the set when the callers it answered go on
        if sum(not worker.done() for worker in self._workers) < self._max_in_flight:
            worker = asyncio.create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
        return future

    async def _work(self) -> None:
        while self._waiting:
            batch: list[tuple[Item, asyncio.Future[Answer]]] = []
            weight = 0
            while self._waiting and len(batch) < self._max_size and weight < self._max_weight:
                item, future = self._waiting.popleft()
                if not future.done():
                    batch.append((item, future))
                    weight += self._weigh(item)
            if batch:
                await self._answer(batch)

    async def _answer(self, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            await self._try(batch)
        except BaseException:
            # only when the server ends while the batch is at the database
            for _, future in batch:
                if not future.done():
                    future.set_exception(ApiUnavailableError("The server is shutting down."))
            raise

    async def _try(self, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._run([item for item, _ in batch])
        except Exception as error:
            lost = isinstance(error, ApiUnavailableError) and not isinstance(error, ConflictError)
            if len(batch) == 1 or lost:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                return
            for item in batch:
                await self._try([item])
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, FlowsteadError):
                future.set_exception(answer)
            else:
                future.set_result(answer)
