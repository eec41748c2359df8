"""What a freshly forked process does to look as if it had been started by `python -m prefect execute flow-run`.

It gets its own session, environment, working directory, import path, standard streams and `__main__`, reads the
settings again and calls its entry.  An exception of the entry is printed like that of any program and gives exit code
1.
"""

import importlib
import os
import sys
import time
import traceback
from dataclasses import dataclass
from types import ModuleType

from flowstead_agent.launchers.process_title import set_title

__all__ = ["ChildPlan", "become_child", "child_search_path", "search_path_without_environment"]


@dataclass(frozen=True, slots=True)
class ChildPlan:
    """What a child becomes."""

    environment: dict[str, str]
    """the whole environment; nothing of the server's is kept"""
    directory: str
    """the working directory; it must exist"""
    output: int
    """a descriptor that becomes standard output and standard error"""
    entry: str
    """`module:function`; the function takes no argument and returns an exit code or None"""
    base_path: list[str]
    """import path without working directory and PYTHONPATH"""


def become_child(plan: ChildPlan) -> int:
    """Turn the current process, forked a moment ago, into the planned one and run it.  Returns its exit code."""
    os.setsid()
    _open_output(plan.output)
    try:
        _enter(plan)
        module_name, _, function_name = plan.entry.partition(":")
        code = getattr(importlib.import_module(module_name), function_name)()
    except Exception:
        traceback.print_exc()
        return 1
    return int(code or 0)


def search_path_without_environment() -> list[str]:
    """Return `sys.path` without the directory of the program and the entries that come from PYTHONPATH."""
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    own = {os.path.abspath(entry) for entry in given if entry}  # noqa: PTH100 - as the interpreter does it
    entries = sys.path if sys.flags.safe_path else sys.path[1:]
    return [entry for entry in entries if entry and entry not in own]


def child_search_path(directory: str, python_path: str, base_path: list[str]) -> list[str]:
    """Return the import path that `python -m` has in `directory` with the given PYTHONPATH: no duplicates, absolute."""
    entries = python_path.split(os.pathsep) if python_path else []
    given = [os.path.normpath(os.path.join(directory, entry)) for entry in entries]  # noqa: PTH118 - strings, not paths
    return list(dict.fromkeys([directory, *given, *base_path]))


def _open_output(descriptor: int) -> None:
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    # What is still in a buffer when a process is killed is lost, and its last lines are the ones that explain its
    # death.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr] # sys.stdout of a program is a text file


def _enter(plan: ChildPlan) -> None:
    os.environ.clear()
    os.environ.update(plan.environment)
    time.tzset()
    os.chdir(plan.directory)
    sys.path[:] = child_search_path(plan.directory, plan.environment.get("PYTHONPATH", ""), plan.base_path)
    sys.argv[:] = ["prefect", "execute", "flow-run"]
    set_title("prefect execute flow-run")
    # multiprocessing imports the main module again in what it spawns; an empty one has nothing to import.
    sys.modules["__main__"] = ModuleType("__main__")
    if "prefect.configuration" in sys.modules:
        sys.modules["prefect.configuration"].reload()
