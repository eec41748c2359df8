"""Ending tasks for certain: a cancellation can be swallowed, and a task that swallowed it would be waited for for ever.

On Python 3.11 `asyncio.wait_for` drops a cancellation that arrives when it has what it waited for, and a connection
that is closed by its cancellation may wait for an answer that never comes.
"""

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["cancel_all"]

_AGAIN_SECONDS = 0.5


async def cancel_all(tasks: "Iterable[asyncio.Task[Any]]") -> None:
    """Cancel tasks, again and again if need be, until all are done.  What they end with is not raised."""
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN_SECONDS)
