"""A lease on a name that only one process holds at a time, by an advisory lock on a connection of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self
from zlib import crc32

import asyncpg

from flowstead_server.db.errors import translated_errors

if TYPE_CHECKING:
    from flowstead_server.db.database import Database, Record

# The first half of all two-part lock keys here; runs use one-part keys, so the two can never meet.
LOCK_SPACE: Final = 1718384739


class Lease:
    """Holds `name` until released or until its connection is lost; then another process may take it.

    Whoever works under a lease must make its changes safe against a second holder all the same (compare-and-set): a
    connection can be lost at the server before this side hears of it.
    """

    def __init__(self, database: Database, name: str) -> None:
        self.name = name
        self._database = database
        self._connection: asyncpg.Connection[Record] | None = None

    @property
    def held(self) -> bool:
        """Whether this side believes to hold it."""
        return self._connection is not None and not self._connection.is_closed()

    async def acquire(self) -> bool:
        """Try to take it; return at once with whether it is held. Raises ApiUnavailableError without a database."""
        if self.held:
            return True
        connection = await self._database.open_connection()
        try:
            with translated_errors():
                taken: bool = await connection.fetchval("select pg_try_advisory_lock($1, $2)", LOCK_SPACE, self._key)
        except BaseException:
            connection.terminate()
            raise
        if not taken:
            await connection.close()
            return False
        self._connection = connection
        return True

    async def release(self) -> None:
        """Give it up. Never raises for a connection that is gone."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            await connection.close(timeout=2)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection.terminate()

    async def __aenter__(self) -> Self:
        await self.acquire()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.release()

    @property
    def _key(self) -> int:
        # folded into a signed 32-bit number; small numbers are taken by the migrations and the partitions
        return crc32(self.name.encode()) - 2**31
