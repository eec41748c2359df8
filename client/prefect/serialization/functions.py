"""References to functions: their qualified name, and the arguments of the factory that made them.

Dates and durations among the arguments are strings that say what they are.  Names that do not resolve come back as
names: a reference is for people and for the API, and need not exist where it is read.
"""

import importlib
from collections.abc import Callable, Mapping
from datetime import datetime, time, timedelta
from typing import Any

from prefect.utilities.datetimes import as_datetime

__all__ = ["function_from_dict", "function_to_dict", "qualified_name"]

_PREFIXES = ("//datetime:", "//time:", "//timedelta:")


def qualified_name(value: Any) -> str:
    """Return `module.qualname` of a class or function, or of the class of an object that is neither."""
    if not hasattr(value, "__qualname__"):
        value = type(value)
    return f"{value.__module__}.{value.__qualname__}"


def _encode(value: Any) -> Any:
    if isinstance(value, datetime):
        return f"//datetime:{value.isoformat()}"
    if isinstance(value, time):
        return f"//time:{value.isoformat()}"
    if isinstance(value, timedelta):
        return f"//timedelta:{value.total_seconds()}"
    return value


def _decode(value: Any) -> Any:
    if not isinstance(value, str) or not value.startswith(_PREFIXES):
        return value
    kind, _, text = value.partition(":")
    if kind == "//datetime":
        return as_datetime(text)
    if kind == "//time":
        return time.fromisoformat(text)
    return timedelta(seconds=float(text))


def function_to_dict(function: Callable[..., Any]) -> dict[str, Any]:
    """Return `{"fn": name, "kwargs": arguments}` for a function."""
    arguments: Mapping[str, Any] = getattr(function, "factory_kwargs", None) or {}
    return {"fn": qualified_name(function), "kwargs": {key: _encode(value) for key, value in arguments.items()}}


def function_from_dict(data: Any) -> Any:
    """Return the function that a reference names, or the name if there is no such function here."""
    if not data:
        return None
    name = data["fn"] if isinstance(data, Mapping) else str(data)
    module_name, _, attribute = name.rpartition(".")
    # Only our own functions are looked up: reading must not import what somebody else's flow names.
    if not module_name.startswith("prefect."):
        return name
    try:
        function = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError):
        return name
    arguments = data.get("kwargs") if isinstance(data, Mapping) else None
    if arguments:
        return function(**{key: _decode(value) for key, value in arguments.items()})
    return function
