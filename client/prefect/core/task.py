"""`Task`: one step of a flow, and how steps are called, bound and mapped while a flow is built.

Nothing here runs a task: `run` is the user's code, the engine calls it.  Mistakes in a definition raise at once, with
the name and the value that are wrong.
"""

import copy
import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from prefect import triggers
from prefect.configuration import config
from prefect.core.operators import OperatorMixin
from prefect.core.signature import check_run, infer_nout, signature_of, split_arguments
from prefect.core.task_arguments import exception_types, handler_list, tag_set, whole_seconds
from prefect.engine import cache_validators as validators
from prefect.utilities.context import context
from prefect.utilities.edges import EdgeAnnotation, Stand
from prefect.utilities.logging import get_logger

if TYPE_CHECKING:
    import logging
    from typing import Self

    from prefect.core.flow import Flow
    from prefect.engine.result import Result

__all__ = ["NoDefault", "Task"]


class NoDefault:
    """Marks an argument without a default where None is one."""


_RESERVED_ATTRIBUTES = (
    "name",
    "slug",
    "tags",
    "max_retries",
    "retry_delay",
    "retry_on",
    "timeout",
    "trigger",
    "skip_on_upstream_skip",
    "cache_for",
    "cache_validator",
    "cache_key",
    "checkpoint",
    "state_handlers",
    "log_stdout",
    "result",
    "target",
    "task_run_name",
    "nout",
    "auto_generated",
)
_SHOWN_OF_UNMAPPABLE = 10


class Task(OperatorMixin, Stand):
    """A step of a flow.  Subclasses override `run`; `@task` makes one of a function.

    Args and errors are those of the 1.x API; times are timedeltas, `timeout` whole seconds or a timedelta.
    """

    def __init__(
        self,
        name: str | None = None,
        slug: str | None = None,
        tags: Iterable[str] | None = None,
        max_retries: int | None = None,
        retry_delay: timedelta | Callable[[int], timedelta] | None = None,
        retry_on: type[Exception] | Iterable[type[Exception]] | None = None,
        timeout: int | timedelta | None = None,
        trigger: Callable[..., bool] | None = None,
        skip_on_upstream_skip: bool = True,
        cache_for: timedelta | None = None,
        cache_validator: Callable[..., bool] | None = None,
        cache_key: str | None = None,
        checkpoint: bool | None = None,
        state_handlers: Iterable[Callable[..., Any]] | None = None,
        on_failure: Callable[..., Any] | None = None,
        log_stdout: bool = False,
        result: "Result | None" = None,
        target: str | Callable[..., str] | None = None,
        task_run_name: str | Callable[..., str] | None = None,
        nout: int | None = None,
    ) -> None:
        self._warn_of_overwritten_attributes()
        self.name = name or type(self).__name__
        self.slug = slug
        self.tags = tag_set(tags)
        defaults = config.tasks.defaults
        self.max_retries = defaults.max_retries if max_retries is None else max_retries
        self.retry_delay = defaults.retry_delay if retry_delay is None else retry_delay
        self.retry_on = exception_types(retry_on)
        self._check_retries()
        self.timeout = whole_seconds(defaults.timeout if timeout is None else timeout)
        self.trigger = trigger or triggers.all_successful
        self.skip_on_upstream_skip = skip_on_upstream_skip
        self.cache_for = cache_for
        self.cache_key = cache_key
        default_validator = validators.never_use if cache_for is None else validators.duration_only
        self.cache_validator = default_validator if cache_validator is None else cache_validator
        if cache_for is None and self.cache_validator is not validators.never_use:
            warnings.warn(
                "cache_validator provided without specifying cache expiration (cache_for); "
                "this Task will not be cached.",
                stacklevel=2,
            )
        self.checkpoint = checkpoint
        self.state_handlers = handler_list(state_handlers, on_failure)
        self.log_stdout = log_stdout
        self.result = result
        self.target = target
        self._apply_target()
        self.task_run_name = task_run_name
        self.nout = infer_nout(self.run, self._signature) if nout is None else nout
        self.auto_generated = False
        _track_unused(self)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        run = cls.__dict__.get("run")
        if callable(run):
            check_run(run, cls.__name__)

    def __new__(cls, *args: Any, **kwargs: Any) -> "Self":
        """Make the task; warn if another task is among the arguments, which are for static values."""
        if any(isinstance(value, Task) for value in (*args, *kwargs.values())):
            name = cls.__name__
            warnings.warn(
                f"A Task was passed as an argument to {name}, you likely want to first initialize {name} with any "
                "static (non-Task) arguments, then call the initialized task with any dynamic (Task) arguments "
                "instead.",
                stacklevel=2,
            )
        return super().__new__(cls)

    if TYPE_CHECKING:

        def run(self, *args: Any, **kwargs: Any) -> Any:
            """Do the work; subclasses override this with the arguments that they take."""

    else:

        def run(self) -> None:
            """Do the work; subclasses override this with the arguments that they take."""

    @property
    def logger(self) -> "logging.Logger":
        """The logger `prefect.{task name}`."""
        return get_logger(self.name)

    @property
    def _signature(self) -> inspect.Signature:
        signature = self.__dict__.get("_run_signature")
        if signature is None:
            signature = signature_of(self.run)
            self.__dict__["_run_signature"] = signature
        cached: inspect.Signature = signature
        return cached

    def _warn_of_overwritten_attributes(self) -> None:
        for attribute in _RESERVED_ATTRIBUTES:
            if attribute in self.__dict__:
                name = type(self).__name__
                warnings.warn(
                    f"`{name}` sets a `{attribute}` attribute, which will be overwritten by `prefect.Task`. "
                    "Rename the attribute, or set it after calling `super().__init__()`.",
                    stacklevel=3,
                )

    def _check_retries(self) -> None:
        if self.retry_on is not None and not self.max_retries:
            raise ValueError("A number of `max_retries` must be provided if `retry_on` is set.")
        if self.max_retries > 0 and self.retry_delay is None:
            raise ValueError("A datetime.timedelta `retry_delay` must be provided if max_retries > 0")
        chosen = self.retry_delay is not None and self.retry_delay is not config.tasks.defaults.retry_delay
        if chosen and self.max_retries <= 0:
            raise ValueError("A `max_retries` argument greater than 0 must be provided if specifying a retry delay.")

    def _apply_target(self) -> None:
        if self.result is None or not self.target:
            return
        if self.result.location is not None and self.result.location != self.target:
            warnings.warn(
                "Both `result.location` and `target` were provided. The `target` value will be used.", stacklevel=4
            )
        self.result = self.result.copy()
        self.result.location = self.target

    # -- binding -----------------------------------------------------------------------------------------------

    def copy(self, **task_args: Any) -> "Self":
        """Return a copy with other attributes; raises `AttributeError` for one that tasks do not have.

        The copy of a task with a slug gets the slug `{slug}-copy`, and no copy takes dependencies along.
        """
        flow = context.get("flow")
        if flow is not None and self in flow.tasks and flow.has_edges(self):
            warnings.warn(
                "You are making a copy of a task that has dependencies on or to other tasks in the active flow "
                "context. The copy will not retain those dependencies.",
                stacklevel=3,
            )
        new = copy.copy(self)
        if new.slug and "slug" not in task_args:
            task_args["slug"] = f"{new.slug}-copy"
        for attribute, value in task_args.items():
            if not hasattr(new, attribute):
                raise AttributeError(f"{new} does not have {attribute} as an attribute")
            setattr(new, attribute, value)
        if "target" in task_args and "result" not in task_args and new.result is not None:
            new.result = new.result.copy()
            new.result.location = new.target
        new.tags = set(self.tags) | set(new.tags) | set(context.get("tags") or ())
        _track_unused(new, instead_of=self)
        return new

    def __call__(
        self,
        *args: Any,
        mapped: bool = False,
        task_args: dict[str, Any] | None = None,
        upstream_tasks: Iterable[Any] | None = None,
        flow: "Flow | None" = None,
        **kwargs: Any,
    ) -> "Self":
        """Return a copy of the task, bound to the arguments; `task_args` sets attributes of the copy."""
        self._require_flow(flow)
        new = self.copy(**(task_args or {}))
        new.bind(*args, mapped=mapped, upstream_tasks=upstream_tasks, flow=flow, **kwargs)
        return new

    def bind(
        self,
        *args: Any,
        mapped: bool = False,
        upstream_tasks: Iterable[Any] | None = None,
        flow: "Flow | None" = None,
        **kwargs: Any,
    ) -> "Self":
        """Make the arguments the task's inputs in the flow; returns the task itself.

        Raises `ValueError` outside a flow and `TypeError` for arguments that `run` does not take.
        """
        flow = self._require_flow(flow)
        arguments = dict(split_arguments(self._signature, *args, **kwargs))
        tags = context.get("tags")
        if tags:
            self.tags = self.tags | set(tags)
        flow.set_dependencies(
            task=self, upstream_tasks=upstream_tasks, keyword_tasks=arguments, mapped=mapped, validate=None
        )
        return self

    def map(
        self,
        *args: Any,
        upstream_tasks: Iterable[Any] | None = None,
        flow: "Flow | None" = None,
        task_args: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> "Self":
        """Return a copy that runs once per element of its arguments; `unmapped(x)` goes whole to every child."""
        for arg in args:
            if not hasattr(arg, "__getitem__") and not isinstance(arg, EdgeAnnotation):
                shown = repr(arg)[:_SHOWN_OF_UNMAPPABLE]
                raise TypeError(f"Cannot map over unsubscriptable object of type {type(arg)}: {shown}...")
        self._require_flow(flow)
        attributes = dict(task_args or {})
        attributes.setdefault("nout", None)
        new = self.copy(**attributes)
        return new.bind(*args, mapped=True, upstream_tasks=upstream_tasks, flow=flow, **kwargs)

    def _require_flow(self, flow: "Flow | None") -> "Flow":
        found = flow if flow is not None else context.get("flow")
        if found is None:
            raise ValueError(
                f"Could not infer an active Flow context while creating edge to {self}. This often means you called a "
                "task outside a `with Flow(...)` block. If you're trying to run this task outside of a Flow context, "
                f"you need to call `{self._run_hint()}.run(...)`"
            )
        active: Flow = found
        return active

    def _run_hint(self) -> str:
        return f"{type(self).__name__}(...)"

    # -- dependencies ------------------------------------------------------------------------------------------

    def set_dependencies(
        self,
        flow: "Flow | None" = None,
        upstream_tasks: Iterable[Any] | None = None,
        downstream_tasks: Iterable[Any] | None = None,
        keyword_tasks: dict[str, Any] | None = None,
        mapped: bool = False,
        validate: bool | None = None,
    ) -> "Self":
        """Set the tasks before and after this one in the flow; returns the task itself."""
        found = flow if flow is not None else context.get("flow")
        if found is None:
            raise ValueError("No Flow was passed, and could not infer an active Flow context.")
        found.set_dependencies(
            task=self,
            upstream_tasks=upstream_tasks,
            downstream_tasks=downstream_tasks,
            keyword_tasks=keyword_tasks,
            mapped=mapped,
            validate=validate,
        )
        return self

    def set_upstream(
        self, task: Any, flow: "Flow | None" = None, key: str | None = None, mapped: bool = False
    ) -> "Self":
        """Let this task run after `task`, or take its result as the argument `key`; returns the task itself."""
        if key is not None:
            return self.set_dependencies(flow=flow, keyword_tasks={key: task}, mapped=mapped)
        return self.set_dependencies(flow=flow, upstream_tasks=[task], mapped=mapped)

    def set_downstream(
        self, task: Any, flow: "Flow | None" = None, key: str | None = None, mapped: bool = False
    ) -> "Self":
        """Let `task` run after this one, or take this one's result as the argument `key`; returns the task itself."""
        from prefect.utilities.tasks import as_task  # noqa: PLC0415 - which makes tasks

        as_task(task, flow=flow).set_upstream(self, flow=flow, key=key, mapped=mapped)
        return self

    def pipe(*args: Any, **kwargs: Any) -> Any:
        """Return `other(self, **kwargs)`, for chains of calls."""
        if "self" in kwargs:
            raise ValueError('You cannot use the keyword argument "self" in .pipe.')
        self, other = args
        return other(self, **kwargs)

    # -- description -------------------------------------------------------------------------------------------

    def inputs(self) -> dict[str, dict[str, Any]]:
        """Return `{argument: {type, default, required}}` of `run`."""
        empty = inspect.Parameter.empty
        return {
            name: {
                "type": Any if parameter.annotation is empty else parameter.annotation,
                "default": None if parameter.default is empty else parameter.default,
                "required": parameter.default is empty,
            }
            for name, parameter in self._signature.parameters.items()
        }

    def outputs(self) -> Any:
        """Return the return annotation of `run`, `Any` if there is none."""
        annotation = self._signature.return_annotation
        return Any if annotation is inspect.Signature.empty else annotation

    def serialize(self) -> dict[str, Any]:
        """Return the task as JSON-able data."""
        from prefect.serialization.flow import task_to_dict  # noqa: PLC0415 - serialization knows the whole graph

        return task_to_dict(self, self.slug)

    def __getstate__(self) -> dict[str, Any]:
        contents = self.__dict__.copy()
        # Signatures hold annotations that need not pickle, and are read again when needed.
        contents.pop("_run_signature", None)
        return contents

    def __copy__(self) -> "Task":
        new = type(self).__new__(type(self))
        new.__dict__.update(self.__dict__)
        return new

    def __repr__(self) -> str:
        return f"<Task: {self.name}>"

    def __iter__(self) -> Iterator[Any]:
        if self.nout is None:
            raise TypeError(
                "Task is not iterable. If your task returns multiple results, pass `nout` to the task "
                "decorator/constructor, or provide a `Tuple` return-type annotation to your task."
            )
        return (self[index] for index in range(self.nout))


def _track_unused(task: Task, instead_of: Task | None = None) -> None:
    tracker = context.get("_unused_task_tracker")
    if tracker is not None:
        tracker.discard(instead_of)
        tracker.add(task)
