"""Which servers this user has started with `prefect server start`, so that `prefect server stop` finds them.

One small file for each in `servers/` of the home directory.  A file counts only while the process lives that it is
about: process ids are used again, so that the time at which the process began is part of it.
"""

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["ServerRecord", "home", "record", "recorded", "running_servers", "stop_server"]

_STOP_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """A server process: its id, when it began (seconds of the epoch), and the URL of its API."""

    pid: int
    began: float
    url: str


def home() -> Path:
    """Return the home directory of the settings."""
    from prefect import config

    return Path(os.path.expandvars(str(config.home_dir))).expanduser()


def _file(pid: int) -> Path:
    return home() / "servers" / f"{pid}.json"


def _began(pid: int) -> float | None:
    import psutil  # type: ignore[import-untyped] # comes without types

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.NoSuchProcess:
        return None


def record(pid: int, url: str) -> None:
    """Remember a server process that runs now; if the home directory cannot be written, it is only not found later."""
    began = _began(pid)
    if began is None:
        return
    file = _file(pid)
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(ServerRecord(pid, began, url))), encoding="utf-8")


@contextlib.contextmanager
def recorded(pid: int, url: str) -> Iterator[None]:
    """Remember a server process as long as the block lasts."""
    record(pid, url)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            _file(pid).unlink(missing_ok=True)


def running_servers() -> list[ServerRecord]:
    """Return the servers that are remembered and run, and forget the others."""
    found = []
    for file in sorted((home() / "servers").glob("*.json")):
        try:
            candidate = ServerRecord(**json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            candidate = None
        if candidate is not None and _began(candidate.pid) == candidate.began:
            found.append(candidate)
        else:
            file.unlink(missing_ok=True)
    return found


def stop_server(server: ServerRecord) -> None:
    """Ask a server to end, which ends its PostgreSQL too; after half a minute end its whole session by force."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(server.pid)
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT)
        except psutil.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            process.wait(_STOP_TIMEOUT)
    _file(server.pid).unlink(missing_ok=True)
