"""A function as a task: what `@task` makes."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from prefect.core.signature import check_run
from prefect.core.task import Task

if TYPE_CHECKING:
    from typing import Self

    from prefect.core.flow import Flow

__all__ = ["FunctionTask"]

P = ParamSpec("P")
R = TypeVar("R")

_CALL_OPTIONS = (
    inspect.Parameter("mapped", inspect.Parameter.KEYWORD_ONLY, default=False),
    inspect.Parameter("task_args", inspect.Parameter.KEYWORD_ONLY, default=None),
    inspect.Parameter("upstream_tasks", inspect.Parameter.KEYWORD_ONLY, default=None),
    inspect.Parameter("flow", inspect.Parameter.KEYWORD_ONLY, default=None),
)


class FunctionTask(Task, Generic[P, R]):
    """Runs a function; `run` is the plain function, callable anywhere.

    Raises `TypeError` if `fn` is not callable and `ValueError` if its signature cannot work as a task.
    """

    if TYPE_CHECKING:
        # Not a method: the plain function, with its own arguments and without `self`.
        run: Callable[P, R]  # type: ignore[assignment]  # as above

        # A call takes tasks in place of values (see `Task`), and the options of calls beside the function's arguments;
        # with options, which no type can add to the arguments of a function, the arguments are not checked.
        @overload  # type: ignore[override]  # more is known than of any task
        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Self: ...

        @overload
        def __call__(self, *args: Any, upstream_tasks: Iterable[Any] | None, **kwargs: Any) -> Self: ...

        @overload
        def __call__(self, *args: Any, mapped: bool, **kwargs: Any) -> Self: ...

        @overload
        def __call__(self, *args: Any, task_args: dict[str, Any] | None, **kwargs: Any) -> Self: ...

        @overload
        def __call__(self, *args: Any, flow: Flow | None, **kwargs: Any) -> Self: ...

        def __call__(self, *args: Any, **kwargs: Any) -> Self:
            """Return a copy of the task, bound to the arguments."""

    def __init__(self, fn: Callable[P, R], name: str | None = None, **kwargs: Any) -> None:
        if not callable(fn):
            raise TypeError("`fn` must be callable")
        if name is None:
            name = getattr(fn, "__name__", type(self).__name__)
        self._run_signature = check_run(fn, name)
        self.run = fn  # type: ignore[method-assign]  # each function task has its own
        super().__init__(name=name, **kwargs)
        # Only what documents the function: its __dict__ could hide attributes of the task, and its annotations may be
        # functions, which would travel with every pickle.
        functools.update_wrapper(self, fn, assigned=("__doc__", "__name__", "__qualname__", "__module__"), updated=())

    @property
    def __signature__(self) -> inspect.Signature:
        parameters = list(self._signature.parameters.values())
        options = list(_CALL_OPTIONS)
        if parameters and parameters[-1].kind is inspect.Parameter.VAR_KEYWORD:
            options.append(parameters.pop())
        return inspect.Signature([*parameters, *options])

    def _run_hint(self) -> str:
        return self.name
