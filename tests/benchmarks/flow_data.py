"""Flows and operations that the benchmarks send, as text: nothing of ours stands between them and the server."""

from __future__ import annotations

import orjson
from http_load import post

CREATE_FLOW_RUN = "mutation($input: create_flow_run_input!) { create_flow_run(input: $input) { id } }"
_CREATE_FLOW = "mutation($input: create_flow_input!) { create_flow(input: $input) { id } }"
_CREATE_PROJECT = "mutation($input: create_project_input!) { create_project(input: $input) { id } }"


async def register_flow(port: int, name: str, *, tasks: int) -> str:
    """Register a flow with so many tasks in a project of its own; its id."""
    project = await send(port, _CREATE_PROJECT, {"input": {"name": f"project of {name}"}})
    flow = {
        "name": name,
        "type": "prefect.core.flow.Flow",
        "__version__": "1.5.0",
        "parameters": [],
        "reference_tasks": [],
        "edges": [],
        "tasks": [
            {"name": f"task-{i}", "slug": f"task-{i}-1", "type": "prefect.tasks.core.function.FunctionTask", "tags": []}
            for i in range(tasks)
        ],
        "run_config": {"type": "UniversalRun", "labels": [], "env": None, "__version__": "1.5.0"},
        "storage": {"type": "Local", "directory": "/tmp", "flows": {name: "/tmp/none"}, "__version__": "1.5.0"},
    }
    created = await send(
        port,
        _CREATE_FLOW,
        {
            "input": {
                "project_id": project["create_project"]["id"],
                "serialized_flow": flow,
                "set_schedule_active": False,
            }
        },
    )
    return str(created["create_flow"]["id"])


async def send(port: int, query: str, variables: object = None) -> dict[str, dict[str, object]]:
    """Send one operation; its `data`."""
    return orjson.loads(await post(port, query, variables))["data"]
