"""The pool of connections, one statement at a time or in transactions.

Connections run in UTC, without JIT (statements here take milliseconds), with a statement timeout. JSON goes in and out
as text. Statements of verbs are planned once per connection; `read_*` plans every statement for its own values, because
what the query compiler writes differs too much between values, and is read-only by the database's own word.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeVar, cast

import asyncpg

from flowstead_server.db.errors import translated_errors
from flowstead_server.domain.errors import ConflictError, DatabaseAwayError, StartupError
from flowstead_server.domain.hints import Hints, NoHints

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from asyncpg.pool import PoolConnectionProxy

Record = asyncpg.Record
Connection = asyncpg.Connection
Part = TypeVar("Part")
Result = TypeVar("Result")

_AWAY: Final = (asyncpg.TooManyConnectionsError, asyncpg.CannotConnectNowError, OSError, TimeoutError)

_CONFLICT_ATTEMPTS: Final = 5
_SETTINGS: Final = {
    "application_name": "flowstead",
    "timezone": "UTC",
    "jit": "off",
    "idle_in_transaction_session_timeout": "60000",
}


@dataclass(frozen=True, slots=True)
class PoolFigures:
    """How many connections a pool holds, how many of them nobody uses, and how many there may be."""

    size: int
    idle: int
    most: int


class Executor(Protocol):
    """What runs statements: a Database (each statement its own transaction) or a Transaction."""

    async def fetch(self, statement: str, *arguments: Any) -> list[Record]:
        """Return all rows."""

    async def fetch_row(self, statement: str, *arguments: Any) -> Record | None:
        """Return the first row, null if there is none."""

    async def fetch_value(self, statement: str, *arguments: Any) -> Any:
        """Return the first column of the first row, null if there is none."""

    async def execute(self, statement: str, *arguments: Any) -> int:
        """Run a statement; return how many rows it touched."""


class Transaction:
    """Statements on one connection between BEGIN and COMMIT. Made by `Database.transaction`."""

    def __init__(self, connection: PoolConnectionProxy[Record]) -> None:
        self.connection = connection

    async def fetch(self, statement: str, *arguments: Any) -> list[Record]:
        """Return all rows."""
        with translated_errors():
            return await self.connection.fetch(statement, *arguments)

    async def fetch_row(self, statement: str, *arguments: Any) -> Record | None:
        """Return the first row, null if there is none."""
        with translated_errors():
            return await self.connection.fetchrow(statement, *arguments)

    async def fetch_value(self, statement: str, *arguments: Any) -> Any:
        """Return the first column of the first row, null if there is none."""
        with translated_errors():
            return await self.connection.fetchval(statement, *arguments)

    async def execute(self, statement: str, *arguments: Any) -> int:
        """Run a statement; return how many rows it touched."""
        with translated_errors():
            return _touched(await self.connection.execute(statement, *arguments))


class Database:
    """One PostgreSQL database: a pool for verbs, a pool for reads, the hints that follow commits.

    Make one with `Database.connect`, or use that as an async context manager.
    """

    def __init__(
        self, dsn: str, pool: asyncpg.Pool[Record], read_pool: asyncpg.Pool[Record], hints: Hints | None = None
    ) -> None:
        self.dsn = dsn
        self.hints: Hints = hints or NoHints()
        self._pool = pool
        self._read_pool = read_pool
        self._parts: dict[type, Any] = {}

    @classmethod
    async def connect(
        cls,
        dsn: str,
        *,
        max_connections: int = 20,
        statement_timeout: float = 30.0,
        connect_timeout: float = 10.0,
        hints: Hints | None = None,
    ) -> Self:
        """Open the pools; times in seconds. Raises StartupError if the URL is wrong or nobody answers there."""
        settings = {**_SETTINGS, "statement_timeout": str(round(statement_timeout * 1000))}
        half = max(2, max_connections // 2)
        pool = await _open_pool(dsn, settings, half, connect_timeout)
        try:
            read_settings = {
                **settings,
                "plan_cache_mode": "force_custom_plan",
                "default_transaction_read_only": "on",
            }
            read_pool = await _open_pool(dsn, read_settings, half, connect_timeout)
        except BaseException:
            pool.terminate()
            raise
        return cls(dsn, pool, read_pool, hints)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - a bound on the graceful part
        """Close all connections; those still busy after `timeout` seconds are cut."""
        for pool in (self._pool, self._read_pool):
            try:
                await asyncio.wait_for(pool.close(), timeout)
            except (TimeoutError, OSError, asyncpg.InterfaceError, asyncpg.PostgresError):
                pool.terminate()

    def part(self, kind: Callable[[Database], Part]) -> Part:
        """Return this database's only instance of a class that coordinates work on it, made at first use."""
        try:
            return cast("Part", self._parts[cast("type", kind)])
        except KeyError:
            made = self._parts[cast("type", kind)] = kind(self)
            return made

    async def fetch(self, statement: str, *arguments: Any) -> list[Record]:
        """Return all rows."""
        return await self._run(lambda connection: connection.fetch(statement, *arguments))

    async def fetch_row(self, statement: str, *arguments: Any) -> Record | None:
        """Return the first row, null if there is none."""
        return await self._run(lambda connection: connection.fetchrow(statement, *arguments))

    async def fetch_value(self, statement: str, *arguments: Any) -> Any:
        """Return the first column of the first row, null if there is none."""
        return await self._run(lambda connection: connection.fetchval(statement, *arguments))

    async def execute(self, statement: str, *arguments: Any) -> int:
        """Run a statement; return how many rows it touched."""
        return _touched(await self._run(lambda connection: connection.execute(statement, *arguments)))

    async def _run(self, call: Callable[[PoolConnectionProxy[Record]], Awaitable[Result]]) -> Result:
        # a statement that lost a deadlock was rolled back whole, so it may be sent again
        for attempt in range(_CONFLICT_ATTEMPTS):
            try:
                with translated_errors():
                    async with self._pool.acquire() as connection:
                        return await call(connection)
            except ConflictError:
                if attempt == _CONFLICT_ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    async def read(self, statement: str, *arguments: Any) -> list[Record]:
        """Return all rows of a read-only statement, planned for these arguments."""
        with translated_errors():
            async with self._read_pool.acquire() as connection:
                return await connection.fetch(statement, *arguments)

    async def read_value(self, statement: str, *arguments: Any) -> Any:
        """Return the first column of the first row of a read-only statement, planned for these arguments."""
        with translated_errors():
            async with self._read_pool.acquire() as connection:
                return await connection.fetchval(statement, *arguments)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Open a transaction (read committed): committed at the end of the block, rolled back if it raises."""
        with translated_errors():
            async with self._pool.acquire() as connection, connection.transaction():
                yield Transaction(connection)

    async def transact(self, work: Callable[[Transaction], Awaitable[Result]]) -> Result:
        """Run `work` in a transaction; again from the start if the database says it conflicted with another one.

        Raises ConflictError after five attempts.
        """
        for attempt in range(_CONFLICT_ATTEMPTS):
            try:
                async with self.transaction() as transaction:
                    return await work(transaction)
            except ConflictError:
                if attempt == _CONFLICT_ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    async def open_connection(self) -> asyncpg.Connection[Record]:
        """Open a connection outside the pools, for LISTEN and leases. The caller closes it."""
        with translated_errors():
            return await asyncpg.connect(self.dsn, server_settings=_SETTINGS, timeout=10)

    @property
    def open_connections(self) -> int:
        """How many connections the pools hold now."""
        return self._pool.get_size() + self._read_pool.get_size()

    @property
    def pools(self) -> dict[str, PoolFigures]:
        """The figures of the pools by what they are for: `write` and `read`."""
        pools = {"write": self._pool, "read": self._read_pool}
        return {
            name: PoolFigures(pool.get_size(), pool.get_idle_size(), pool.get_max_size())
            for name, pool in pools.items()
        }


async def _open_pool(dsn: str, settings: dict[str, str], size: int, connect_timeout: float) -> asyncpg.Pool[Record]:
    with startup_errors(dsn):
        pool: asyncpg.Pool[Record] = await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=size,
            max_inactive_connection_lifetime=60,
            timeout=connect_timeout,
            statement_cache_size=500,
            max_cached_statement_lifetime=0,
            max_cacheable_statement_size=64 * 1024,
            server_settings=settings,
            # sessions are never changed, so nothing is to be reset and a release costs no round trip
            reset=_keep_session,
        )
    return pool


async def _keep_session(_connection: object) -> None:
    pass


def _touched(tag: str) -> int:
    count = tag.rpartition(" ")[2]
    return int(count) if count.isdecimal() else 0


@contextmanager
def startup_errors(dsn: str) -> Iterator[None]:
    """Turn what can be wrong with a database URL into one sentence (StartupError) that does not repeat the password."""
    try:
        yield
    except Exception as error:
        reason = _startup_reason(error)
        if reason is None:
            raise
        kind = DatabaseAwayError if isinstance(error, _AWAY) else StartupError
        raise kind(f"Cannot use the database {redacted(dsn)}: {reason}") from error


def _startup_reason(error: Exception) -> str | None:
    reasons: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
        (asyncpg.InvalidCatalogNameError, "there is no database of that name; create it or name another one."),
        (
            asyncpg.InvalidAuthorizationSpecificationError,
            "it refuses the user name or the password; check both in the URL.",
        ),
        (asyncpg.TooManyConnectionsError, "it has no connection left; raise max_connections or stop other clients."),
        (asyncpg.ClientConfigurationError, "the URL is not valid; it looks like postgresql://user:password@host/name."),
        (asyncpg.CannotConnectNowError, "it is starting up or shutting down; try again in a moment."),
        ((OSError, TimeoutError), "nobody answers there; check host and port, and that PostgreSQL runs."),
        (ValueError, "the URL is not valid; it looks like postgresql://user:password@host/name."),
        ((asyncpg.PostgresError, asyncpg.InterfaceError), ""),
    )
    for kinds, sentence in reasons:
        if isinstance(error, kinds):
            return sentence or f"{error}."
    return None


def redacted(dsn: str) -> str:
    """Return a database URL without its password."""
    from urllib.parse import urlsplit, urlunsplit  # noqa: PLC0415 - only for messages

    try:
        parts = urlsplit(dsn)
        password = parts.password
    except ValueError:
        return "(unreadable URL)"
    if password:
        parts = parts._replace(netloc=parts.netloc.replace(f":{password}@", ":…@"))
    return urlunsplit(parts)
