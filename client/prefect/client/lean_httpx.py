"""Imports httpx without its command line, which costs 0.1 s and 6 MB in every process where rich and click are there.

Import this before anything that imports httpx, or import httpx from here.  It acts only if httpx has not been imported
yet, and httpx then behaves as it does where its extra `cli` is not installed: only `httpx.main` differs.
"""

import contextlib
import importlib
import sys

__all__ = ["httpx"]

_COMMAND_LINE = "httpx._main"

if "httpx" not in sys.modules:
    sys.modules[_COMMAND_LINE] = None  # type: ignore[assignment] # the import system's sign for "not to be imported"
    try:
        with contextlib.suppress(ModuleNotFoundError):  # where only its successor is installed
            importlib.import_module("httpx")
    finally:
        del sys.modules[_COMMAND_LINE]

import httpx  # noqa: E402 - as described
