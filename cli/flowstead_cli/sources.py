"""Flows from Python files and modules, as `run` and `register` take them.

User code runs while a source is loaded, with `prefect.context.loading_flow` set, so that `flow.run()` at its end does
nothing.  What that code raises is shown with its traceback and ends in `CliError`; a missing file, module or flow is
one sentence.
"""

import glob
import importlib
import os
import runpy
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from flowstead_cli.errors import CliError

if TYPE_CHECKING:
    from prefect import Flow

__all__ = [
    "SourceError",
    "expand_paths",
    "flows_of_module",
    "flows_of_script",
    "select_flow",
    "user_traceback",
]


class SourceError(CliError):
    """A source raised while it was loaded.

    Args:
        message: one sentence, or the traceback of the user's code.
        is_traceback: whether the message is a traceback.
    """

    def __init__(self, message: str, *, is_traceback: bool = False) -> None:
        super().__init__(message)
        self.is_traceback = is_traceback


def user_traceback(error: BaseException) -> str:
    """Return the traceback of an error without the frames of this program that led to the user's code."""
    frames = traceback.extract_tb(error.__traceback__)
    own = (str(Path(__file__).parent), "<frozen runpy>", "<frozen importlib")
    first = next((index for index, frame in enumerate(frames) if not frame.filename.startswith(own)), len(frames))
    # A syntax error has no frame of the user's code; its own text says where it is.
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(frames[first:])] if frames[first:] else []
    return "".join([*lines, *traceback.format_exception_only(error)]).rstrip()


def expand_paths(paths: Sequence[str]) -> list[str]:
    """Return the Python files that paths name: files, direct `*.py` files of directories, and globs (`**` works).

    Raises:
        CliError: nothing exists at one of the paths.
    """
    files: dict[str, None] = {}
    for path in paths:
        found = sorted(glob.glob(os.path.expanduser(path), recursive=True))  # noqa: PTH111, PTH207 - keeps the path as given
        if not found:
            raise CliError(f"Path '{path}' doesn't exist")
        for match in found:
            if Path(match).is_dir():
                files.update(dict.fromkeys(str(file) for file in sorted(Path(match).glob("*.py"))))
            else:
                files[match] = None
    return list(files)


@contextmanager
def _loading(**context_values: Any) -> Iterator[None]:
    import prefect

    with prefect.context(loading_flow=True, **context_values):
        yield


@contextmanager
def _first_on_path(folder: str) -> Iterator[None]:
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def _flows_in(values: Sequence[Any]) -> list["Flow"]:
    from prefect import Flow

    # One flow under two names is one flow.
    return list({id(value): value for value in values if isinstance(value, Flow)}.values())


def flows_of_script(path: str) -> list["Flow"]:
    """Run a Python file and return the flows among its global names.

    Raises:
        SourceError: the file is missing, or its code raised.
    """
    file = Path(path).expanduser().absolute()
    if not file.is_file():
        raise SourceError(f"File does not exist: '{file}'")
    try:
        with _loading(local_script_path=path), _first_on_path(str(file.parent)):
            names = runpy.run_path(str(file), run_name="<flow>")
    except (Exception, SystemExit) as error:
        raise SourceError(user_traceback(error), is_traceback=True) from None
    return _flows_in(list(names.values()))


def _import(name: str) -> Any:
    if not all(part.isidentifier() for part in name.split(".")):
        raise SourceError(f"No module named {name!r}")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if not (name == missing or name.startswith(f"{missing}.")):
            raise
        module, _, attribute = name.rpartition(".")
        if not module:
            raise SourceError(f"No module named {name!r}") from None
    parent = _import(module)
    try:
        return getattr(parent, attribute)
    except AttributeError:
        raise SourceError(f"Module {module!r} has no attribute {attribute!r}") from None


def flows_of_module(name: str) -> list["Flow"]:
    """Import a module, or the object at a full import path, and return its flows.

    Raises:
        SourceError: there is no such module or attribute, the object is neither module nor flow, or code raised.
    """
    from prefect import Flow

    try:
        with _loading(), _first_on_path(str(Path.cwd())):
            found = _import(name)
    except SourceError:
        raise
    except (Exception, SystemExit) as error:
        raise SourceError(user_traceback(error), is_traceback=True) from None
    if isinstance(found, Flow):
        return [found]
    if isinstance(found, ModuleType):
        return _flows_in(list(vars(found).values()))
    raise SourceError(f"Invalid object of type {type(found).__name__!r} found at {name!r}. Expected Module or Flow.")


def select_flow(flows: Sequence["Flow"], location: str, name: str | None) -> "Flow":
    """Return the one flow of a source that is meant.

    Raises:
        SourceError: there is none, none of that name, or there are several and no name was given.
    """
    by_name = {flow.name: flow for flow in flows}
    listed = ", ".join(repr(known) for known in sorted(by_name))
    if not by_name:
        raise SourceError(f"Found no flows at {location}.")
    if name is not None:
        if name not in by_name:
            raise SourceError(f"Did not find {name!r} in flows at {location}. Found {listed}")
        return by_name[name]
    if len(by_name) > 1:
        raise SourceError(f"Found multiple flows at {location!r}: {listed}\n\nSpecify a flow name to run.")
    return next(iter(by_name.values()))
