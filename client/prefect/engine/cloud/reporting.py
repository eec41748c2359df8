"""What runners of the API's runs do at every state change: ask the user's handlers, then report what came of it."""

from prefect.engine.runner import Runner
from prefect.engine.signals import PrefectStateSignal
from prefect.engine.state import Failed, State

__all__ = ["ReportingRunner"]


class ReportingRunner(Runner):
    """Goes before a local runner among the bases: that one's handlers are called, and their outcome is reported."""

    def call_runner_target_handlers(self, old_state: State, new_state: State) -> State:
        """Call the target's handlers, then report the state; raises `ENDRUN` if the run cannot go on with it."""
        try:
            new_state = super().call_runner_target_handlers(old_state, new_state)
        except PrefectStateSignal as signal:
            self.logger.info("%s signal raised: %r", type(signal).__name__, signal)
            new_state = signal.state
        except Exception as error:
            message = f"Exception raised while calling state handlers: {error!r}"
            self.logger.exception(message)
            self.logger.error("The state that the handlers were called for is replaced; it was %r", new_state)  # noqa: TRY400 - the traceback is above
            new_state = Failed(message, result=error)
        return self._report(old_state, new_state)

    def _report(self, old_state: State, new_state: State) -> State:
        """Tell the API, and return the state to go on with."""
        raise NotImplementedError
