"""Values in files of this machine.

A write appears whole or not at all.  A directory that cannot be made or a file that cannot be read raises `OSError`.
"""

import contextlib
import os
import re
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect.configuration import config
from prefect.engine.result.base import Result

__all__ = ["LocalResult"]


class LocalResult(Result):
    """Keeps values in files under `dir`.

    Without `dir`, or with one inside the configured `home_dir`, files are kept in `{home_dir}/results`.  With
    `validate_dir` the directory is expanded, made absolute and created; without, it is used as given.
    """

    def __init__(self, dir: str | None = None, validate_dir: bool = True, **kwargs: Any) -> None:  # noqa: A002 - 1.x API
        home = Path(os.path.expandvars(config.home_dir)).expanduser().absolute()
        directory = Path(dir).expanduser() if dir is not None else None
        if directory is None or (validate_dir and directory.absolute().is_relative_to(home)):
            directory = home / "results"
        if validate_dir:
            directory = Path(os.path.abspath(directory))  # noqa: PTH100 - symlinks stay
            directory.mkdir(parents=True, exist_ok=True)
        self.dir = str(directory)
        super().__init__(**kwargs)

    @property
    def default_location(self) -> str:
        """A file name made of the current time and chance: tasks that run at the same moment share no file."""
        stamp = re.sub(r"[^a-z0-9]+", "-", datetime.now(UTC).isoformat().lower())
        return f"{self.dir}/prefect-result-{stamp}-{uuid.uuid4().hex[:8]}"

    def _path(self, location: str) -> Path:
        return Path(self.dir) / location

    def read(self, location: str) -> Result:
        """Return a copy with the value in the file; an empty file holds None.  Raises `OSError`."""
        new = self.copy()
        new.location = location
        path = self._path(location)
        self.logger.debug("Starting to read result from %s...", path)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise _naming(error, f"No result could be read from {path}") from error
        new.value = self.serializer.deserialize(data) if data else None
        self.logger.debug("Finished reading result from %s...", path)
        return new

    def write(self, value_: Any, **kwargs: Any) -> Result:
        """Write the value to the location filled in with `kwargs`; the copy's location is the full path."""
        new = self.format(**kwargs)
        new.value = value_
        path = self._path(new.location)
        self.logger.debug("Starting to upload result to %s...", new.location)
        data = self.serializer.serialize(value_)
        temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
            temporary.replace(path)
        except OSError as error:
            _discard(temporary)
            raise _naming(error, f"The result could not be written to {path}") from error
        except BaseException:
            _discard(temporary)
            raise
        new.location = str(path)
        self.logger.debug("Finished uploading result to %s.", new.location)
        return new

    def exists(self, location: str, **kwargs: Any) -> bool:
        """Return whether the file of the location, filled in with `kwargs`, exists."""
        return self._path(location.format(**kwargs)).exists()


def _discard(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _naming(error: OSError, sentence: str) -> OSError:
    """Return an error of the same class and number whose text, also its `repr`, says which file it is about."""
    return type(error)(error.errno, f"{sentence}: {error.strerror or error}.")
