"""Signals: raised inside a task (or trigger, or state handler), they say which state the run takes.

They derive from `BaseException`, so that `except Exception` in user code lets them through.
"""

from typing import Any, ClassVar

from prefect.engine import state as states
from prefect.exceptions import PrefectSignal

__all__ = [
    "ENDRUN",
    "FAIL",
    "LOOP",
    "PAUSE",
    "RETRY",
    "SKIP",
    "SUCCESS",
    "TRIGGERFAIL",
    "VALIDATIONFAIL",
    "PrefectStateSignal",
    "signal_from_state",
]


class ENDRUN(PrefectSignal):
    """Stops the pipeline of a run with `state`; no retry is considered."""

    def __init__(self, state: states.State) -> None:
        self.state = state
        super().__init__(f"The run ends in {state!r}.")

    def __reduce__(self) -> tuple[Any, ...]:
        return (ENDRUN, (self.state,))


class PrefectStateSignal(PrefectSignal):
    """The base of the signals; extra arguments go to the constructor of the state."""

    _state_cls: ClassVar[type[states.State]] = states.State

    def __init__(self, message: str | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(message)
        if not args:
            kwargs.setdefault("result", self._default_result(message))
        self.state = self._state_cls(message, *args, **kwargs)

    def _default_result(self, message: str | None) -> Any:
        return self


class FAIL(PrefectStateSignal):
    """The task failed; its retries apply."""

    _state_cls = states.Failed


class TRIGGERFAIL(FAIL):
    """The trigger does not let the task run."""

    _state_cls = states.TriggerFailed


class VALIDATIONFAIL(FAIL):
    """The result is invalid."""

    _state_cls = states.ValidationFailed


class SUCCESS(PrefectStateSignal):
    """The task succeeded, with the given result."""

    _state_cls = states.Success


class RETRY(PrefectStateSignal):
    """The task runs again at `start_time` (default at once), whatever its `max_retries`."""

    _state_cls = states.Retrying


class SKIP(PrefectStateSignal):
    """The task is skipped."""

    _state_cls = states.Skipped


class PAUSE(PrefectStateSignal):
    """The task waits for a person, or until `start_time`."""

    _state_cls = states.Paused


class LOOP(PrefectStateSignal):
    """The task runs again at once, with `result` as `prefect.context.task_loop_result`."""

    _state_cls = states.Looped

    def _default_result(self, message: str | None) -> Any:
        return "LOOP()" if message is None else f"LOOP({message!r})"


_BY_STATE: dict[str, type[PrefectStateSignal]] = {
    signal._state_cls.__name__: signal  # noqa: SLF001 - of this module
    for signal in (FAIL, LOOP, TRIGGERFAIL, VALIDATIONFAIL, SUCCESS, RETRY, SKIP, PAUSE)
}


def signal_from_state(state: states.State) -> type[PrefectStateSignal]:
    """Return the signal class for a state's class; raises `ValueError` if there is none."""
    try:
        return _BY_STATE[type(state).__name__]
    except KeyError:
        raise ValueError(f"No signal matches the provided state: {state}") from None
