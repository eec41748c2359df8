"""What `flow_runs` yields: the rows behind hints about changed runs, as far as they match a filter.

The rows are read again by id, through the query compiler and so within the caller's tenant; a run whose row is what it
was when it was last told is left out. Nothing is kept but a bounded memory of what was told. Where hints were lost the
page says that changes may have been missed, and the follower reads its list again: the tables are the truth.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import orjson
from graphql import FieldNode, OperationDefinitionNode, parse

from flowstead_server.api.streams import POLL_SECONDS, persistently
from flowstead_server.compiler.errors import CompileError
from flowstead_server.compiler.statement import compile_fields
from flowstead_server.domain.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from flowstead_server.api.context import RequestContext

MAX_INITIAL: Final = 500
COLUMNS: Final = (
    "id",
    "name",
    "flow_id",
    "version",
    "state",
    "state_message",
    "state_timestamp",
    "created",
    "scheduled_start_time",
    "start_time",
    "end_time",
    "agent_id",
    "labels",
)
"""The columns of `flow_run` that a change carries."""

_PAGE = 500
_GAP_SECONDS = 0.1
_MAX_REMEMBERED = 10_000

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Changes:
    """Runs that match and have changed, ids that were told and match no longer, and whether hints were lost."""

    rows: list[Row]
    left: list[str]
    missed: bool = False


async def follow_flow_runs(
    context: RequestContext, where: dict[str, Any] | None, initial: int
) -> AsyncGenerator[Changes, None]:
    """Yield the newest `initial` matching runs, and then what changes about matching runs, merged over moments.

    Raises:
        BadInputError: `initial` is not 0 to 500, or a value of the filter cannot be used.
        ApiUnavailableError: the database is away and the stream has not begun.
    """
    if not 0 <= initial <= MAX_INITIAL:
        raise BadInputError(f"The argument initial must be 0 to {MAX_INITIAL}, but it is {initial}.")
    with context.hub.follow_changes() as follower:
        memory = _Memory()
        # read even if nothing is wanted: a filter that cannot be used is refused now and not at the first change
        first = await _read(context, where, None, max(initial, 1))
        yield Changes(memory.changed(first) if initial else [], [])
        while True:
            if not await follower.wait(POLL_SECONDS):
                continue
            hinted = follower.take()
            if hinted is None:
                yield Changes([], [], missed=True)
                continue
            ids = [str(run_id) for run_id in hinted]
            for start in range(0, len(ids), _PAGE):
                part = ids[start : start + _PAGE]
                rows = await persistently(lambda part=part: _read(context, where, part, _PAGE))  # type: ignore[misc] # binds the loop's value
                changed, left = memory.changed(rows), memory.left(part, rows)
                if changed or left:
                    yield Changes(changed, left)
            # A burst of hints is answered by a few pages, not by one each.
            await asyncio.sleep(_GAP_SECONDS)


class _Memory:
    """What a follower was told, so that nothing is told twice: one number for each of the latest runs."""

    def __init__(self) -> None:
        self._told: OrderedDict[str, int] = OrderedDict()

    def changed(self, rows: Iterable[Row]) -> list[Row]:
        """Return the rows that differ from what was told last."""
        found = []
        for row in rows:
            number = hash(orjson.dumps(row))
            if self._told.get(row["id"]) != number:
                self._told[row["id"]] = number
                self._told.move_to_end(row["id"])
                found.append(row)
        while len(self._told) > _MAX_REMEMBERED:
            self._told.popitem(last=False)
        return found

    def left(self, ids: Iterable[str], rows: Iterable[Row]) -> list[str]:
        """Return, and forget, the ids that were told earlier and are not among the rows that match now."""
        gone = self._told.keys() & (set(ids) - {row["id"] for row in rows})
        for run_id in gone:
            del self._told[run_id]
        return sorted(gone)


@cache
def _field() -> FieldNode:
    text = f"{{ flow_run(where: $where, limit: $limit, order_by: {{created: desc}}) {{ {' '.join(COLUMNS)} }} }}"
    operation = parse(text, no_location=True).definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    field = operation.selection_set.selections[0]
    assert isinstance(field, FieldNode)
    return field


async def _read(context: RequestContext, where: dict[str, Any] | None, ids: list[str] | None, limit: int) -> list[Row]:
    conditions = [where or {}]
    if ids is not None:
        conditions.append({"id": {"_in": ids}})
    try:
        compiled = compile_fields(
            {"flow_run": [_field()]},
            tenant_id=context.caller.tenant_id,
            fragments={},
            variables={"where": {"_and": conditions}, "limit": limit},
        )
        (text,) = compiled.checked(await context.database.read_value(compiled.sql, *compiled.arguments))
    except CompileError as error:
        raise BadInputError(error.message) from error
    rows: list[Row] = orjson.loads(text or "[]")
    return rows
