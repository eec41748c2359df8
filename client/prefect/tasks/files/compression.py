"""Zip archives; every argument may also be given when the task is called."""

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from prefect.core.task import Task
from prefect.tasks.files.operations import AnyPath, given
from prefect.utilities.tasks import defaults_from_attrs

__all__ = ["Unzip", "Zip"]

_METHODS = {
    "bzip2": zipfile.ZIP_BZIP2,
    "deflate": zipfile.ZIP_DEFLATED,
    "lzma": zipfile.ZIP_LZMA,
    "store": zipfile.ZIP_STORED,
}


def _method(name: str) -> int:
    if name not in _METHODS:
        raise ValueError(f"The compression method is {name!r}; it must be one of {', '.join(sorted(_METHODS))}.")
    return _METHODS[name]


class Zip(Task):
    """Makes an archive of files and directories.

    `compression_method` is "deflate", "store", "bzip2" or "lzma", `compression_level` a number as in `zipfile`.  Raises
    `ValueError` for another method.
    """

    def __init__(
        self,
        source_path: AnyPath | Iterable[AnyPath] = "",
        zip_path: AnyPath = "",
        compression_method: str = "deflate",
        compression_level: int | None = None,
        **kwargs: Any,
    ) -> None:
        _method(compression_method)
        self.source_path = source_path
        self.zip_path = zip_path
        self.compression_method = compression_method
        self.compression_level = compression_level
        super().__init__(**kwargs)

    @defaults_from_attrs("source_path", "zip_path", "compression_method", "compression_level")
    def run(
        self,
        source_path: AnyPath | Iterable[AnyPath] = "",
        zip_path: AnyPath = "",
        compression_method: str = "deflate",
        compression_level: int | None = None,
    ) -> Path:
        """Return the path of the archive; names in it begin with the name of the file or directory that was given."""
        single = isinstance(source_path, str) or not isinstance(source_path, Iterable)
        sources = [given(path, "source_path") for path in ([source_path] if single else source_path)]  # type: ignore[list-item, union-attr]  # `single` says which
        target = given(zip_path, "zip_path")
        with zipfile.ZipFile(target, "w", _method(compression_method), compresslevel=compression_level) as archive:
            for source in sources:
                for file in _files(source):
                    archive.write(file, file.relative_to(source.parent))
        return target


def _files(source: Path) -> Iterator[Path]:
    yield from sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else (source,)


class Unzip(Task):
    """Unpacks an archive into a directory, by default the current one."""

    def __init__(self, zip_path: AnyPath = "", extract_dir: AnyPath = "", **kwargs: Any) -> None:
        self.zip_path = zip_path
        self.extract_dir = extract_dir
        super().__init__(**kwargs)

    @defaults_from_attrs("zip_path", "extract_dir")
    def run(self, zip_path: AnyPath = "", extract_dir: AnyPath = "", password: str | bytes | None = None) -> Path:
        """Return the directory; raises `ValueError` without an archive, `RuntimeError` for a missing `password`."""
        target = Path(extract_dir) if extract_dir else Path.cwd()
        with zipfile.ZipFile(given(zip_path, "zip_path")) as archive:
            archive.extractall(target, pwd=password.encode() if isinstance(password, str) else password)
        return target
