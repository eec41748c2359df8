"""Flows as 1.x programs serialize them."""

import base64
import gzip
import json
from typing import Any


def serialized_task(slug: str, **members: Any) -> dict[str, Any]:
    """One task, named like its slug."""
    return {
        "name": slug,
        "slug": slug,
        "type": "prefect.tasks.core.function.FunctionTask",
        "tags": [],
        "max_retries": 0,
        "retry_delay": None,
        "timeout": None,
        "trigger": {"fn": "prefect.triggers.all_successful", "kwargs": {}},
        "auto_generated": False,
        "cache_key": None,
        "inputs": {},
        "outputs": "typing.Any",
        "__version__": "1.4.1",
        **members,
    }


def serialized_edge(upstream: str, downstream: str, **members: Any) -> dict[str, Any]:
    """One edge between two slugs."""
    return {
        "upstream_task": {"slug": upstream, "__version__": "1.4.1"},
        "downstream_task": {"slug": downstream, "__version__": "1.4.1"},
        "key": None,
        "mapped": False,
        "flattened": False,
        "__version__": "1.4.1",
        **members,
    }


def serialized_flow(name: str = "flow", **members: Any) -> dict[str, Any]:
    """A flow with two tasks, one after the other."""
    return {
        "name": name,
        "type": "prefect.core.flow.Flow",
        "schedule": None,
        "parameters": [],
        "tasks": [serialized_task("first-1"), serialized_task("second-1")],
        "edges": [serialized_edge("first-1", "second-1")],
        "reference_tasks": [],
        "run_config": {"type": "UniversalRun", "env": None, "labels": [], "__version__": "1.4.1"},
        "storage": {"type": "Local", "flows": {name: "/flows/flow.py"}, "secrets": [], "__version__": "1.4.1"},
        "__version__": "1.4.1",
        **members,
    }


def serialized_parameter(name: str, *, required: bool = False, default: Any = None) -> dict[str, Any]:
    """One parameter."""
    return {
        "name": name,
        "slug": name,
        "required": required,
        "default": default,
        "tags": [],
        "outputs": "typing.Any",
        "type": "prefect.core.parameter.Parameter",
        "__version__": "1.4.1",
    }


def compressed(flow: dict[str, Any]) -> str:
    """The form in which flows are registered by default."""
    return base64.b64encode(gzip.compress(json.dumps(flow).encode())).decode()
