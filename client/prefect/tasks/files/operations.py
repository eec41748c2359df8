"""Copy, move, remove and find files; every path may also be given when the task is called."""

import shutil
from os import PathLike
from pathlib import Path
from typing import Any

from prefect.core.task import Task
from prefect.utilities.tasks import defaults_from_attrs

__all__ = ["Copy", "Glob", "Move", "Remove"]

AnyPath = str | PathLike[str]


def given(path: AnyPath, name: str) -> Path:
    """Return the path; raises `ValueError` if it is empty."""
    if not path:
        raise ValueError(f"No `{name}` provided.")
    return Path(path)


class Copy(Task):
    """Copies a file, or a directory with everything in it."""

    def __init__(self, source_path: AnyPath = "", target_path: AnyPath = "", **kwargs: Any) -> None:
        self.source_path = source_path
        self.target_path = target_path
        super().__init__(**kwargs)

    @defaults_from_attrs("source_path", "target_path")
    def run(self, source_path: AnyPath = "", target_path: AnyPath = "") -> Path:
        """Return the path of the copy; raises `ValueError` if one of the paths is missing."""
        source, target = given(source_path, "source_path"), given(target_path, "target_path")
        return Path(shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target))


class Move(Task):
    """Moves a file or a directory."""

    def __init__(self, source_path: AnyPath = "", target_path: AnyPath = "", **kwargs: Any) -> None:
        self.source_path = source_path
        self.target_path = target_path
        super().__init__(**kwargs)

    @defaults_from_attrs("source_path", "target_path")
    def run(self, source_path: AnyPath = "", target_path: AnyPath = "") -> Path:
        """Return the new path; raises `ValueError` if one of the paths is missing."""
        source, target = given(source_path, "source_path"), given(target_path, "target_path")
        return Path(shutil.move(source, target))


class Remove(Task):
    """Removes a file, or a directory that is empty."""

    def __init__(self, path: AnyPath = "", **kwargs: Any) -> None:
        self.path = path
        super().__init__(**kwargs)

    @defaults_from_attrs("path")
    def run(self, path: AnyPath = "") -> None:
        """Remove it; raises `ValueError` without a path and `OSError` for a directory that is not empty."""
        found = given(path, "path")
        if found.is_dir() and not found.is_symlink():
            found.rmdir()
        else:
            found.unlink()


class Glob(Task):
    """Finds the files in a directory whose names match a pattern."""

    def __init__(self, path: AnyPath = "", pattern: str = "*", **kwargs: Any) -> None:
        self.path = path
        self.pattern = pattern
        super().__init__(**kwargs)

    @defaults_from_attrs("path", "pattern")
    def run(self, path: AnyPath = "", pattern: str = "*") -> list[Path]:
        """Return the paths in alphabetical order; raises `ValueError` without a directory."""
        return sorted(given(path, "path").glob(pattern))
