"""A process that forgets old logs and runs once, or says what would go, and ends.

Prints one JSON object on standard output: `rows` (what goes, by project, state and kind), `log_days` and, unless this
is a dry run, `deleted` (what went). It changes nothing else: it makes no database and applies no migrations.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import orjson

from flowstead_server.domain.errors import StartupError
from flowstead_server.orchestration.retention import Retention
from flowstead_server.orchestration.retention_report import report
from flowstead_server.parts import database_url, on_stop_signals, open_database, running_hub
from flowstead_server.services.assembly import configure

if TYPE_CHECKING:
    from flowstead_server.settings import Settings

# Counting all that ever was takes longer than any request may.
_STATEMENT_SECONDS = 3600.0


async def run_retention(settings: Settings) -> None:
    """Forget once.

    Raises:
        StartupError: the database cannot be used, or another process is forgetting at this moment.
        asyncio.CancelledError: SIGINT, SIGTERM or SIGHUP; what was deleted until then stays deleted.
    """
    main = asyncio.current_task()
    if main is None:
        raise RuntimeError("Retention runs inside a task.")
    on_stop_signals(main.cancel)
    if settings.postgres_url is None and not any(settings.data_dir.glob("*/PG_VERSION")):
        raise StartupError(f"There is no database in {settings.data_dir}; name its directory with --data-dir.")
    settings = replace(settings, upgrade=False, statement_timeout=_STATEMENT_SECONDS)
    async with contextlib.AsyncExitStack() as parts:
        dsn = await parts.enter_async_context(database_url(settings))
        database = await open_database(settings, dsn)
        parts.push_async_callback(database.close)
        configure(settings, database)
        answer: dict[str, Any] = asdict(await report(database))
        if not settings.dry_run:
            await parts.enter_async_context(running_hub(database))
            forgotten = await database.part(Retention).forget()
            if forgotten.elsewhere:
                raise StartupError(
                    "Another process is deleting old logs and runs at this moment; nothing was done here."
                )
            answer["deleted"] = asdict(forgotten)
        sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
        sys.stdout.flush()
