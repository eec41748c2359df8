"""Artifacts: links and texts that a task run publishes.

Outside a run of the API, each function does nothing and returns None, so that flows run locally unchanged.  Otherwise
they raise what `prefect.Client` raises.
"""

from collections.abc import Mapping

import prefect
from prefect.client import Client

__all__ = [
    "create_link_artifact",
    "create_markdown_artifact",
    "delete_artifact",
    "update_link_artifact",
    "update_markdown_artifact",
]


def _is_published() -> bool:
    return bool(prefect.context.get("running_with_backend"))


def _create(kind: str, data: Mapping[str, str]) -> str | None:
    if not _is_published():
        return None
    task_run_id = prefect.context.get("task_run_id")
    if not task_run_id:
        raise ValueError("Artifacts belong to a task run: create them in a task, not in the flow's script.")
    return Client().create_task_run_artifact(task_run_id=task_run_id, kind=kind, data=data)


def _update(task_run_artifact_id: str | None, data: Mapping[str, str]) -> None:
    if not _is_published():
        return
    if not task_run_artifact_id:
        raise ValueError("The ID of an existing task run artifact must be provided.")
    Client().update_task_run_artifact(task_run_artifact_id=task_run_artifact_id, data=data)


def create_link_artifact(link: str) -> str | None:
    """Publish a URL from the running task; returns the id of the artifact."""
    return _create("link", {"link": link})


def update_link_artifact(task_run_artifact_id: str | None, link: str) -> None:
    """Replace the URL of an artifact; raises `ValueError` without an id."""
    _update(task_run_artifact_id, {"link": link})


def create_markdown_artifact(markdown: str) -> str | None:
    """Publish a text in Markdown from the running task; returns the id of the artifact."""
    return _create("markdown", {"markdown": markdown})


def update_markdown_artifact(task_run_artifact_id: str | None, markdown: str) -> None:
    """Replace the text of an artifact; raises `ValueError` without an id."""
    _update(task_run_artifact_id, {"markdown": markdown})


def delete_artifact(task_run_artifact_id: str | None) -> None:
    """Delete an artifact; raises `ValueError` without an id."""
    if not _is_published():
        return
    if not task_run_artifact_id:
        raise ValueError("The ID of an existing task run artifact must be provided.")
    Client().delete_task_run_artifact(task_run_artifact_id=task_run_artifact_id)
