"""Flows to bytes and back, and flows out of scripts and modules.

A flow that is not where it should be raises `ValueError` or `FlowStorageError` naming what is there instead; what the
user's own code raises while it is loaded is passed on.
"""

import base64
import importlib
import json
import platform
import re
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle  # type: ignore[import-untyped]  # it has no type hints

import prefect
from prefect.exceptions import FlowStorageError

if TYPE_CHECKING:
    from prefect.core.flow import Flow

__all__ = [
    "extract_flow_from_file",
    "extract_flow_from_module",
    "flow_from_bytes_pickle",
    "flow_to_bytes_pickle",
    "flows_in",
    "slugify",
    "timestamp_slug",
]

# Readable by every supported Python.
_PROTOCOL = 4
_SCRIPT_NAME = "<flow>"


def slugify(text: str) -> str:
    """Return text in lower-case letters, digits and hyphens, for file names and keys."""
    from slugify import slugify as make_slug  # noqa: PLC0415 - its tables take milliseconds to load

    return make_slug(text)


def timestamp_slug() -> str:
    """Return the current UTC time as a slug."""
    from datetime import UTC, datetime  # noqa: PLC0415 - kept beside its only use

    return re.sub(r"[^a-z0-9]+", "-", datetime.now(UTC).isoformat().lower())


def flow_to_bytes_pickle(flow: "Flow") -> bytes:
    """Return the pickled flow with the versions it was made with, as JSON in UTF-8.

    Raises `FlowStorageError` if something that the flow uses cannot be pickled.
    """
    try:
        pickled = cloudpickle.dumps(flow, protocol=_PROTOCOL)
    except Exception as error:
        raise FlowStorageError(
            f"The flow {flow.name!r} cannot be pickled, because of something that its tasks use ({error}). Make that "
            "inside the task that uses it, or store the flow as a script."
        ) from error
    return json.dumps({"flow": base64.b64encode(pickled).decode(), "versions": _versions()}).encode()


def _versions() -> dict[str, str]:
    return {
        "cloudpickle": cloudpickle.__version__,
        "prefect": prefect.__version__,
        "python": platform.python_version(),
    }


def flow_from_bytes_pickle(data: bytes) -> "Flow":
    """Return the flow that `flow_to_bytes_pickle` (or a plain cloudpickle) made; raises `FlowStorageError`."""
    try:
        info = json.loads(data)
        pickled = base64.b64decode(info["flow"])
        versions = dict(info.get("versions") or {})
    except (ValueError, KeyError, TypeError):
        pickled, versions = data, {}
    try:
        flow: Flow = cloudpickle.loads(pickled)
    except Exception as error:
        raise FlowStorageError(_unpickling_message(error, versions)) from error
    built, here = versions.get("prefect"), prefect.__version__
    if built and built != here:
        warnings.warn(
            f"This flow was built using Prefect {built!r}, but you currently have Prefect {here!r} installed. We "
            "recommend loading flows with the same Prefect version they were built with, failure to do so may result "
            "in errors.",
            stacklevel=2,
        )
    return flow


def _unpickling_message(error: Exception, versions: dict[str, str]) -> str:
    lines = [f"An error occurred while unpickling the flow:\n  {error!r}"]
    here = _versions()
    differing = [
        f"  - {name}: (flow built with {version!r}, currently running with {here[name]!r})"
        for name, version in sorted(versions.items())
        if name in here and version != here[name]
    ]
    if differing:
        lines.append("This may be due to one of the following version mismatches between the flow build and execution")
        lines.append("environments:")
        lines.extend(differing)
    if isinstance(error, ImportError):
        missing = f" {error.name!r}" if error.name else ""
        lines.append(f"This also may be due to a missing Python module{missing} in your current environment. Please")
        lines.append("ensure you have all required flow dependencies installed.")
    return "\n".join(lines)


def flows_in(names: Iterable[Any]) -> "dict[str, Flow]":
    """Return the flows among some objects by name, in order."""
    from prefect.core.flow import Flow  # noqa: PLC0415 - this module is imported to save and load, not to build

    found: dict[str, Flow] = {}
    for value in names:
        # Scripts hold objects whose class answers anything; only real flows count.
        if issubclass(type(value), Flow):
            found.setdefault(value.name, value)
    return found


def extract_flow_from_file(
    file_path: str | None = None, file_contents: str | None = None, flow_name: str | None = None
) -> "Flow":
    """Execute a script and return its flow of that name, or its first flow.

    The script does not run as `__main__`, and `flow.run()` and `flow.register()` in it do nothing.  Raises `ValueError`
    for neither or both sources and if the flow is not found, and what the script raises.
    """
    if (file_path is None) == (file_contents is None):
        raise ValueError("Exactly one of `file_path` and `file_contents` must be provided.")
    names: dict[str, Any] = {"__name__": _SCRIPT_NAME, "__builtins__": __builtins__}
    source: str | bytes
    added = None
    if file_path is not None:
        path = Path(file_path).expanduser().absolute()
        source = path.read_bytes()
        names["__file__"] = str(path)
        added = str(path.parent)
        filename = str(path)
    else:
        source = file_contents or ""
        filename = _SCRIPT_NAME
    if added is not None:
        sys.path.insert(0, added)
    try:
        with prefect.context(loading_flow=True, local_script_path=names.get("__file__")):
            exec(compile(source, filename, "exec"), names)  # noqa: S102 - executing the user's script is the point
    finally:
        if added is not None and added in sys.path:
            sys.path.remove(added)
    flows = flows_in(names.values())
    if not flows:
        raise ValueError("No flows found in file.")
    if flow_name is None:
        return next(iter(flows.values()))
    if flow_name not in flows:
        listed = "\n".join(f"- {name!r}" for name in sorted(flows))
        raise ValueError(f"Flow {flow_name!r} not found in file. Found flows:\n{listed}")
    return flows[flow_name]


def extract_flow_from_module(module_str: str, flow_name: str | None = None) -> "Flow":
    """Import `package.module` (or `package.module:attribute.path`) and return its flow; a function there is called.

    Raises `ValueError` or `TypeError` if it is not there or is another one, and what the import raises.
    """
    from prefect.core.flow import Flow  # noqa: PLC0415 - this module is imported to save and load, not to build

    module_name, _, path = module_str.partition(":")
    with prefect.context(loading_flow=True):
        found: Any = importlib.import_module(module_name)
        if not path:
            return _only_flow(flows_in(vars(found).values()), module_str, flow_name)
        try:
            for attribute in path.split("."):
                found = getattr(found, attribute)
        except AttributeError:
            raise ValueError(f"Failed to find flow at {module_str!r}") from None
        if callable(found) and not isinstance(found, Flow):
            found = found()
    if not isinstance(found, Flow):
        raise TypeError(f"Object at {module_str!r} is a {type(found)} not a `prefect.Flow`")
    if flow_name is not None and found.name != flow_name:
        raise ValueError(f"Flow at {module_str!r} is named {found.name!r}, expected {flow_name!r}")
    return found


def _only_flow(flows: "dict[str, Flow]", module_str: str, flow_name: str | None) -> "Flow":
    if flow_name is not None:
        if flow_name not in flows:
            raise ValueError(f"Failed to find flow {flow_name!r} in {module_str!r}")
        return flows[flow_name]
    if len(flows) > 1:
        raise ValueError(f"Multiple flows found in {module_str!r}, please provide `flow_name` to select one.")
    if not flows:
        raise ValueError(f"No flows found in {module_str!r}")
    return next(iter(flows.values()))
