"""`TaskRunView`: a run of a task, and its result."""

from typing import TYPE_CHECKING, Any

from prefect._generated import operations as ops
from prefect._generated.types import TaskRunRecord
from prefect.client import Client
from prefect.engine.result import NoResult, Result
from prefect.engine.state import Scheduled, State

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TaskRunView"]

_NOT_LOADED = object()


class TaskRunView:
    """A task run, as it was when it was asked for."""

    def __init__(
        self,
        task_run_id: str,
        task_id: str,
        task_slug: str,
        name: str | None,
        state: State,
        map_index: int,
        flow_run_id: str,
    ) -> None:
        self.task_run_id = task_run_id
        self.task_id = task_id
        self.task_slug = task_slug
        self.name = name
        self.state = state
        self.map_index = map_index
        self.flow_run_id = flow_run_id
        self._result: Any = _NOT_LOADED

    def __repr__(self) -> str:
        return (
            f"TaskRunView(task_run_id={self.task_run_id!r}, task_slug={self.task_slug!r}, "
            f"map_index={self.map_index}, state={self.state!r})"
        )

    @classmethod
    def from_task_run_id(cls, task_run_id: str) -> "TaskRunView":
        """Return the task run of this id; raises `ValueError` if there is none."""
        if not isinstance(task_run_id, str):
            raise TypeError(f"`task_run_id` must be a string, not {type(task_run_id).__name__}: {task_run_id!r}.")
        return cls._one({"id": {"_eq": task_run_id}})

    @classmethod
    def from_task_slug(cls, task_slug: str, flow_run_id: str, map_index: int = -1) -> "TaskRunView":
        """Return a flow run's task run by the slug of its task; raises `ValueError` if there is none."""
        return cls._one(
            {
                "task": {"slug": {"_eq": task_slug}},
                "flow_run_id": {"_eq": flow_run_id},
                "map_index": {"_eq": map_index},
            }
        )

    @classmethod
    def where(cls, where: dict[str, Any], limit: int | None = None) -> "list[TaskRunView]":
        """Return the task runs that match a filter, parents before their children."""
        found = Client().execute(ops.task_runs_where(where=where, limit=limit))
        return [cls._from_record(record) for record in found]

    @classmethod
    def _one(cls, where: dict[str, Any]) -> "TaskRunView":
        found = cls.where(where, limit=2)
        if not found:
            raise ValueError(f"No task runs found while querying for task runs where {where}")
        if len(found) > 1:
            raise ValueError(f"Found multiple ({len(found)}) task runs while querying for task runs where {where}")
        return found[0]

    @classmethod
    def _from_record(cls, record: TaskRunRecord) -> "TaskRunView":
        state = State.deserialize(record.serialized_state) if record.serialized_state else None
        return cls(
            task_run_id=record.id,
            task_id=record.task.id,
            task_slug=record.task.slug or "",
            name=record.name,
            state=state if state is not None else Scheduled(message="A state for this task run is not yet available."),
            map_index=record.map_index,
            flow_run_id=record.flow_run_id,
        )

    def get_latest(self) -> "TaskRunView":
        """Return the task run as it is now."""
        return self.from_task_run_id(self.task_run_id)

    def iter_mapped(self) -> "Iterator[TaskRunView]":
        """Yield the children of a mapped task run; raises `TypeError` if it is not mapped."""
        if not self.state.is_mapped():
            raise TypeError(f"Task run {self.task_run_id!r} ({self.task_slug}) is not a mapped task.")
        where = {
            "task": {"slug": {"_eq": self.task_slug}},
            "flow_run_id": {"_eq": self.flow_run_id},
            "map_index": {"_neq": -1},
        }
        yield from self.where(where)

    def get_result(self) -> Any:
        """Return the value that the task run wrote, of a mapped one the list of its children's; read once.

        Raises `ValueError` if the run is not finished or kept nothing, `TypeError` if its kind of result is unknown,
        and what reading raises.
        """
        if self._result is _NOT_LOADED:
            self._result = self._load_mapped() if self.state.is_mapped() else self._load()
        return self._result

    def _load_mapped(self) -> list[Any]:
        children = list(self.iter_mapped())
        if not children:
            raise ValueError(f"No child task runs were found for the mapped task run {self.task_run_id!r}.")
        return [child.get_result() for child in children]

    def _load(self) -> Any:
        if not self.state.is_finished():
            raise ValueError("The task result cannot be loaded if it is not finished.")
        result = self.state._result  # noqa: SLF001 - the state hands out the value only
        if result is None or result is NoResult:
            raise TypeError(
                "The task has a no `Result` type so the result cannot be loaded. Give the task or the flow a result "
                "with a location that this process can read."
            )
        if type(result) is Result:
            raise TypeError(
                "The task has a custom `Result` type and its result cannot be loaded. Only built-in `Result` types "
                "are supported."
            )
        if not result.location:
            raise ValueError(
                "The task result has no `location` so the result cannot be loaded. This often means that your task "
                "result has not been configured or has not been written yet."
            )
        return self.state.load_result(result).result
