"""Says which sources a built playground comes from, so that a stale one is found without Node and without a network.

`stamp` writes digests of the sources and of the built files beside the build; `check` compares them with what is there.
Run by `make ui` and `make verify`.
"""

import hashlib
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "server" / "ui"
BUILD = ROOT / "server" / "flowstead_server" / "ui"
STAMP = "build.json"
# What npm and editors leave there is no source.
_IGNORED = {"node_modules", ".DS_Store"}


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file below a folder, by its path in it; the stamp and what npm installs left out."""
    found = {}
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _IGNORED]
        for name in files:
            path = Path(parent, name)
            relative = path.relative_to(folder).as_posix()
            if name not in _IGNORED and relative != STAMP:
                found[relative] = hashlib.sha256(path.read_bytes()).hexdigest()
    return dict(sorted(found.items()))


def stamp(sources: Path = SOURCES, build: Path = BUILD) -> None:
    """Write down what the build was made from and what it consists of.

    Raises:
        OSError: there is no build.
    """
    content = {"sources": digests(sources), "files": digests(build)}
    (build / STAMP).write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def differences(sources: Path = SOURCES, build: Path = BUILD) -> list[str]:
    """Return one line for each file that is not what the stamp says; empty if the build is of these sources."""
    try:
        written = json.loads((build / STAMP).read_text("utf-8"))
    except FileNotFoundError:
        return [f"{build / STAMP} is missing"]
    found = []
    for about, folder in (("sources", sources), ("files", build)):
        now, then = digests(folder), written[about]
        found += [
            f"{folder / name} {'is missing' if name not in now else 'is new' if name not in then else 'has changed'}"
            for name in sorted(now.keys() | then.keys())
            if now.get(name) != then.get(name)
        ]
    return found


def main(arguments: list[str]) -> int:
    """Run the command `stamp` or `check`; returns the exit code."""
    if arguments == ["stamp"]:
        stamp()
        return 0
    if arguments != ["check"]:
        sys.stderr.write("usage: python -m tools.ui_build stamp|check\n")
        return 2
    found = differences()
    for line in found:
        sys.stderr.write(line + "\n")
    if found:
        sys.stderr.write("The built web page is not the one of these sources: run `make ui` and commit the result.\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
