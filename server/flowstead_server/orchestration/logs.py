"""Log lines of runs: ingest and the upkeep of their partitions."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from flowstead_server.db import json_text
from flowstead_server.domain.errors import BadInputError, ForeignKeyViolationError, StaleWriteError
from flowstead_server.domain.serialized_states import parse_time
from flowstead_server.store import logs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from flowstead_server.db import Database
    from flowstead_server.domain.caller import Caller

MAX_MESSAGE_CHARACTERS: Final = 1_000_000
BATCH_MEMORY: Final = timedelta(hours=1)
_FORGOTTEN_AT_ONCE: Final = 10_000
_ESCAPED_NUL: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


async def write_run_logs(
    database: Database, caller: Caller, lines: Sequence[Mapping[str, Any]], batch_id: UUID | None = None
) -> None:
    """Store lines, all or none. Members: flow_run_id (UUID), task_run_id, timestamp, name, level, message, info.

    A missing timestamp is now, a missing level INFO; a message beyond 1,000,000 characters is cut and marked; NUL
    characters become U+FFFD. A batch with a `batch_id` is stored once, however often it comes within BATCH_MEMORY.
    Raises ForeignKeyViolationError (a run does not exist), StaleWriteError (the caller's claim has ended),
    BadInputError (timestamp).
    """
    if not lines:
        return
    rows = [_row(line) for line in lines]
    try:
        text = json_text(rows)
    except (TypeError, ValueError) as error:
        raise BadInputError(f"A log line cannot be written as JSON: {error}.") from error
    if "\\u0000" in text:
        text = _ESCAPED_NUL.sub("\\1\ufffd", text)
    appended = await logs.append(database, caller.tenant_id, text, caller.claim_token, batch_id)
    if not appended.complete:
        raise ForeignKeyViolationError
    run_ids: set[UUID] = {row["flow_run_id"] for row in rows if row["flow_run_id"] is not None}
    if not appended.current:
        raise StaleWriteError(
            "The log lines were sent by a process whose claim on the flow run has ended.", next(iter(run_ids))
        )
    database.hints.runs_changed(run_ids)


def _row(line: Mapping[str, Any]) -> dict[str, Any]:
    message = line.get("message")
    if message is not None and len(message) > MAX_MESSAGE_CHARACTERS:
        cut = len(message) - MAX_MESSAGE_CHARACTERS
        message = f"{message[:MAX_MESSAGE_CHARACTERS]}… ({cut} characters cut)"
    timestamp = line.get("timestamp")
    return {
        "flow_run_id": line.get("flow_run_id"),
        "task_run_id": line.get("task_run_id"),
        "timestamp": None if timestamp is None else parse_time(timestamp, "The timestamp of a log line"),
        "name": line.get("name"),
        "level": line.get("level"),
        "message": message,
        "info": line.get("info"),
    }


async def forget_log_batches(database: Database) -> int:
    """Forget the ids of batches that are older than BATCH_MEMORY; returns how many."""
    forgotten = 0
    while some := await logs.forget_batches(database, BATCH_MEMORY, _FORGOTTEN_AT_ONCE):
        forgotten += some
    return forgotten


async def ensure_log_partitions(database: Database, days_ahead: int = 7) -> int:
    """Make the log partitions of today and `days_ahead` more days; returns how many were missing.

    At start and every hour. Without it nothing is lost: lines fall into the default partition and are moved later.
    """
    return await logs.ensure_partitions(database, days_ahead)
