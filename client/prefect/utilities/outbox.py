"""What could not be told to the API yet, kept on disk: one file per flow run and author, in `{home_dir}/outbox`.

A file is JSON lines that are only appended to: an address, then records in the order in which they are to be sent, and
between them notes of how far they were sent.  Whoever has a file open holds a lock on it, which ends with the process
however that ends; a file without a holder may be adopted by anybody.  A last line that was cut off by a crash counts as
never written; other lines that cannot be read are counted in `unreadable` and passed over.  Files are readable by their
owner only.  All that goes wrong with the disk is `OSError`; a file that would become too large is one, too.
"""

import errno
import itertools
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from prefect.client.encoding import dumps, loads
from prefect.configuration import config

__all__ = [
    "AUTHORS",
    "Address",
    "DirectoryLock",
    "OutboxFile",
    "UnreadableOutboxError",
    "outbox_directory",
    "set_aside",
    "waiting_files",
]

_FORMAT = 1
_SUFFIX = ".jsonl"
_UNREADABLE = ".unreadable"
_SENT = b'{"sent":'
_LEFT = b'{"left":true}\n'
_MEGABYTE = 1_000_000
# Authors in the order in which what they have to say about a run is to be sent: its log goes before its end.
AUTHORS = ("log", "run", "agent")
_count = itertools.count()


@dataclass(frozen=True, slots=True)
class Address:
    """Where the records of a file go: which API, and as which claim of which flow run."""

    api: str
    flow_run_id: str
    tenant_id: str | None = None
    claim_token: str | None = None


class UnreadableOutboxError(Exception):
    """The beginning of a file is damaged, so that nobody knows where it was to go."""


def outbox_directory() -> Path:
    """Return where the files are: `{home_dir}/outbox`; it may not exist."""
    return Path(str(config.home_dir)).expanduser() / "outbox"


def waiting_files(directory: Path, flow_run_id: str = "") -> list[Path]:
    """Return the files of a run (or of all runs), those of one run together and in the order of their sending."""
    try:
        names = os.listdir(directory)  # noqa: PTH208 - names are what is needed
    except OSError:
        return []
    return sorted(directory / name for name in names if name.endswith(_SUFFIX) and name.startswith(flow_run_id))


class OutboxFile:
    """A file that this process holds.  Not safe for threads.

    `pid` is that of the process that made it; `is_main` says that it was the one that executes the flow run; `was_left`
    that it let go of it in good order, and so was not killed.
    """

    def __init__(self, path: Path, descriptor: int, address: Address, pid: int, *, is_main: bool = False) -> None:
        self.path = path
        self.address = address
        self.pid = pid
        self.is_main = is_main
        self.was_left = False
        self.unreadable = 0
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size
        self._sent = 0
        self._last = 0

    @classmethod
    def create(cls, directory: Path, address: Address, author: str, *, is_main: bool = False) -> "OutboxFile":
        """Make a file, empty but for its address; `author` is one of AUTHORS."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = AUTHORS.index(author)
        stem = f"{address.flow_run_id}.{number}-{author}-{time.time_ns():020}-{os.getpid()}-{next(_count)}"
        hidden = directory / f".{stem}"
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        descriptor = os.open(hidden, flags, 0o600)
        path = directory / f"{stem}{_SUFFIX}"
        try:
            _lock(descriptor)
            file = cls(path, descriptor, address, os.getpid(), is_main=is_main)
            file.append({"outbox": _FORMAT, "pid": file.pid, "main": is_main, **asdict(address)})
            file._sent = file._last
            # Nobody sees it before it is held and has an address.
            hidden.rename(path)
        except BaseException:
            os.close(descriptor)
            hidden.unlink(missing_ok=True)
            raise
        return file

    @classmethod
    def adopt(cls, path: Path) -> "OutboxFile | None":
        """Take over a file; None if somebody holds it or it is gone.  Raises `UnreadableOutboxError`."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | getattr(os, "O_CLOEXEC", 0))
        except FileNotFoundError:
            return None
        try:
            try:
                _lock(descriptor)
            except OSError as error:
                if error.errno not in {errno.EACCES, errno.EAGAIN, errno.EDEADLK}:
                    raise
                os.close(descriptor)
                return None
            if not path.exists():  # its holder sent everything, and let go of it a moment ago
                os.close(descriptor)
                return None
            return cls._adopted(path, descriptor)
        except BaseException:
            with suppress(OSError):
                os.close(descriptor)
            raise

    @classmethod
    def _adopted(cls, path: Path, descriptor: int) -> "OutboxFile":
        with path.open("rb") as lines:
            first = lines.readline()
            try:
                head = loads(first)
                formats = {_FORMAT: head}  # raises for another format
                head = formats[head["outbox"]]
                address = Address(head["api"], head["flow_run_id"], head["tenant_id"], head["claim_token"])
                pid, is_main = int(head["pid"]), bool(head["main"])
            except (ValueError, KeyError, TypeError) as error:
                raise UnreadableOutboxError(str(error)) from error
            end = last = sent = len(first)
            was_left = False
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                end += len(line)
                if line.startswith(_SENT):
                    with suppress(ValueError):
                        sent = max(sent, int(loads(line)["sent"]))
                elif line == _LEFT:
                    was_left = True
                else:
                    last = end
        if end < os.fstat(descriptor).st_size:  # otherwise the file stays as old as it is
            os.ftruncate(descriptor, end)
        file = cls(path, descriptor, address, pid, is_main=is_main)
        file._sent, file._last, file.was_left = sent, last, was_left
        return file

    @property
    def is_empty(self) -> bool:
        """Whether everything was sent."""
        return self._sent >= self._last

    def append(self, record: Any, *, durable: bool = False) -> int:
        """Add a record and return the place where it ends; `durable` waits until the disk has it.

        Raises `OSError` if there is no room for it; the file then is as it was.
        """
        data = dumps(record) + b"\n"
        limit = int(float(config.cloud.get("outbox_megabytes", 1000)) * _MEGABYTE)
        if self._size + len(data) > limit:
            raise OSError(errno.EFBIG, f"The file would be larger than {limit:,} bytes (cloud.outbox_megabytes)")
        self._write(data)
        self._last = self._size
        if durable:
            os.fsync(self._descriptor)
        return self._last

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except BaseException:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(data)

    def peek(self) -> tuple[Any, int] | None:
        """Return the first record that was not sent and the place where it ends; None if there is none."""
        with self.path.open("rb") as lines:
            lines.seek(self._sent)
            for line in lines:
                end = lines.tell()
                if line.startswith(_SENT) or line == _LEFT:
                    self._sent = end
                    continue
                try:
                    record = dict(loads(line))
                except (ValueError, TypeError):
                    self.unreadable += 1
                    self._sent = end
                    continue
                return record, end
        return None

    def records(self) -> Iterator[tuple[Any, int]]:
        """Yield what was not sent, one after the other; each has to be marked before the next comes."""
        while (found := self.peek()) is not None:
            yield found

    def mark_sent(self, end: int) -> None:
        """Note that everything up to a place was sent."""
        self._sent = max(self._sent, end)
        # The note does not count against the limit, and without it something is sent twice, which does no harm.
        with suppress(OSError):
            self._write(dumps({"sent": end}) + b"\n")

    def discard(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)
        self.close()

    def leave(self) -> None:
        """Let go of the file in good order, as the process that made it."""
        with suppress(OSError):
            self._write(_LEFT)
        self.close()

    def close(self) -> None:
        """Let go of the file: whoever comes next may send what is left."""
        with suppress(OSError):
            os.fsync(self._descriptor)
        self.abandon()

    def abandon(self) -> None:
        """Close the descriptor only, as in a forked child: the lock is the parent's."""
        with suppress(OSError):
            os.close(self._descriptor)


class DirectoryLock:
    """A lock on a directory: `with DirectoryLock(directory) as is_ours`; nobody waits for it."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / ".lock"
        self._descriptor = -1

    def __enter__(self) -> bool:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        self._descriptor = os.open(self._path, flags, 0o600)
        try:
            _lock(self._descriptor)
        except OSError:
            return False
        return True

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def set_aside(path: Path) -> Path:
    """Rename a file that cannot be read, so that it is kept and nobody tries again; returns its new name."""
    new = path.with_suffix(_UNREADABLE)
    path.rename(new)
    return new


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        # The lock is on a byte far behind the end, because a locked byte cannot be read.
        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, 1 << 40, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, place, os.SEEK_SET)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
