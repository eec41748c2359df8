"""Flows in files of this machine, as pickles or as scripts.

Only agents on the machine can run them, so its host name is a default label.  A file that is missing, or that cannot be
read or written, raises `FlowStorageError`.
"""

import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from prefect.configuration import config
from prefect.engine.results.local_result import LocalResult
from prefect.exceptions import FlowStorageError
from prefect.storage.base import Storage
from prefect.utilities.storage import (
    extract_flow_from_file,
    extract_flow_from_module,
    flow_from_bytes_pickle,
    flow_to_bytes_pickle,
    slugify,
    timestamp_slug,
)

if TYPE_CHECKING:
    from prefect.core.flow import Flow
    from prefect.engine.result import Result

__all__ = ["Local"]


class Local(Storage):
    """Keeps flows under `directory` (default `{home_dir}/flows`) or at `path`.

    With `stored_as_script`, `path` is the script (or module) that defines the flow, and is executed where the flow
    runs.  With `validate` the directory is made absolute and created.
    """

    fields: ClassVar[tuple[str, ...]] = ("directory", "path", "stored_as_script")

    def __init__(
        self,
        directory: str | None = None,
        validate: bool = True,
        path: str | None = None,
        stored_as_script: bool = False,
        **kwargs: Any,
    ) -> None:
        chosen = Path(directory if directory is not None else os.path.expandvars(f"{config.home_dir}/flows"))
        if validate:
            chosen = chosen.expanduser().absolute()
            chosen.mkdir(parents=True, exist_ok=True)
        self.directory = str(chosen)
        self.path = _absolute(path) if path is not None else None
        super().__init__(stored_as_script=stored_as_script, **kwargs)
        if self.result is None:
            self.result = LocalResult(self.directory, validate_dir=validate)

    @property
    def default_labels(self) -> list[str]:
        """The name of this machine."""
        return [socket.gethostname()]

    def default_result(self) -> "Result | None":
        """Return files in the storage's directory."""
        return self.result if self.result is not None else LocalResult(self.directory)

    def add_flow(self, flow: "Flow") -> str:
        """Write the flow to its file, or note where its script is; returns the path."""
        self._refuse_second(flow)
        if self.stored_as_script:
            if not self.path:
                raise ValueError("A `path` must be provided to show where flow `.py` file is stored.")
            location = self.path
        else:
            default = f"{self.directory}/{slugify(flow.name)}/{timestamp_slug()}"
            file = Path(self.path or default)
            data = flow_to_bytes_pickle(flow)
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
            except OSError as error:
                raise FlowStorageError(
                    f"The flow {flow.name!r} could not be written to {str(file)!r}: {error.strerror or error}. Give a "
                    "`directory` (or `path`) that can be written to."
                ) from error
            location = str(file)
        self.flows[flow.name] = location
        self._flows[flow.name] = flow
        return location

    def get_flow(self, flow_name: str) -> "Flow":
        """Return the flow of that name, loaded from its file or module."""
        location = self._location(flow_name)
        path = Path(location).expanduser()
        if path.is_file():
            if not self.stored_as_script:
                return flow_from_bytes_pickle(_read(path, flow_name))
            flow = extract_flow_from_file(str(path), flow_name=flow_name)
            # Tasks may import the script's neighbours when they run.
            if str(path.parent) not in sys.path:
                sys.path.append(str(path.parent))
            return flow
        if _looks_like_file(location):
            raise FlowStorageError(
                f"The flow {flow_name!r} is stored in {location!r}, which is no file on this machine "
                f"({socket.gethostname()}). Register the flow again, or run it where the file is."
            )
        return extract_flow_from_module(location, flow_name)


def _read(path: Path, flow_name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FlowStorageError(
            f"The flow {flow_name!r} could not be read from {str(path)!r}: {error.strerror or error}."
        ) from error


def _looks_like_file(location: str) -> bool:
    return os.sep in location or "/" in location or location.endswith((".py", ".prefect"))


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute()) if _looks_like_file(path) or Path(path).is_file() else path
