"""Where executors were before 1.0; each use warns that they moved to `prefect.executors`."""

import warnings
from typing import Any

from prefect import executors


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module 'prefect.engine.executors' has no attribute {name!r}")
    found = getattr(executors, name)
    warnings.warn(
        f"prefect.engine.executors.{name} has been moved to `prefect.executors.{name}`, please update your imports",
        stacklevel=2,
    )
    return found
