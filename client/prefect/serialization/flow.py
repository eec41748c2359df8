"""Flows, tasks, parameters and edges.

What comes back describes a flow but cannot run: tasks have no code, and constants are not part of the JSON.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from prefect._version import __version__
from prefect.core.edge import Edge
from prefect.core.flow import Flow
from prefect.core.parameter import DateTimeParameter, Parameter
from prefect.core.task import Task
from prefect.serialization.functions import function_from_dict, function_to_dict, qualified_name
from prefect.serialization.run_config import run_config_from_dict, run_config_to_dict
from prefect.serialization.storage import storage_from_dict, storage_to_dict

__all__ = [
    "edge_to_dict",
    "flow_from_dict",
    "flow_to_dict",
    "parameter_to_dict",
    "task_from_dict",
    "task_to_dict",
]


def _type_name(annotation: Any) -> str:
    return str(annotation)


def _seconds(delay: Any) -> int | None:
    return int(delay.total_seconds()) if isinstance(delay, timedelta) else None


def task_to_dict(task: Task, slug: str | None) -> dict[str, Any]:
    """Return a task as JSON-able data."""
    if isinstance(task, Parameter):
        kind = Parameter if type(task) is not DateTimeParameter else DateTimeParameter
        inputs: dict[str, Any] = {}
    else:
        kind = type(task)  # any task class
        inputs = {
            name: {"type": _type_name(item["type"]), "required": item["required"]}
            for name, item in task.inputs().items()
        }
    return {
        "type": qualified_name(kind),
        "name": task.name,
        "slug": slug,
        "tags": sorted(task.tags),
        "max_retries": task.max_retries,
        "retry_delay": _seconds(task.retry_delay),
        "timeout": task.timeout,
        "trigger": function_to_dict(task.trigger),
        "skip_on_upstream_skip": task.skip_on_upstream_skip,
        "cache_for": _seconds(task.cache_for),
        "cache_key": task.cache_key,
        "cache_validator": function_to_dict(task.cache_validator),
        "auto_generated": task.auto_generated,
        "inputs": inputs,
        "outputs": _type_name(task.outputs()),
        "__version__": __version__,
    }


def parameter_to_dict(parameter: Parameter) -> dict[str, Any]:
    """Return a parameter as JSON-able data; raises `ValueError` if its default is not JSON-able."""
    try:
        json.dumps(parameter.default, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError(
            "When running with Prefect Cloud/Server, values for `Parameter.default` must be JSON compatible. "
            f"Unable to serialize `{parameter.default!r}`."
        ) from None
    return {
        "type": qualified_name(type(parameter)),
        "name": parameter.name,
        "slug": parameter.slug,
        "default": parameter.default,
        "required": parameter.required,
        "tags": sorted(parameter.tags),
        "outputs": _type_name(parameter.outputs()),
        "__version__": __version__,
    }


def _reference(slug: str | None) -> dict[str, Any]:
    return {"slug": slug, "__version__": __version__}


def edge_to_dict(edge: Edge, slugs: Mapping[Task, str]) -> dict[str, Any]:
    """Return an edge as JSON-able data."""
    return {
        "upstream_task": _reference(slugs.get(edge.upstream_task, edge.upstream_task.slug)),
        "downstream_task": _reference(slugs.get(edge.downstream_task, edge.downstream_task.slug)),
        "key": edge.key,
        "mapped": edge.mapped,
        "flattened": edge.flattened,
        "__version__": __version__,
    }


def flow_to_dict(flow: Flow) -> dict[str, Any]:
    """Return a flow as JSON-able data; equal flows give equal data in any process."""
    slugs = flow.slugs
    edges = [edge_to_dict(edge, slugs) for edge in flow.edges]
    edges.sort(key=lambda e: (e["upstream_task"]["slug"], e["downstream_task"]["slug"], e["key"] or ""))
    explicit = flow._reference_tasks  # noqa: SLF001 - a flow and its JSON are one part
    return {
        "name": flow.name,
        "type": qualified_name(type(flow)),
        "schedule": _schedule_to_dict(flow.schedule),
        "parameters": [parameter_to_dict(item) for item in sorted(flow.parameters(), key=lambda item: item.name)],
        "tasks": [task_to_dict(task, slugs[task]) for task in sorted(flow.tasks, key=slugs.__getitem__)],
        "edges": edges,
        "reference_tasks": [_reference(slug) for slug in sorted(slugs[task] for task in explicit)],
        "run_config": run_config_to_dict(flow.run_config) if flow.run_config is not None else None,
        "storage": storage_to_dict(flow.storage) if flow.storage is not None else None,
        "__version__": __version__,
    }


def _schedule_to_dict(schedule: Any) -> dict[str, Any] | None:
    if schedule is None:
        return None
    from prefect.serialization.schedule import schedule_to_dict  # noqa: PLC0415 - most flows have none

    return schedule_to_dict(schedule)


def _schedule_from_dict(data: Mapping[str, Any] | None) -> Any:
    if not data:
        return None
    from prefect.serialization.schedule import schedule_from_dict  # noqa: PLC0415 - most flows have none

    return schedule_from_dict(data)


class DescribedTask(Task):
    """A task as the API knows it: everything but its code and the values of its inputs."""

    described_inputs: Mapping[str, Any]

    def run(self, **_inputs: Any) -> Any:
        """Raise `NotImplementedError`: the code is in the flow's storage."""
        raise NotImplementedError(f"The code of {self} is in the storage of its flow, not in its description.")

    def inputs(self) -> dict[str, dict[str, Any]]:
        """Return the described inputs."""
        return {name: {"default": None, **item} for name, item in self.described_inputs.items()}


def task_from_dict(data: Mapping[str, Any]) -> Task:
    """Return a task that is described by JSON-able data."""
    name, slug, tags = data.get("name"), data.get("slug"), data.get("tags") or ()
    if "prefect.core.parameter." in str(data.get("type")):
        cls = DateTimeParameter if str(data.get("type")).endswith("DateTimeParameter") else Parameter
        return cls(str(name), default=data.get("default"), required=bool(data.get("required")), tags=tags)
    task = DescribedTask(name=name, slug=slug, tags=tags)
    for attribute in ("max_retries", "timeout", "skip_on_upstream_skip", "cache_key", "auto_generated"):
        if attribute in data:
            setattr(task, attribute, data[attribute])
    for attribute in ("retry_delay", "cache_for"):
        seconds = data.get(attribute)
        setattr(task, attribute, timedelta(seconds=seconds) if seconds is not None else None)
    task.trigger = function_from_dict(data.get("trigger")) or task.trigger
    task.cache_validator = function_from_dict(data.get("cache_validator")) or task.cache_validator
    task.described_inputs = data.get("inputs") or {}
    return task


def flow_from_dict(data: Mapping[str, Any]) -> Flow:
    """Return the flow that JSON-able data describes; raises `ValueError` if it contradicts itself."""
    flow = Flow(str(data.get("name") or ""))
    by_slug: dict[Any, Task] = {}
    for item in data.get("parameters") or ():
        by_slug[item.get("slug")] = flow.add_task(task_from_dict(item))
    for item in data.get("tasks") or ():
        if item.get("slug") not in by_slug:
            by_slug[item.get("slug")] = flow.add_task(task_from_dict(item))
    try:
        for item in data.get("edges") or ():
            flow.add_edge(
                by_slug[item["upstream_task"]["slug"]],
                by_slug[item["downstream_task"]["slug"]],
                item.get("key"),
                bool(item.get("mapped")),
                bool(item.get("flattened")),
                validate=False,
            )
        flow.set_reference_tasks([by_slug[item["slug"]] for item in data.get("reference_tasks") or ()])
    except KeyError as error:
        raise ValueError(f"The flow refers to a task {error} that it does not have.") from None
    flow.schedule = _schedule_from_dict(data.get("schedule"))
    if data.get("run_config"):
        flow.run_config = run_config_from_dict(data["run_config"])
    if data.get("storage"):
        flow.storage = storage_from_dict(data["storage"])
    flow.validate()
    return flow
