"""Make tasks: the `@task` decorator, tags, values as tasks, and mapping a whole sub-graph."""

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ParamSpec, TypedDict, TypeVar, Unpack, overload

from prefect.core.signature import signature_of
from prefect.core.task import Task
from prefect.tasks.core.function import FunctionTask
from prefect.utilities.context import context
from prefect.utilities.edges import EdgeAnnotation

if TYPE_CHECKING:
    from prefect.core.flow import Flow
    from prefect.engine.result import Result

__all__ = ["apply_map", "as_task", "defaults_from_attrs", "pause_task", "tags", "task"]

P = ParamSpec("P")
R = TypeVar("R")


class TaskOptions(TypedDict, total=False):
    """What `@task` takes: the arguments of `Task`, which documents them."""

    name: str | None
    slug: str | None
    tags: Iterable[str] | None
    max_retries: int | None
    retry_delay: timedelta | Callable[[int], timedelta] | None
    retry_on: type[Exception] | Iterable[type[Exception]] | None
    timeout: int | timedelta | None
    trigger: Callable[..., bool] | None
    skip_on_upstream_skip: bool
    cache_for: timedelta | None
    cache_validator: Callable[..., bool] | None
    cache_key: str | None
    checkpoint: bool | None
    state_handlers: Iterable[Callable[..., Any]] | None
    on_failure: Callable[..., Any] | None
    log_stdout: bool
    result: "Result | None"
    target: str | Callable[..., str] | None
    task_run_name: str | Callable[..., str] | None
    nout: int | None


@overload
def task(fn: Callable[P, R], **task_init_kwargs: Unpack[TaskOptions]) -> FunctionTask[P, R]: ...


@overload
def task(
    fn: None = None, **task_init_kwargs: Unpack[TaskOptions]
) -> Callable[[Callable[P, R]], FunctionTask[P, R]]: ...


def task(fn: Callable[..., Any] | None = None, **task_init_kwargs: Any) -> Any:
    """Make a task of a function: `@task`, or `@task(max_retries=3, ...)` with the arguments of `Task`."""
    if fn is None:
        return functools.partial(task, **task_init_kwargs)
    return FunctionTask(fn=fn, **task_init_kwargs)


@contextlib.contextmanager
def tags(*tags: str) -> Iterator[None]:
    """Give the tags to every task that is created or bound in the block."""
    with context(tags=set(tags) | set(context.get("tags") or ())):
        yield


def _is_constant(value: Any) -> bool:
    if isinstance(value, (Task, EdgeAnnotation)):
        return False
    if isinstance(value, dict):
        return all(_is_constant(item) for item in value.values())
    if isinstance(value, (list, tuple, set)):
        return all(_is_constant(item) for item in value)
    return True


def as_task(x: Any, flow: "Flow | None" = None) -> Task:
    """Return a task for any value: tasks as they are, collections of tasks as a task that collects, else a constant.

    Raises `ValueError` if a collection of tasks is converted outside a flow.
    """
    from prefect.tasks.core import collections, constants  # noqa: PLC0415 - they are made of this module's parts

    if isinstance(x, EdgeAnnotation):
        return as_task(x.value, flow=flow)
    if isinstance(x, Task):
        return x
    if _is_constant(x):
        made: Any = constants.Constant(value=x)
    elif isinstance(x, dict):
        made = collections.Dict().bind(keys=list(x.keys()), values=list(x.values()), flow=flow)
    elif isinstance(x, list):
        made = collections.List().bind(*x, flow=flow)
    elif isinstance(x, tuple):
        made = collections.Tuple().bind(*x, flow=flow)
    else:
        made = collections.Set().bind(*x, flow=flow)
    made.auto_generated = True
    converted: Task = made
    return converted


def pause_task(message: str | None = None, duration: timedelta | None = None) -> None:
    """Pause the running task until a person resumes it or `duration` is over; passes when it was resumed."""
    from prefect.engine import signals  # noqa: PLC0415 - for running tasks, not for building flows
    from prefect.utilities.datetimes import utcnow  # noqa: PLC0415 - as above

    if not context.get("resume"):
        start_time = utcnow() + duration if duration is not None else None
        raise signals.PAUSE(message or "Pause signal raised during task execution.", start_time=start_time)


def defaults_from_attrs(*attr_args: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate `run` so that keyword arguments that are not passed fall back to attributes of the task."""

    def decorate(run_method: Callable[..., Any]) -> Callable[..., Any]:
        positions = list(signature_of(run_method).parameters)[1:]

        @functools.wraps(run_method)
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            passed = positions[: len(args)]
            for attribute in attr_args:
                if attribute not in passed:
                    kwargs.setdefault(attribute, getattr(self, attribute))
            return run_method(self, *args, **kwargs)

        return method

    return decorate


def apply_map(func: Callable[..., Any], *args: Any, flow: "Flow | None" = None, **kwargs: Any) -> Any:
    """Call `func` once with the tasks, and map everything it adds to the flow over their elements.

    Raises `TypeError` for an argument that is no task and no sequence, `ValueError` outside a flow.
    """
    from prefect.core.apply_map import apply_map as apply  # noqa: PLC0415 - it needs flows, which need this module

    return apply(func, *args, flow=flow, **kwargs)
