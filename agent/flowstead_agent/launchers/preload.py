"""Imported by the fork server last: loads what the library imports on first use, so that no run has to.

A module that cannot be imported is none of the fork server's business: the run that needs it will say so.
"""

import contextlib
import importlib

__all__ = ["LAZY_MODULES"]

LAZY_MODULES = (
    "encodings.idna",
    "concurrent.futures.thread",
    "multiprocessing",
    "asyncio",
    "uuid",
    "cloudpickle",
    "pendulum",
    "gql",
    "graphql",
    "httpx",
    "gql.transport.httpx",
    "httpcore",
    "anyio._backends._asyncio",
    "orjson",
    "prefect._generated.operations",
    "prefect._generated.flow_runs",
    "prefect._generated.task_runs",
    "prefect._generated.logs",
    "prefect.client.session",
    "prefect.client.encoding",
    "prefect.client.transport",
    "prefect.client.client",
    "prefect.engine.flow_runner",
    "prefect.engine.task_runner",
    "prefect.engine.cloud.flow_runner",
    "prefect.engine.cloud.task_runner",
    "prefect.executors.local",
    "prefect.storage.local",
    "prefect.tasks.core.constants",
    "prefect.utilities.graphql",
    "prefect.utilities.storage",
)

for _module in LAZY_MODULES:
    with contextlib.suppress(ImportError):
        importlib.import_module(_module)
