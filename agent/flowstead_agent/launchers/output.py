"""The output of a flow-run process: a file that the process appends to and the agent reads the end of.

A file rather than a pipe, because a process must be able to print after its agent is gone.  It loses its name as soon
as the process has opened it and its beginning when it gets long, so it neither stays behind nor fills a disk while an
agent looks after it.  A file that cannot be created (disk full) raises `OSError`.
"""

import os
import tempfile
from pathlib import Path

__all__ = ["TAIL_BYTES", "OutputFile"]

TAIL_BYTES = 64 * 1024
_LONG_BYTES = 4 * 1024 * 1024


class OutputFile:
    """The file of one process, while the agent follows it."""

    def __init__(self, directory: str | None = None) -> None:
        # O_APPEND for the agent too: what it keeps when it shortens the file must not overwrite what was just printed
        descriptor, self._path = tempfile.mkstemp(prefix="flow-run-", suffix=".out", dir=directory)
        os.close(descriptor)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND)
        self._shown = 0

    @property
    def path(self) -> str:
        """Where the process finds it, until `forget_name`."""
        return self._path

    def fileno(self) -> int:
        """Return the descriptor, to be inherited by a spawned process."""
        return self._descriptor

    def forget_name(self) -> None:
        """Remove the name: the file exists as long as somebody has it open."""
        Path(self._path).unlink(missing_ok=True)

    def tail(self) -> str:
        """Return the end of what was printed, at most 64 KiB, from the beginning of a line if it was cut."""
        size = os.fstat(self._descriptor).st_size
        data = os.pread(self._descriptor, TAIL_BYTES, max(0, size - TAIL_BYTES))
        if size > TAIL_BYTES:
            _, newline, rest = data.partition(b"\n")
            data = rest if newline and rest else data
        return data.decode("utf-8", "replace").strip("\n")

    def unseen(self) -> bytes:
        """Return what was printed since the last call, at most 1 MiB of it."""
        size = os.fstat(self._descriptor).st_size
        self._shown = min(self._shown, size)
        data = os.pread(self._descriptor, min(size - self._shown, 1 << 20), self._shown)
        self._shown += len(data)
        return data

    def shorten(self) -> None:
        """Drop the beginning of a long file.  What is printed in the very same moment may be dropped with it."""
        size = os.fstat(self._descriptor).st_size
        if size <= _LONG_BYTES:
            return
        kept = os.pread(self._descriptor, TAIL_BYTES, size - TAIL_BYTES)
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, kept)
        self._shown = len(kept)

    def close(self) -> None:
        """Let go of the file."""
        self.forget_name()
        os.close(self._descriptor)
