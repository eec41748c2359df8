"""Runs as an ECS task."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from prefect.run_configs.base import RunConfig, is_local_path, parse_yaml, read_local_file

__all__ = ["ECSRun"]


class ECSRun(RunConfig):
    """Runs as a task of a definition given as data, as a file (read now if local) or by its ARN.

    Raises `ValueError` for more than one of these, and for an image together with an ARN.
    """

    fields: ClassVar[tuple[str, ...]] = (
        "task_definition",
        "task_definition_path",
        "task_definition_arn",
        "image",
        "cpu",
        "memory",
        "task_role_arn",
        "execution_role_arn",
        "run_task_kwargs",
    )

    def __init__(
        self,
        *,
        task_definition: Mapping[str, Any] | str | None = None,
        task_definition_path: str | None = None,
        task_definition_arn: str | None = None,
        image: str | None = None,
        env: Mapping[str, Any] | None = None,
        cpu: int | str | None = None,
        memory: int | str | None = None,
        task_role_arn: str | None = None,
        execution_role_arn: str | None = None,
        run_task_kwargs: Mapping[str, Any] | None = None,
        labels: Iterable[str] | None = None,
    ) -> None:
        super().__init__(env=env, labels=labels)
        given = [task_definition, task_definition_path, task_definition_arn]
        if sum(definition is not None for definition in given) > 1:
            raise ValueError(
                "Can only provide one of `task_definition`, `task_definition_path`, or `task_definition_arn`"
            )
        if task_definition_arn is not None and image is not None:
            raise ValueError(
                "Cannot provide both `task_definition_arn` and `image`, since an ECS task's `image` can only be "
                "configured as part of the task definition"
            )
        if task_definition_path is not None and is_local_path(task_definition_path):
            task_definition = read_local_file(task_definition_path)
            task_definition_path = None
        if isinstance(task_definition, str):
            task_definition = parse_yaml(task_definition, "task_definition")
        self.task_definition = task_definition
        self.task_definition_path = task_definition_path
        self.task_definition_arn = task_definition_arn
        self.image = image
        self.cpu = None if cpu is None else str(cpu)
        self.memory = None if memory is None else str(memory)
        self.task_role_arn = task_role_arn
        self.execution_role_arn = execution_role_arn
        self.run_task_kwargs = dict(run_task_kwargs) if run_task_kwargs is not None else None
