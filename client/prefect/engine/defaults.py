"""The classes that the configuration names for executors and runners.

A name that cannot be resolved among the imported modules is a `UserWarning`, and the packaged default is used.
"""

import importlib
import sys
import warnings
from typing import Any

from prefect.configuration import config

__all__ = ["get_default_executor_class", "get_default_flow_runner_class", "get_default_task_runner_class"]


def resolve_class(value: Any, fallback: str) -> Any:
    """Return the class that a dotted name stands for (anything else is returned as it is), or else the fallback."""
    if not isinstance(value, str):
        return value
    for name in (value, fallback):
        module_name, _, attribute = name.rpartition(".")
        if module_name.startswith("prefect.") or module_name in sys.modules:
            try:
                return getattr(importlib.import_module(module_name), attribute)
            except (ImportError, AttributeError):
                pass
        warnings.warn(f"Could not import {value}; using {fallback} instead.", stacklevel=3)
    raise ImportError(f"Neither {value} nor {fallback} can be imported.")


def get_default_executor_class() -> Any:
    """Return the class (or object) that `engine.executor.default_class` names."""
    return resolve_class(config.engine.executor.default_class, "prefect.executors.LocalExecutor")


def get_default_flow_runner_class() -> Any:
    """Return the class that `engine.flow_runner.default_class` names."""
    return resolve_class(config.engine.flow_runner.default_class, "prefect.engine.flow_runner.FlowRunner")


def get_default_task_runner_class() -> Any:
    """Return the class that `engine.task_runner.default_class` names."""
    return resolve_class(config.engine.task_runner.default_class, "prefect.engine.task_runner.TaskRunner")
