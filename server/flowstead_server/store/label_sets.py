"""Label sets, the lanes of the queue: rows that are never changed, and removed only with their flow group or tenant.

So their ids may be remembered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowstead_server.db import load_statements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from flowstead_server.db import Database
    from flowstead_server.db.database import Executor

_SQL: Final = load_statements(__package__, "label_sets.sql")
_MAX_REMEMBERED: Final = 10_000


class LabelSets:
    """Ids of label sets of one database, remembered. Get it with `database.part(LabelSets)`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ids: dict[tuple[UUID, tuple[str, ...], UUID | None, int], int] = {}

    async def id_of(
        self, tenant_id: UUID, labels: Sequence[str], flow_group_id: UUID | None = None, priority: int = 0
    ) -> int:
        """Return the id of the lane of runs with these labels (sorted, distinct) and priority, made if there is none.

        `flow_group_id`: of a flow group that has a concurrency limit of its own, else null.
        """
        key = (tenant_id, tuple(labels), flow_group_id, priority)
        known = self._ids.get(key)
        if known is not None:
            return known
        found = await self._database.fetch_value(_SQL["lane"], tenant_id, list(labels), flow_group_id, priority)
        if len(self._ids) >= _MAX_REMEMBERED:
            self._ids.clear()
        self._ids[key] = found
        return int(found)

    def forget(self) -> None:
        """Forget all ids: a tenant or a flow group may be gone."""
        self._ids.clear()


async def matching(executor: Executor, tenant_id: UUID, agent_labels: Sequence[str]) -> list[int]:
    """Return the ids of the sets whose runs an agent with these labels may take."""
    rows = await executor.fetch(_SQL["matching"], tenant_id, list(agent_labels))
    return [row["id"] for row in rows]
