"""How results go from process to process, inside the pickles of their states.

A value that cannot be pickled, or not be loaded on the other side, does not take its state with it: the state arrives,
and only asking for the value raises `UnpicklableError`, with the reason.
"""

import copy
import pickle
from typing import Any

import cloudpickle  # type: ignore[import-untyped]  # it has no type hints

from prefect.engine.result.base import Result
from prefect.exceptions import UnpicklableError
from prefect.utilities.logging import get_logger

__all__ = ["UnavailableResult", "for_travel"]

_ALWAYS_TRAVEL = frozenset({type(None), bool, int, float, str, bytes})
_ADVICE = (
    "Let the task return something that can be pickled, or use an executor that runs tasks in one process, such as "
    "LocalExecutor or LocalDaskExecutor with threads."
)


class UnavailableResult(Result):
    """The result of a task whose value stayed behind; asking for it raises `UnpicklableError`."""

    def __init__(self, reason: str, location: Any = None) -> None:
        self._reason = reason
        super().__init__(location=location)

    @property
    def value(self) -> Any:  # type: ignore[override]  # here it is computed
        """Raise `UnpicklableError`."""
        raise UnpicklableError(self._reason)

    @value.setter
    def value(self, value: Any) -> None:
        if value is not None:
            raise UnpicklableError(self._reason)

    def from_value(self, value: Any) -> Result:
        """Return a result in memory that holds another value."""
        return Result(value=value)

    def __reduce__(self) -> tuple[Any, ...]:
        return (UnavailableResult, (self._reason, self.location))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._reason!r}>"


class _Parcel:
    """In the contents of a state, in the place of its result: loads as that result."""

    __slots__ = ("result",)

    def __init__(self, result: Result) -> None:
        self.result = result

    def __deepcopy__(self, memo: dict[int, Any]) -> Result:
        return copy.deepcopy(self.result, memo)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        value = self.result.value
        buffers: list[pickle.PickleBuffer] = []
        try:
            # Large arrays stay out of these bytes if whoever pickles the state can send them without a copy.
            out_of_band = buffers.append if protocol >= 5 else None  # noqa: PLR2004 - the protocol that has buffers
            data = cloudpickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL, buffer_callback=out_of_band)
        except Exception as error:
            reason = (
                f"A result of type {type(value).__name__!r} cannot be pickled, so it cannot leave the process that "
                f"made it: {error!r}. {_ADVICE}"
            )
            get_logger("TaskRunner").warning(reason)
            return (UnavailableResult, (reason, self.result.location))
        shell = copy.copy(self.result)
        shell.value = None
        return (_open, (shell, data, buffers, type(value).__name__))


def _open(shell: Result, data: bytes, buffers: list[Any], type_name: str) -> Result:
    try:
        shell.value = pickle.loads(data, buffers=buffers)  # noqa: S301 - made by our own process
    except Exception as error:
        reason = f"A result of type {type_name!r} cannot be loaded in this process: {error!r}. {_ADVICE}"
        get_logger("TaskRunner").warning(reason)
        return UnavailableResult(reason, shell.location)
    return shell


def for_travel(result: Result) -> Any:
    """Return what to pickle in the place of a result."""
    if isinstance(result, UnavailableResult) or type(result.value) in _ALWAYS_TRAVEL:
        return result
    value = result.value
    if isinstance(value, Exception):
        try:
            cloudpickle.loads(cloudpickle.dumps(value))
        except Exception as error:
            return Result(value=f"The following exception could not be pickled due to {error!r}: {value!r}")
        return result
    # Signals refer to their state, which refers to them: only one pickle can hold that.
    return result if isinstance(value, BaseException) else _Parcel(result)
