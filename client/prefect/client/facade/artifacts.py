"""Artifacts: what a task run publishes, links and texts."""

import uuid
from collections.abc import Mapping
from typing import Any

from prefect._generated import operations as ops
from prefect.client.facade.connection import Connection
from prefect.client.request import UNSET
from prefect.exceptions import ObjectNotFoundError

__all__ = ["ArtifactMethods"]


class ArtifactMethods(Connection):
    """Methods about artifacts of task runs."""

    def create_task_run_artifact(
        self, task_run_id: str, kind: str, data: Mapping[str, Any], tenant_id: str | None = None
    ) -> str:
        """Publish something from a task run and return the artifact's id.

        `kind` is "link" with `data` `{"link": url}`, "markdown" with `{"markdown": text}`, or one of your own.
        """
        request = ops.create_task_run_artifact(
            task_run_id=task_run_id,
            kind=kind,
            data=data,
            tenant_id=UNSET if tenant_id is None else tenant_id,
            id=str(uuid.uuid4()),
        )
        return self.execute(request).id

    def update_task_run_artifact(self, task_run_artifact_id: str, data: Mapping[str, Any]) -> None:
        """Replace the content of an artifact; raises `ClientError` if there is no such artifact."""
        _check_success(
            self.execute(ops.update_task_run_artifact(task_run_artifact_id=task_run_artifact_id, data=data)).success,
            f"There is no artifact with the id {task_run_artifact_id!r} to update.",
        )

    def delete_task_run_artifact(self, task_run_artifact_id: str) -> None:
        """Delete an artifact; raises `ClientError` if there is no such artifact."""
        _check_success(
            self.execute(ops.delete_task_run_artifact(task_run_artifact_id=task_run_artifact_id)).success,
            f"There is no artifact with the id {task_run_artifact_id!r} to delete.",
        )


def _check_success(success: bool | None, otherwise: str) -> None:
    if not success:
        raise ObjectNotFoundError(otherwise)
