"""The embedded PostgreSQL's server process: start it, find the one that runs, stop it.

Callers hold the lock of the data directory. A server that does not start is a StartupError with PostgreSQL's reason.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil  # type: ignore[import-untyped] # comes without types

from flowstead_server.db.postgres_files import Account, make_cluster
from flowstead_server.domain.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Mapping

PORT: Final = 5432
# 103 bytes on macOS, 107 on Linux, for the folder and `/.s.PGSQL.5432`
_MAX_SOCKET_FOLDER: Final = 103 - len("/.s.PGSQL.5432")
_MAX_LOG_BYTES: Final = 10_000_000
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 20.0
_ORPHAN_SECONDS: Final = 5.0
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


def ensure_running(
    data_dir: Path, cluster: Path, binaries: Path, account: Account, settings: Mapping[str, str]
) -> tuple[int, Path]:
    """Make the cluster and start the server unless they are there; return its process id and socket folder."""
    if not (cluster / "PG_VERSION").exists():
        make_cluster(cluster, binaries, account)
    running = running_server(cluster)
    if running is not None:
        pid = _wait_until_ready(data_dir, cluster, None, running, _size(data_dir / "postgres.log"))
    else:
        _end_orphans(cluster)
        (cluster / "postmaster.pid").unlink(missing_ok=True)
        pid = _launch(data_dir, cluster, binaries, account, settings)
    socket_dir = Path((cluster / "postmaster.pid").read_text().splitlines()[_SOCKET_LINE])
    return pid, socket_dir


def running_server(cluster: Path) -> int | None:
    """Return the process id of this cluster's postmaster. A process that merely got its number does not count."""
    try:
        pid = int((cluster / "postmaster.pid").read_text().split("\n", 1)[0])
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or process.name() != "postgres":
            return None
        return pid if str(cluster) in process.cmdline() else None
    except (OSError, ValueError, psutil.Error):
        return None


def _end_orphans(cluster: Path) -> None:
    """End what is left of a server whose main process was killed: two servers on one cluster would destroy it.

    PostgreSQL's own guard against that is in `postmaster.pid`, which has to go in case its number is another's by now.
    """
    for number in (signal.SIGQUIT, signal.SIGKILL):
        orphans = [process for process in psutil.process_iter() if _works_in(process, cluster)]
        for process in orphans:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        psutil.wait_procs(orphans, _ORPHAN_SECONDS)


def _works_in(process: psutil.Process, cluster: Path) -> bool:
    try:
        return bool(process.name() == "postgres" and process.cwd() == str(cluster.resolve()))
    except psutil.Error:
        return False


class _Server(subprocess.Popen[bytes]):
    def __del__(self) -> None:
        """Say nothing: that others use the server longer than the process that started it is no mistake."""


def _launch(data_dir: Path, cluster: Path, binaries: Path, account: Account, settings: Mapping[str, str]) -> int:
    socket_dir = _socket_dir(data_dir, account)
    log_path = data_dir / "postgres.log"
    if _size(log_path) > _MAX_LOG_BYTES:
        log_path.replace(log_path.with_suffix(".log.1"))
    log_start = _size(log_path)
    settings = {**_SETTINGS, **settings, "unix_socket_directories": str(socket_dir), "port": str(PORT)}
    command = [str(binaries / "postgres"), "-D", str(cluster)]
    command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with log_path.open("ab") as log:
        process = _Server(
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
_children: dict[int, _Server] = {}


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


def _socket_dir(data_dir: Path, account: Account) -> Path:
    folder = data_dir / "socket"
    if len(os.fsencode(folder)) > _MAX_SOCKET_FOLDER:
        # the path of a socket may not be longer; a short one that is the same for all users of this data
        digest = hashlib.sha256(str(data_dir).encode()).hexdigest()[:16]
        short = Path(tempfile.gettempdir()) / f"flowstead-{digest}"
        folder = short if len(os.fsencode(short)) <= _MAX_SOCKET_FOLDER else Path("/tmp") / short.name  # noqa: S108 - 0700 below
    folder.mkdir(mode=0o700, exist_ok=True)
    account.own(folder)
    owner = os.geteuid() if account.uid is None else account.uid
    if folder.is_symlink() or folder.stat().st_uid != owner:
        raise StartupError(f"The folder {folder} for PostgreSQL's socket belongs to somebody else; remove it.")
    folder.chmod(0o700)
    for leftover in folder.iterdir():
        leftover.unlink(missing_ok=True)
    return folder


def stop_server(cluster: Path) -> None:
    """Stop the server if it runs: cleanly, else without a checkpoint, else by force."""
    pid = running_server(cluster)
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


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
