"""Label sets: rows that are never changed or removed while their tenant exists, so their ids may be remembered."""

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
        self._ids: dict[tuple[UUID, tuple[str, ...]], int] = {}

    async def id_of(self, tenant_id: UUID, labels: Sequence[str]) -> int:
        """Return the id of a set of labels (sorted, distinct), made if there is none."""
        key = (tenant_id, tuple(labels))
        known = self._ids.get(key)
        if known is not None:
            return known
        found = await self._database.fetch_value(_SQL["find"], tenant_id, list(labels))
        if found is None:
            await self._database.execute(_SQL["ensure"], tenant_id, list(labels))
            found = await self._database.fetch_value(_SQL["find"], tenant_id, list(labels))
        if len(self._ids) >= _MAX_REMEMBERED:
            self._ids.clear()
        self._ids[key] = found
        return int(found)

    def forget(self) -> None:
        """Forget all ids: a tenant may be gone."""
        self._ids.clear()


async def matching(executor: Executor, tenant_id: UUID, agent_labels: Sequence[str]) -> list[int]:
    """Return the ids of the sets whose runs an agent with these labels may take."""
    rows = await executor.fetch(_SQL["matching"], tenant_id, list(agent_labels))
    return [row["id"] for row in rows]
