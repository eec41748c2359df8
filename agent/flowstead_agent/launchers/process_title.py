"""The command line under which `ps` and `pkill -f` find a forked process, which begins with that of its parent.

Linux only; elsewhere, and where the system does not let a process look at itself, nothing happens.
"""

import contextlib
import ctypes
from pathlib import Path

__all__ = ["set_title"]

# See proc(5): fields count from 1, and the second is a name in parentheses, which may hold anything.
_AFTER_NAME = 3
_ARG_START = 48
_ARG_END = 49


def set_title(title: str) -> None:
    """Show `title` as this process's command line, as much of it as there is room for."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        start, end = (int(fields[field - _AFTER_NAME]) for field in (_ARG_START, _ARG_END))
        if 0 < start < end:
            # The last byte stays zero: another one there would tell the system to read on behind it.
            words = "\0".join(title.split()).encode()[: end - start - 1]
            ctypes.memmove(start, words.ljust(end - start, b"\0"), end - start)
