"""`with case(task, value):` - run what is inside only if the task's result equals the value."""

from typing import TYPE_CHECKING, Any

from prefect.core.task import Task
from prefect.tasks.control_flow.conditional import CompareValue
from prefect.utilities.context import context

if TYPE_CHECKING:
    from types import TracebackType

    from prefect.core.graph import Graph

__all__ = ["case"]


class case:  # noqa: N801 - used like a keyword
    """The tasks that are added to a flow in the block run only if `task` gives `value`, and are skipped otherwise.

    Raises `TypeError` if the value is a task, and `ValueError` if the block adds tasks to more than one flow.
    """

    def __init__(self, task: Task, value: Any) -> None:
        if isinstance(value, Task):
            raise TypeError("`value` cannot be a task")
        self.task = task
        self.value = value
        self._tasks: dict[Task, None] = {}
        self._flow: Any = None
        self._block: Any = None

    def add_task(self, task: Task, flow: "Graph") -> None:
        """Take a task that was added to the flow into the block."""
        if self._flow is None:
            self._flow = flow
        elif self._flow is not flow:
            raise ValueError("Multiple flows cannot be used with the same case statement")
        self._tasks[task] = None

    def __enter__(self) -> None:
        self._block = context(case=self)
        self._block.__enter__()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: "TracebackType | None"
    ) -> None:
        self._block.__exit__(None, None, None)
        if exc_type is not None or not self._tasks:
            return
        flow = self._flow
        first = [task for task in self._tasks if not any(up in self._tasks for up in flow.upstream_tasks(task))]
        compare = CompareValue(self.value, name=f"case({self.value})").bind(value=self.task, flow=flow)
        for task in first:
            task.set_upstream(compare, flow=flow)
