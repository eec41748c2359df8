"""What a run is doing: one class per kind of state.

A state is a value: a message for people, a result, and what its kind needs (a start time, the states of mapped
children, ...).  Comparing ignores message and context.  Constructing one never fails for lack of a run: what the
context does not say is left out.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, TypeVar

from prefect.engine.result.base import NoResult, Result
from prefect.engine.result.travel import for_travel
from prefect.utilities.context import context as prefect_context
from prefect.utilities.datetimes import as_datetime, utcnow

__all__ = [
    "Cached",
    "Cancelled",
    "Cancelling",
    "ClientFailed",
    "Failed",
    "Finished",
    "Looped",
    "Mapped",
    "Paused",
    "Pending",
    "Queued",
    "Resume",
    "Retrying",
    "Running",
    "Scheduled",
    "Skipped",
    "State",
    "Submitted",
    "Success",
    "TimedOut",
    "TriggerFailed",
    "ValidationFailed",
]

S = TypeVar("S", bound="State")
_NOT_COMPARED = frozenset({"message", "context"})


class State:
    """The base of all states: `message`, `result`, `context` (JSON-able facts) and `cached_inputs`."""

    color: ClassVar[str] = "#696969"

    def __init__(
        self,
        message: str | None = None,
        result: Any = None,
        context: Mapping[str, Any] | None = None,
        cached_inputs: dict[str, Result] | None = None,
    ) -> None:
        self.message = message
        self._result: Result = NoResult
        if result is not None:
            self.result = result
        self.context: dict[str, Any] = dict(context) if context else {}
        tags = prefect_context.get("task_tags")
        if tags:
            self.context["tags"] = list(tags)
        self.cached_inputs = cached_inputs or {}

    @property
    def result(self) -> Any:
        """The value of the run, such as what a task returned or the exception that it raised."""
        return self._result.value

    @result.setter
    def result(self, value: Any) -> None:
        self._result = value if isinstance(value, Result) else Result(value=value)

    def __repr__(self) -> str:
        if self.message:
            return f'<{type(self).__name__}: "{self.message}">'
        return f"<{type(self).__name__}>"

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other) or not isinstance(other, State):
            return False
        return bool(self.result == other.result) and self._compared() == other._compared()

    def _compared(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key[0] != "_" and key not in _NOT_COMPARED}

    def __hash__(self) -> int:
        return id(self)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_result": for_travel(self._result)}

    def __copy__(self: S) -> S:
        new = self.__class__.__new__(self.__class__)
        new.__dict__.update(self.__dict__)
        return new

    @classmethod
    def children(cls, include_self: bool = False, names_only: bool = False) -> list[Any]:
        """Return the public subclasses (or their names), at any depth."""
        found: dict[type, None] = {cls: None} if include_self else {}
        pending = cls.__subclasses__()
        while pending:
            sub = pending.pop(0)
            found[sub] = None
            pending.extend(sub.__subclasses__())
        public = [sub for sub in found if not sub.__name__.startswith("_")]
        return [sub.__name__ for sub in public] if names_only else public

    @classmethod
    def parents(cls, include_self: bool = False, names_only: bool = False) -> list[Any]:
        """Return the public superclasses (or their names), nearest first."""
        found = [sup for sup in cls.__mro__ if issubclass(sup, State) and not sup.__name__.startswith("_")]
        if not include_self:
            found = [sup for sup in found if sup is not cls]
        return [sup.__name__ for sup in found] if names_only else found

    def is_pending(self) -> bool:
        """Whether the run has not begun: Pending, or scheduled in any way (but not Submitted or Queued)."""
        return isinstance(self, Pending)

    def is_queued(self) -> bool:
        """Whether the run was refused a start for now."""
        return isinstance(self, Queued)

    def is_retrying(self) -> bool:
        """Whether the run waits for another attempt."""
        return isinstance(self, Retrying)

    def is_running(self) -> bool:
        """Whether the run goes on, be it on its way to being cancelled."""
        return isinstance(self, Running)

    def is_finished(self) -> bool:
        """Whether the run has ended, in any way."""
        return isinstance(self, Finished)

    def is_looped(self) -> bool:
        """Whether the task wants to run again at once."""
        return isinstance(self, Looped)

    def is_skipped(self) -> bool:
        """Whether the run was skipped."""
        return isinstance(self, Skipped)

    def is_scheduled(self) -> bool:
        """Whether the run has a start time to wait for; Queued does."""
        return isinstance(self, (Scheduled, Queued))

    def is_submitted(self) -> bool:
        """Whether an agent took the run."""
        return isinstance(self, Submitted)

    def is_successful(self) -> bool:
        """Whether the run ended well; Skipped, Cached and Mapped count."""
        return isinstance(self, Success)

    def is_cached(self) -> bool:
        """Whether the result came from, or is kept in, a cache."""
        return isinstance(self, Cached)

    def is_failed(self) -> bool:
        """Whether the run failed; Cancelled does not count."""
        return isinstance(self, Failed)

    def is_mapped(self) -> bool:
        """Whether the run stands for its mapped children."""
        return isinstance(self, Mapped)

    def is_meta_state(self) -> bool:
        """Whether the state wraps another one."""
        return isinstance(self, _MetaState)

    def load_result(self: S, result: Result | None = None) -> S:
        """Read the value from its location if it is not in memory, with `result` or else the state's own; returns self.

        Raises what reading raises.
        """
        reader = result if result is not None else self._result
        known = self._result.location or getattr(result, "location", None)
        if self._result.value is None and isinstance(known, str) and reader is not NoResult:
            self._result = reader.read(known)
        return self

    def load_cached_results(self: S, results: Mapping[str, Result] | None = None) -> S:
        """Read the values of `cached_inputs` from their locations with the given results; returns self."""
        for name, result in (results or {}).items():
            kept = self.cached_inputs.get(name)
            if kept is not None and kept.value is None and kept.location:
                self.cached_inputs[name] = result.read(kept.location)
        return self

    def serialize(self) -> dict[str, Any]:
        """Return the state as JSON-able data; values are left out, their locations are not."""
        from prefect.serialization.state import state_to_dict  # noqa: PLC0415 - serialization knows all states

        return state_to_dict(self)

    @staticmethod
    def deserialize(json_blob: Mapping[str, Any]) -> "State":
        """Return the state of JSON-able data; raises `ValueError` if its type is unknown."""
        from prefect.serialization.state import state_from_dict  # noqa: PLC0415 - as above

        return state_from_dict(json_blob)


class Pending(State):
    """The run has not begun."""

    color = "#7ebdff"

    def __init__(
        self,
        message: str | None = None,
        result: Any = None,
        cached_inputs: dict[str, Result] | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message=message, result=result, context=context, cached_inputs=cached_inputs)


class Scheduled(Pending):
    """The run may begin at `start_time` (aware; a naive one counts as UTC; default now)."""

    color = "#ffab00"

    def __init__(
        self,
        message: str | None = None,
        result: Any = None,
        start_time: datetime | None = None,
        cached_inputs: dict[str, Result] | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message=message, result=result, cached_inputs=cached_inputs, context=context)
        self.start_time: Any = as_datetime(start_time) if start_time is not None else utcnow()
        run_count = prefect_context.get("task_run_count")
        if run_count is not None:
            self.context["task_run_count"] = run_count


class Paused(Scheduled):
    """The run waits for a person, or until `start_time` if it has one."""

    color = "#99a8e8"

    def __init__(
        self,
        message: str | None = None,
        result: Any = None,
        start_time: datetime | None = None,
        cached_inputs: dict[str, Result] | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, result, start_time, cached_inputs, context)
        if start_time is None:
            self.start_time = None


class Resume(Scheduled):
    """The run goes on after a pause."""

    color = "#f58c0c"


class Retrying(Scheduled):
    """The run failed and begins again at `start_time`; `run_count` attempts were made."""

    color = "#f66a0a"

    def __init__(
        self,
        message: str | None = None,
        result: Any = None,
        start_time: datetime | None = None,
        cached_inputs: dict[str, Result] | None = None,
        context: Mapping[str, Any] | None = None,
        run_count: int | None = None,
    ) -> None:
        super().__init__(message, result, start_time, cached_inputs, context)
        self.run_count = run_count if run_count is not None else prefect_context.get("task_run_count") or 1


class _MetaState(State):
    """Wraps another state; one that wraps a meta state takes over what that wraps."""

    color = "#fbd433"

    def __init__(
        self,
        message: str | None = None,
        result: Any = None,
        state: State | None = None,
        context: Mapping[str, Any] | None = None,
        cached_inputs: dict[str, Result] | None = None,
    ) -> None:
        super().__init__(message=message, result=result, context=context, cached_inputs=cached_inputs)
        while isinstance(state, _MetaState):
            state = state.state
        self.state: State | None = state


class ClientFailed(_MetaState):
    """The state could not be reported to the API."""

    color = "#eb0000"


class Submitted(_MetaState):
    """An agent took the run."""

    color = "#ffdf5d"


class Queued(_MetaState):
    """The API refused a start for now; ask again at `start_time` (default now)."""

    color = "#ffea7f"

    def __init__(
        self,
        message: str | None = None,
        result: Any = None,
        state: State | None = None,
        start_time: datetime | None = None,
        context: Mapping[str, Any] | None = None,
        cached_inputs: dict[str, Result] | None = None,
    ) -> None:
        super().__init__(message, result, state, context, cached_inputs)
        self.start_time = as_datetime(start_time) if start_time is not None else utcnow()


class Running(State):
    """The run goes on."""

    color = "#3d67ff"


class Cancelling(Running):
    """Somebody asked to cancel the run, which has not ended yet."""

    color = "#E8E8E8"


class Finished(State):
    """The run has ended."""

    color = "#003ccb"


class Looped(Finished):
    """The task ran and wants to run again at once; `loop_count` counts from 1."""

    color = "#003ccb"

    def __init__(
        self,
        message: str | None = None,
        result: Any = None,
        loop_count: int | None = None,
        context: Mapping[str, Any] | None = None,
        cached_inputs: dict[str, Result] | None = None,
    ) -> None:
        super().__init__(message=message, result=result, context=context, cached_inputs=cached_inputs)
        self.loop_count = loop_count if loop_count is not None else prefect_context.get("task_loop_count") or 1


class Success(Finished):
    """The run ended well."""

    color = "#28a745"


class Cached(Success):
    """The run ended well, and its result may be used again under the recorded conditions."""

    color = "#34d058"

    def __init__(
        self,
        message: str | None = None,
        result: Any = None,
        cached_inputs: dict[str, Result] | None = None,
        cached_parameters: dict[str, Any] | None = None,
        cached_result_expiration: datetime | None = None,
        context: Mapping[str, Any] | None = None,
        hashed_inputs: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message=message, result=result, context=context, cached_inputs=cached_inputs)
        self.cached_parameters = cached_parameters
        self.cached_result_expiration = (
            as_datetime(cached_result_expiration) if cached_result_expiration is not None else None
        )
        self.hashed_inputs = hashed_inputs


class Mapped(Success):
    """The run stands for `n_map_states` children, whose states are in `map_states`."""

    color = "#003ccb"

    def __init__(
        self,
        message: str | None = None,
        result: Any = None,
        map_states: list[Any] | None = None,
        context: Mapping[str, Any] | None = None,
        cached_inputs: dict[str, Result] | None = None,
        n_map_states: int | None = None,
    ) -> None:
        super().__init__(message=message, result=result, context=context, cached_inputs=cached_inputs)
        self.map_states: list[Any] = map_states if map_states is not None else []
        self._n_map_states = n_map_states

    @property
    def n_map_states(self) -> int:
        """How many children there are, or will be."""
        return self._n_map_states if self._n_map_states is not None else len(self.map_states)

    def load_result(self, result: Result | None = None) -> "Mapped":
        """Read the values of all children; the result becomes the list of them."""
        self.map_states = [child.load_result(result) if child is not None else None for child in self.map_states]
        self.result = [child.result if child is not None else None for child in self.map_states]
        return self


class Skipped(Success):
    """The run was skipped, which counts as success."""

    color = "#62757f"


class Cancelled(Finished):
    """The run was cancelled."""

    color = "#bdbdbd"


class Failed(Finished):
    """The run failed."""

    color = "#eb0000"

    def __init__(
        self,
        message: str | None = None,
        result: Any = None,
        cached_inputs: dict[str, Result] | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message=message, result=result, context=context, cached_inputs=cached_inputs)


class TimedOut(Failed):
    """The task ran longer than its `timeout`."""

    color = "#ff4e33"


class TriggerFailed(Failed):
    """The task's trigger did not let it run."""

    color = "#ff5131"


class ValidationFailed(Failed):
    """The task's result was judged invalid."""

    color = "#ff5131"
