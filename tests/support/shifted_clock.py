"""Run a program whose clock can jump: `python shifted_clock.py FILE PROGRAM ARGUMENT…`; PROGRAM is a path or `-m` NAME.

FILE holds the seconds by which the program's clock is ahead; it is read at the start and whenever SIGUSR1 comes. What
the program starts has the clock of the machine, and so has everything that measures intervals, as with a real clock.
"""

import datetime as dt
import os
import runpy
import signal
import sys
import time
from pathlib import Path

_real_time, _real_datetime = time.time, dt.datetime
_ahead = 0.0
_file = Path(sys.argv[1]) if __name__ == "__main__" else Path()


class _IsAnyDatetime(type):
    def __instancecheck__(cls, instance):
        return isinstance(instance, _real_datetime) if cls is ShiftedDatetime else type.__instancecheck__(cls, instance)


class ShiftedDatetime(_real_datetime, metaclass=_IsAnyDatetime):
    """Tells the shifted time; every instance is a usual datetime, or one of a subclass of somebody else."""

    def __new__(cls, *args, **kwargs):
        return _real_datetime.__new__(_real_datetime if cls is ShiftedDatetime else cls, *args, **kwargs)

    @classmethod
    def now(cls, tz=None):
        return _real_datetime.fromtimestamp(_real_time() + _ahead, tz)

    @classmethod
    def utcnow(cls):
        return cls.now(dt.UTC).replace(tzinfo=None)


def _read(*_):
    global _ahead  # noqa: PLW0603 - a process has one clock
    _ahead = float(_file.read_text() or 0)


def _forget():
    global _ahead  # noqa: PLW0603 - as above
    _ahead = 0.0
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def main():
    _read()
    signal.signal(signal.SIGUSR1, _read)
    os.register_at_fork(after_in_child=_forget)
    time.time = lambda: _real_time() + _ahead
    dt.datetime = ShiftedDatetime
    program, *arguments = sys.argv[2:]
    if program == "-m":
        sys.argv = arguments
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(program).parent)
        sys.argv = [program, *arguments]
        runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    main()
