"""Forward-only migrations: `migrations/NNNN_slug.sql`, each applied once, in one transaction, under an advisory lock.

Any number of servers may start together: one applies, the others wait for it and find nothing to do. A failed file
leaves the database as it was before that file. A database that is newer than the code, or whose applied files differ
from ours, is refused with one sentence (StartupError).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final

import asyncpg

from flowstead_server.db.database import redacted, startup_errors
from flowstead_server.db.lease import LOCK_SPACE
from flowstead_server.domain.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstead_server.db.database import Record

_FILE: Final = re.compile(r"^(?P<version>\d{4})_\w+\.sql$")
_LOCK: Final = 1
_TABLE: Final = """
create table if not exists schema_migration (
    version integer primary key,
    name text not null,
    checksum text not null,
    applied timestamptz not null default now()
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. `checksum` is the SHA-256 of its text in hexadecimal."""

    version: int
    name: str
    text: str
    checksum: str


def load_migrations() -> list[Migration]:
    """Return the migrations that come with this code, oldest first. Raises ValueError if numbers are doubled."""
    migrations: dict[int, Migration] = {}
    for file in resources.files("flowstead_server").joinpath("migrations").iterdir():
        match = _FILE.match(file.name)
        if match is None:
            continue
        text = file.read_text("utf-8")
        version = int(match["version"])
        if version in migrations:
            raise ValueError(f"two migrations have the number {version}")
        migrations[version] = Migration(version, file.name, text, hashlib.sha256(text.encode()).hexdigest())
    return [migrations[version] for version in sorted(migrations)]


async def migrate(dsn: str, *, apply: bool = True, migrations: Sequence[Migration] | None = None) -> list[str]:
    """Bring the database up to date; return the names of the files applied now.

    With `apply=False` nothing is changed and a database that is behind is an error. Raises StartupError.
    """
    known = load_migrations() if migrations is None else list(migrations)
    with startup_errors(dsn):
        connection: asyncpg.Connection[Record] = await asyncpg.connect(
            dsn, timeout=10, server_settings={"application_name": "flowstead migrations", "timezone": "UTC"}
        )
    try:
        with startup_errors(dsn):
            return await _migrate(connection, dsn, known, apply=apply)
    finally:
        await connection.close(timeout=5)


async def _migrate(
    connection: asyncpg.Connection[Record], dsn: str, known: Sequence[Migration], *, apply: bool
) -> list[str]:
    await _check_server(connection, dsn)
    if not apply:
        pending = await _pending(connection, dsn, known)
        if pending:
            raise StartupError(
                f"The database {redacted(dsn)} lacks the migration {pending[0].name}; "
                "start the server once without --no-upgrade."
            )
        return []
    # without the lock first, so that a server joining others never waits when there is nothing to do
    if not await _pending(connection, dsn, known):
        return []
    await connection.execute("select pg_advisory_lock($1, $2)", LOCK_SPACE, _LOCK)
    applied = []
    for migration in await _pending(connection, dsn, known):
        async with connection.transaction():
            await connection.execute(_TABLE)
            await connection.execute(migration.text)
            await connection.execute(
                "insert into schema_migration (version, name, checksum) values ($1, $2, $3)",
                migration.version,
                migration.name,
                migration.checksum,
            )
        applied.append(migration.name)
    return applied


async def _check_server(connection: asyncpg.Connection[Record], dsn: str) -> None:
    oldest = 15
    version = connection.get_server_version()
    if version.major < oldest:
        raise StartupError(
            f"The database {redacted(dsn)} is PostgreSQL {version.major}; Flowstead needs {oldest} or later."
        )


async def _pending(connection: asyncpg.Connection[Record], dsn: str, known: Sequence[Migration]) -> list[Migration]:
    if await connection.fetchval("select to_regclass('schema_migration')") is None:
        return list(known)
    applied = {
        row["version"]: row
        for row in await connection.fetch("select version, name, checksum from schema_migration order by version")
    }
    by_version = {migration.version: migration for migration in known}
    for version, row in applied.items():
        migration = by_version.get(version)
        if migration is None:
            raise StartupError(
                f"The database {redacted(dsn)} was written by a newer Flowstead (it has the migration {row['name']}, "
                f"this one knows {known[-1].name} at most); install that version or name another database."
            )
        if migration.checksum != row["checksum"]:
            raise StartupError(
                f"The database {redacted(dsn)} was made by another {row['name']} than the one in this installation; "
                "name another database, or install the version that made this one."
            )
    return [migration for migration in known if migration.version not in applied]
