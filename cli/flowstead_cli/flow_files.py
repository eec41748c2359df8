"""Files of serialized flows, as `prefect build` writes and `prefect register --json` reads them.

`{"version": 1, "flows": [...]}`, flows by name and keys in order, so that equal flows give equal files.  Whatever a
file lacks is `CliError`, one sentence that names the file.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from flowstead_cli.errors import CliError

__all__ = ["is_remote", "local_file", "read_flow_file", "write_flow_file"]

_VERSION = 1


def is_remote(location: str) -> bool:
    """Return whether a location is something else than a file of this machine."""
    return "://" in location and urlsplit(location).scheme != "file"


def local_file(location: str) -> Path:
    """Return the path that a local location names, which may be a `file://` URL."""
    text = unquote(urlsplit(location).path) if location.startswith("file://") else location
    return Path(text).expanduser()


def _content(location: str) -> bytes:
    from prefect.utilities.filesystems import read_bytes_from_path

    try:
        return read_bytes_from_path(location)
    except FileNotFoundError:
        raise CliError(f"Path {location!r} doesn't exist") from None
    except OSError as error:
        raise CliError(f"Cannot read {location!r}: {error.strerror}." if error.strerror else str(error)) from None
    except (ValueError, ImportError) as error:
        raise CliError(str(error)) from None


def read_flow_file(location: str) -> list[dict[str, Any]]:
    """Return the serialized flows in a file or behind a URL.

    Raises:
        CliError: it is missing, unreadable, no file of flows, or of another version.
    """
    content = _content(location)
    wrong = CliError(f"{location!r} is not a valid Prefect flows `json` file.")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise wrong from None
    if not isinstance(document, Mapping):
        raise wrong
    version, flows = document.get("version"), document.get("flows")
    if version is None or not isinstance(flows, list):
        raise wrong
    if version != _VERSION:
        raise CliError(f"{location!r} is version {version}, only version {_VERSION} is supported")
    if not all(isinstance(flow, dict) and isinstance(flow.get("name"), str) for flow in flows):
        raise wrong
    return flows


def write_flow_file(location: str, flows: Iterable[Mapping[str, Any]]) -> None:
    """Write serialized flows, one for each name: of several the last one.

    Raises:
        CliError: the file cannot be written.
    """
    by_name = {flow["name"]: flow for flow in flows}
    document = {"version": _VERSION, "flows": [by_name[name] for name in sorted(by_name)]}
    try:
        local_file(location).write_text(json.dumps(document, sort_keys=True), encoding="utf-8")
    except OSError as error:
        raise CliError(f"Cannot write {location!r}: {error.strerror}.") from None
