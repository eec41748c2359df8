"""What forked processes run in the tests of the fork server."""

import json
import os
import signal
import sys
import time
from pathlib import Path


def describe():
    """Write what the process looks like from inside into a file named by the environment."""
    Path(os.environ["REPORT"]).write_text(
        json.dumps(
            {
                "pid": os.getpid(),
                "session": os.getsid(0),
                "environment": dict(os.environ),
                "directory": str(Path.cwd()),
                "path": sys.path,
                "argv": sys.argv,
                "stdin": sys.stdin.read(),
                "open": sorted(int(path.name) for path in Path("/proc/self/fd").iterdir()),
                "title": Path("/proc/self/cmdline").read_text().replace("\0", " "),
                "timezone": time.tzname[0],
                "sigint": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
            }
        )
    )
    print("said on stdout")
    print("said on stderr", file=sys.stderr)


def wait_for_signal():
    """Say that the process runs, then sleep until it is killed."""
    print("ready", flush=True)
    Path(os.environ["REPORT"]).write_text("ready")
    time.sleep(3600)


def stubborn():
    """Like `wait_for_signal`, but deaf to SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    wait_for_signal()


def fail():
    """Raise."""
    raise RuntimeError("this flow is broken")


def seven():
    """Exit with a code, after the exit handlers of a normal program."""
    import atexit

    atexit.register(print, "an exit handler ran")
    return 7


def from_import_path():
    """Import a module that only the run's import path has."""
    import only_here

    print(only_here.VALUE)


def report():
    """Leave a trace, at once."""
    Path(os.environ["REPORT"]).write_text("done")


def leave_a_file_open():
    """Write without closing, as careless programs do, in a module that only the child imports."""
    import careless

    careless.write(os.environ["REPORT"])


def use_processes():
    """Start workers in both ways that multiprocessing has, and a thread that outlives the entry."""
    import multiprocessing
    import threading

    for method in ("spawn", "fork"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(method, pool.map(abs, [-1, -2]))
    done = threading.Event()
    threading.Thread(target=lambda: done.wait(20) and print("the thread ended")).start()
    threading.Timer(0.1, done.set).start()


def exit_with_words():
    """End as scripts do that have something to complain about."""
    sys.exit("these are the words")
