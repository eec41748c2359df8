"""Parameters: inputs of a flow that each run may set.

A required parameter without a value fails its task; `Flow.run` and the API refuse such runs before they start.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from prefect.core.task import Task
from prefect.engine import signals
from prefect.engine.results.prefect_result import PrefectResult
from prefect.engine.serializers import DateTimeSerializer
from prefect.utilities.context import context
from prefect.utilities.datetimes import as_datetime

if TYPE_CHECKING:
    from prefect.core.flow import Flow

__all__ = ["DateTimeParameter", "Parameter", "no_default"]


class _NoDefault:
    """The type of `no_default`."""

    def __repr__(self) -> str:
        return "<no default>"

    def __reduce__(self) -> str:
        return "no_default"


no_default = _NoDefault()


class Parameter(Task):
    """A named input of a flow.

    `required` defaults to whether there is no default; a required parameter ignores its default.
    """

    def __init__(
        self,
        name: str,
        default: Any = no_default,
        required: bool | None = None,
        tags: Iterable[str] | None = None,
    ) -> None:
        if required is None:
            required = default is no_default
        self.required = required
        self.default = None if default is no_default else default
        super().__init__(name=name, slug=name, tags=tags, result=PrefectResult(), checkpoint=True)

    def __call__(self, flow: "Flow | None" = None) -> "Parameter":  # type: ignore[override]  # takes no inputs
        """Add the parameter to the flow; returns itself."""
        self._require_flow(flow).add_task(self)
        return self

    def copy(self, name: str, **task_args: Any) -> "Parameter":  # type: ignore[override]  # a name is required
        """Return a copy under another name."""
        task_args.setdefault("slug", name)
        new: Any = super().copy(name=name, **task_args)
        renamed: Parameter = new
        return renamed

    def run(self) -> Any:
        """Return the run's value, else the default; a required one without a value fails."""
        values = context.get("parameters") or {}
        if self.required and self.name not in values:
            raise signals.FAIL(f'Parameter "{self.name}" was required but not provided.')
        return values.get(self.name, self.default)

    def serialize(self) -> dict[str, Any]:
        """Return the parameter as JSON-able data."""
        from prefect.serialization.flow import parameter_to_dict  # noqa: PLC0415 - it knows the whole graph

        return parameter_to_dict(self)

    def __repr__(self) -> str:
        return f"<Parameter: {self.name}>"


class DateTimeParameter(Parameter):
    """A parameter that gives a `pendulum.DateTime`, from ISO text or a datetime; None stays None."""

    def __init__(
        self,
        name: str,
        default: Any = no_default,
        required: bool = True,
        tags: Iterable[str] | None = None,
    ) -> None:
        super().__init__(name=name, default=default, required=required, tags=tags)
        self.result = PrefectResult(serializer=DateTimeSerializer())

    def run(self) -> Any:
        """Return the value as a date and time; raises `ValueError` for text that is none."""
        value = super().run()
        if value is None:
            return None
        if not isinstance(value, (str, datetime)):
            raise TypeError(f"Parameter {self.name!r} must be a date and time; got {value!r}.")
        return as_datetime(value)
