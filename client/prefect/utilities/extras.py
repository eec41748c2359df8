"""Import what only an extra of Flowstead installs.

A package that is missing raises an `ImportError` whose text says what needs it and how to install it.
"""

import importlib
from typing import Any

__all__ = ["import_extra"]


def import_extra(module: str, extra: str, needed_by: str) -> Any:
    """Return a module; raises `ImportError` naming the extra if its package is not installed."""
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise ImportError(
            f"{needed_by} needs the package {package!r}, which is not installed. Install it with "
            f"`pip install 'flowstead[{extra}]'`.",
            name=module,
        ) from error
