"""Small helpers, one purpose a module; every module here is reachable as `prefect.utilities.<name>`.

Sub-modules load on first attribute access, so that importing one helper never pays for another.  An unknown name raises
`AttributeError` as it would on any module.
"""

import importlib
from typing import Any

_MODULES = frozenset(
    {
        "collections",
        "configuration",
        "context",
        "datetimes",
        "debug",
        "delivery",
        "diagnostics",
        "edges",
        "graphql",
        "importtools",
        "logging",
        "notifications",
        "secrets",
        "serialization",
        "storage",
        "tasks",
    }
)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"prefect.utilities.{name}")
    raise AttributeError(f"module 'prefect.utilities' has no attribute {name!r}")
