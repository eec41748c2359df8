"""Resources that live as long as a block of tasks: set up before the first of them, cleaned up after the last.

Cleaning up runs whatever became of the block, unless the resource was never set up.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, overload

from prefect.core.task import Task
from prefect.engine import signals
from prefect.tasks.core.function import FunctionTask
from prefect.utilities.context import context

if TYPE_CHECKING:
    from types import TracebackType

    from prefect.core.edge import Edge
    from prefect.core.flow import Flow
    from prefect.core.graph import Graph
    from prefect.engine.state import State

__all__ = [
    "ResourceCleanupTask",
    "ResourceContext",
    "ResourceInitTask",
    "ResourceManager",
    "ResourceSetupTask",
    "resource_cleanup_trigger",
    "resource_manager",
]


def resource_cleanup_trigger(upstream_states: "Mapping[Edge, State]") -> bool:
    """Run when everything has ended, if the resource was made and set up; otherwise skip."""
    for edge, state in upstream_states.items():
        if not state.is_finished():
            raise signals.TRIGGERFAIL(
                "Trigger was 'resource_cleanup_trigger' but some of the upstream tasks were not finished."
            )
        step = {"mgr": "init", "resource": "setup"}.get(edge.key or "")
        if step and state.is_skipped():
            raise signals.SKIP(f"Resource manager {step} skipped")
        if step and not state.is_successful():
            raise signals.SKIP(f"Resource manager {step} failed")
    return True


class ResourceInitTask(FunctionTask):
    """Makes the manager object."""

    resource_role = "init"


class ResourceSetupTask(Task):
    """Sets the resource up."""

    resource_role = "setup"

    def run(self, mgr: Any) -> Any:
        """Return the resource."""
        return mgr.setup()


class ResourceCleanupTask(Task):
    """Cleans the resource up."""

    resource_role = "cleanup"

    def run(self, mgr: Any, resource: Any = None) -> None:
        """Clean up, if the manager can."""
        cleanup = getattr(mgr, "cleanup", None)
        if cleanup is not None:
            cleanup(resource)


class ResourceContext:
    """The block of one use of a manager: `with Manager(...) as resource:`."""

    def __init__(self, init_task: Task, setup_task: Task | None, cleanup_task: Task, flow: "Flow") -> None:
        self.init_task = init_task
        self.setup_task = setup_task
        self.cleanup_task = cleanup_task
        self._own = {task for task in (init_task, setup_task, cleanup_task) if task is not None}
        self._flow = flow
        self._tasks: dict[Task, None] = {}
        self._block: Any = None

    def add_task(self, task: Task, flow: "Graph") -> None:
        """Take a task that was added to the flow into the block; raises `ValueError` for another flow."""
        if self._flow is not flow:
            raise ValueError("Multiple flows cannot be used with the same resource block")
        if task not in self._own:
            self._tasks[task] = None

    def __enter__(self) -> Task | None:
        self._block = context(resource=self)
        self._block.__enter__()
        return self.setup_task

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: "TracebackType | None"
    ) -> None:
        self._block.__exit__(None, None, None)
        outer = context.get("resource")
        if exc_type is not None:
            return
        flow = self._flow
        first = self.setup_task if self.setup_task is not None else self.init_task
        for task in self._tasks:
            if not any(up in self._tasks for up in flow.upstream_tasks(task)) and first not in flow.upstream_tasks(
                task
            ):
                task.set_upstream(first, flow=flow)
            if not any(down in self._tasks for down in flow.downstream_tasks(task)):
                self.cleanup_task.set_upstream(task, flow=flow)
        if outer is not None:
            for task in self._tasks:
                outer.add_task(task, flow)


class ResourceManager:
    """Makes blocks of a resource class, which has `setup(self)` and `cleanup(self, resource)`, both optional."""

    def __init__(
        self,
        resource_class: type,
        name: str | None = None,
        init_task_kwargs: dict[str, Any] | None = None,
        setup_task_kwargs: dict[str, Any] | None = None,
        cleanup_task_kwargs: dict[str, Any] | None = None,
    ) -> None:
        self.resource_class = resource_class
        self.name = name or resource_class.__name__
        self.init_task_kwargs = {"name": self.name, **(init_task_kwargs or {})}
        self.setup_task_kwargs = {"name": f"{self.name}.setup", "checkpoint": False, **(setup_task_kwargs or {})}
        self.cleanup_task_kwargs = {
            "name": f"{self.name}.cleanup",
            "checkpoint": False,
            "skip_on_upstream_skip": False,
            "trigger": resource_cleanup_trigger,
            **(cleanup_task_kwargs or {}),
        }

    def __call__(self, *args: Any, flow: "Flow | None" = None, **kwargs: Any) -> ResourceContext:
        """Add the tasks of one use to the flow; the arguments are those of the resource class."""
        target = flow if flow is not None else context.get("flow")
        if target is None:
            raise ValueError("Could not infer an active Flow context.")
        init = ResourceInitTask(self.resource_class, **self.init_task_kwargs).bind(*args, flow=target, **kwargs)
        setup = None
        if hasattr(self.resource_class, "setup"):
            setup = ResourceSetupTask(**self.setup_task_kwargs).bind(mgr=init, flow=target)
        cleanup = ResourceCleanupTask(**self.cleanup_task_kwargs)
        cleanup.bind(mgr=init, resource=setup, flow=target)
        return ResourceContext(init, setup, cleanup, target)


@overload
def resource_manager(resource_class: type) -> ResourceManager: ...


@overload
def resource_manager(
    resource_class: None = None,
    name: str | None = None,
    init_task_kwargs: dict[str, Any] | None = None,
    setup_task_kwargs: dict[str, Any] | None = None,
    cleanup_task_kwargs: dict[str, Any] | None = None,
) -> Callable[[type], ResourceManager]: ...


def resource_manager(
    resource_class: type | None = None,
    name: str | None = None,
    init_task_kwargs: dict[str, Any] | None = None,
    setup_task_kwargs: dict[str, Any] | None = None,
    cleanup_task_kwargs: dict[str, Any] | None = None,
) -> Any:
    """Make a resource manager of a class: `@resource_manager`, or with the arguments of its tasks."""

    def make(cls: type) -> ResourceManager:
        return ResourceManager(cls, name, init_task_kwargs, setup_task_kwargs, cleanup_task_kwargs)

    return make if resource_class is None else make(resource_class)
