"""What flow and task runners share: steps from state to state, and the handlers that watch them.

A guarded step never lets an ordinary exception out: it becomes a Failed state (unless, for debugging,
`prefect.context.raise_on_exception` is set).  `ENDRUN` stops a pipeline with the state it carries.
"""

import collections.abc
from collections.abc import Callable, Sequence
from typing import Any

from prefect.engine.signals import ENDRUN, PAUSE, PrefectStateSignal
from prefect.engine.state import Failed, Pending, State
from prefect.utilities.context import context as prefect_context
from prefect.utilities.logging import get_logger

__all__ = ["ENDRUN", "Runner", "call_state_handlers", "unwrap_state"]

Handler = Callable[[Any, State, State], State | None]


def unwrap_state(state: State | None) -> State:
    """Return the state that meta states wrap, Pending for none."""
    while state is not None and state.is_meta_state():
        state = state.state  # type: ignore[attr-defined]  # all meta states have one
    return Pending() if state is None else state


def call_state_handlers(handlers: Sequence[Handler], target: Any, old: State, new: State) -> State:
    """Return the new state after every handler had its say; None from a handler keeps the state."""
    for handler in handlers:
        new = handler(target, old, new) or new
    return new


class Runner:
    """The base of FlowRunner and TaskRunner; raises `TypeError` if `state_handlers` is no sequence."""

    def __init__(self, state_handlers: Sequence[Handler] | None = None) -> None:
        if state_handlers is not None and not isinstance(state_handlers, collections.abc.Sequence):
            raise TypeError("state_handlers should be iterable.")
        self.state_handlers = list(state_handlers or ())
        self.logger = get_logger(type(self).__name__)

    def call_runner_target_handlers(self, old_state: State, new_state: State) -> State:
        """Call the state handlers of the flow or task that is run; subclasses override this."""
        return new_state

    def handle_state_change(self, old_state: State, new_state: State) -> State:
        """Return the new state after all handlers; raises `ENDRUN` if one of them fails or ends the run."""
        try:
            new_state = self.call_runner_target_handlers(old_state, new_state)
            return call_state_handlers(self.state_handlers, self, old_state, new_state)
        except PAUSE as signal:
            raise ENDRUN(signal.state) from signal
        except PrefectStateSignal as signal:
            self.logger.info("%s signal raised: %r", type(signal).__name__, signal)
            return signal.state
        except Exception as error:
            if prefect_context.get("raise_on_exception"):
                raise
            # What the task or flow itself came to is seen beside the error of its handler.
            error.add_note(f"The state handlers were called for the change from {old_state!r} to {new_state!r}.")
            message = f"Unexpected error while calling state handlers: {error!r}"
            self.logger.exception(message)
            raise ENDRUN(Failed(message, result=error)) from error

    def guard(self, step: Callable[[State], State], state: State) -> State:
        """Take one step, turn what it raises into a state, and tell the handlers if the state is another one.

        Raises `ENDRUN`, after the handlers, if the step did.
        """
        stop = False
        try:
            new_state = step(state)
        except ENDRUN as end:
            new_state, stop = end.state, True
        except PrefectStateSignal as signal:
            self.logger.info("%s signal raised: %r", type(signal).__name__, signal)
            new_state = signal.state
        except Exception as error:
            if prefect_context.get("raise_on_exception"):
                raise
            self.logger.exception(f"Unexpected error: {error!r}")  # noqa: TRY401 - the text is that of 1.x
            new_state = Failed(f"Unexpected error: {error!r}", result=error)
        if new_state is not state:
            new_state = self.handle_state_change(state, new_state)
        if stop:
            raise ENDRUN(new_state)
        return new_state
