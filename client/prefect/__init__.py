"""Write flows as Python functions, run them here, or register them with an API whose agents run them.

`import prefect` loads the settings and the context only.  Everything else loads when its name is first used, so that a
program pays for what it uses.  An unknown name raises `AttributeError`.
"""

import importlib
from typing import TYPE_CHECKING, Any

from prefect._version import __version__
from prefect.configuration import Config, config
from prefect.utilities.context import context
from prefect.utilities.logging import prefect_logger

if TYPE_CHECKING:
    # What scripts use as `prefect.engine.signals` and the like, without importing it.
    from prefect import artifacts as artifacts
    from prefect import backend as backend
    from prefect import client as client
    from prefect import configuration as configuration
    from prefect import core as core
    from prefect import engine as engine
    from prefect import exceptions as exceptions
    from prefect import executors as executors
    from prefect import run_configs as run_configs
    from prefect import schedules as schedules
    from prefect import serialization as serialization
    from prefect import storage as storage
    from prefect import tasks as tasks
    from prefect import triggers as triggers
    from prefect import utilities as utilities
    from prefect.client import Client
    from prefect.core.flow import Flow
    from prefect.core.parameter import Parameter
    from prefect.core.task import Task
    from prefect.tasks.control_flow.case import case
    from prefect.tasks.core.resource_manager import resource_manager
    from prefect.utilities.edges import flatten, mapped, unmapped
    from prefect.utilities.tasks import apply_map, tags, task

__all__ = [
    "Client",
    "Flow",
    "Parameter",
    "Task",
    "__version__",
    "api",
    "apply_map",
    "case",
    "config",
    "context",
    "flatten",
    "mapped",
    "models",
    "plugins",
    "resource_manager",
    "tags",
    "task",
    "unmapped",
]

context["logger"] = prefect_logger

# Registries that other distributions may hang their objects into.
api = Config()
models = Config()
plugins = Config()

_OBJECTS = {
    "Client": "prefect.client",
    "Flow": "prefect.core.flow",
    "Parameter": "prefect.core.parameter",
    "Task": "prefect.core.task",
    "apply_map": "prefect.utilities.tasks",
    "case": "prefect.tasks.control_flow",
    "flatten": "prefect.utilities.edges",
    "mapped": "prefect.utilities.edges",
    "resource_manager": "prefect.tasks.core.resource_manager",
    "tags": "prefect.utilities.tasks",
    "task": "prefect.utilities.tasks",
    "unmapped": "prefect.utilities.edges",
}
_MODULES = frozenset(
    {
        "agent",
        "artifacts",
        "backend",
        "client",
        "configuration",
        "core",
        "engine",
        "exceptions",
        "executors",
        "run_configs",
        "schedules",
        "serialization",
        "storage",
        "tasks",
        "triggers",
        "utilities",
    }
)


if not TYPE_CHECKING:  # a type checker shall complain about names that do not exist

    def __getattr__(name: str) -> Any:
        if name in _OBJECTS:
            value = getattr(importlib.import_module(_OBJECTS[name]), name)
            globals()[name] = value
            return value
        if name in _MODULES:
            return importlib.import_module(f"prefect.{name}")
        raise AttributeError(f"module 'prefect' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_OBJECTS, *_MODULES})
