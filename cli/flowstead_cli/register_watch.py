"""`prefect register --watch`: register again whatever changes, until Ctrl-C.

Files are looked at every half second, directories and globs too, so that a new file is noticed and a deleted one is
forgotten until it is back.  Each pass is a process of its own: code that was imported once would not change.
"""

import contextlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flowstead_cli.errors import CliError
from flowstead_cli.flow_files import is_remote, local_file
from flowstead_cli.output.lines import say
from flowstead_cli.processes import ChildProcess, deferred_signals, raise_on_termination
from flowstead_cli.sources import expand_paths

__all__ = ["WatchedSources", "module_file", "watch"]

_INTERVAL = 0.5


def module_file(name: str) -> Path | None:
    """Return the source file of a module, or of the one that holds a full import path; imports nothing for that."""
    # A flow's module may lie in the working directory, which is not on this program's path.
    places = [Path.cwd(), *map(Path, sys.path)]
    found: Path | None = None
    for part in name.split("."):
        folders = [place / part for place in places]
        files = [file for folder in folders for file in (folder / "__init__.py", folder.with_name(f"{part}.py"))]
        file = next((file for file in files if file.is_file()), None)
        if file is None and found is None:
            file = _installed(part)
        # Without a file it is a namespace package, which may have parts in several places.
        places = [folder for folder in folders if folder.is_dir()] if file is None else [file.parent]
        found = file or found
        if not places or (file is not None and file.name != "__init__.py"):
            break
    return found


def _installed(name: str) -> Path | None:
    # What was installed to be edited is known to finders of its own.
    specs = (finder.find_spec(name, None) for finder in sys.meta_path)
    origin = next((spec.origin for spec in specs if spec is not None), None)
    return Path(origin) if origin is not None and origin.endswith(".py") else None


@dataclass(frozen=True, slots=True)
class WatchedSources:
    """What to watch.

    Raises:
        CliError: one of the JSON files is not on this machine, or a path does not exist.
    """

    paths: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    json_files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if any(is_remote(location) for location in self.json_files):
            raise CliError("Error: --watch is not supported for remote paths")
        expand_paths(self.paths)

    def changes(self) -> dict[tuple[str, str], int]:
        """Return when each source that exists now was changed: `(option, value)` → nanoseconds."""
        files: list[tuple[str, str, Path | None]] = []
        for path in self.paths:
            # Whatever was there at the start may be away for a moment, as editors do.
            with contextlib.suppress(CliError):
                files += [("--path", file, Path(file)) for file in expand_paths([path])]
        files += [("--module", name, module_file(name)) for name in self.modules]
        files += [("--json", location, local_file(location)) for location in self.json_files]
        found = {}
        for option, value, file in files:
            with contextlib.suppress(OSError):
                if file is not None:
                    found[option, value] = file.stat().st_mtime_ns
        return found


def watch(sources: WatchedSources, options: Sequence[str]) -> None:
    """Register all sources, and then again whichever changes; ends by Ctrl-C only.

    Args:
        sources: what to watch.
        options: of `prefect register`, but for the sources.
    """
    with raise_on_termination():
        known: dict[tuple[str, str], int] = {}
        while True:
            now = sources.changes()
            changed = [source for source, moment in now.items() if known.get(source) != moment]
            known = now
            if changed:
                _pass([*options, *(word for source in changed for word in source)])
                say("Watching for changes; press Ctrl-C to stop.")
            time.sleep(_INTERVAL)


def _pass(arguments: Sequence[str]) -> None:
    with contextlib.ExitStack() as stack:
        with deferred_signals():
            child = stack.enter_context(ChildProcess("prefect", ["register", *arguments, "--keep-going"]))
        while child.wait_for(_INTERVAL) is None:
            pass
