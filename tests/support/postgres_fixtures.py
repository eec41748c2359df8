"""A real PostgreSQL for tests: one embedded server per test run, a migrated template, a fresh clone per test.

All workers of a parallel run share the server: the embedded server counts its users by itself, and its folder carries
the id of the run. The last worker to end stops it and removes the folder.
"""

import asyncio
import fcntl
import hashlib
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from flowstead_server.db import Database
from flowstead_server.db.embedded import EmbeddedPostgres
from flowstead_server.db.migrator import load_migrations, migrate

# The data of a test run is worth nothing after it.
_FAST = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "1GB"}
_numbers = itertools.count()


async def _run(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """The test run's server."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"pid{os.getpid()}")[:16]
    folder = Path(tempfile.gettempdir()) / f"flowstead-tests-{run}"
    server = EmbeddedPostgres.start_blocking(folder, _FAST)
    yield server
    if server.stop_blocking():
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def template_database(postgres: EmbeddedPostgres) -> str:
    """The name of a database that has all migrations and no rows; for `CREATE DATABASE … TEMPLATE`."""
    checksum = hashlib.sha256("".join(item.checksum for item in load_migrations()).encode()).hexdigest()[:12]
    name = f"template_{checksum}"
    done = postgres.data_dir / f"{name}.done"
    with (postgres.data_dir / "template.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            asyncio.run(_run(postgres.dsn_of("postgres"), f'drop database if exists "{name}"'))
            asyncio.run(_run(postgres.dsn_of("postgres"), f'create database "{name}"'))
            asyncio.run(migrate(postgres.dsn_of(name)))
            done.touch()
    return name


@pytest.fixture
def empty_database_dsn(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The URL of a new database without any tables."""
    yield from _new_database(postgres, "template0")


@pytest.fixture
def database_dsn(postgres: EmbeddedPostgres, template_database: str) -> Iterator[str]:
    """The URL of a new, migrated database without rows."""
    yield from _new_database(postgres, template_database)


def _new_database(postgres: EmbeddedPostgres, template: str) -> Iterator[str]:
    name = f"test_{os.getpid()}_{next(_numbers)}"
    admin = postgres.dsn_of("postgres")
    # Copying files costs less than half of what copying through the log does, as nothing waits for the disk here.
    asyncio.run(_run(admin, f'create database "{name}" template "{template}" strategy file_copy'))
    yield postgres.dsn_of(name)
    asyncio.run(_run(admin, f'drop database if exists "{name}" with (force)'))


@pytest.fixture
async def database(database_dsn: str) -> AsyncIterator[Database]:
    """An open Database on a new, migrated database without rows."""
    async with await Database.connect(database_dsn, max_connections=16) as opened:
        yield opened
