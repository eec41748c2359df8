"""Notice that a running flow run was cancelled, and interrupt its tasks.

A thread asks the API every `cloud.check_cancellation_interval` seconds.  An API that cannot be asked is a warning, once
for each outage, and the thread goes on asking.
"""

import threading
from typing import TYPE_CHECKING, Any

from prefect.client.retries import is_outage
from prefect.configuration import config
from prefect.engine.state import Cancelling, State
from prefect.utilities.context import context
from prefect.utilities.interruption import interrupt_main_thread
from prefect.utilities.logging import get_logger

if TYPE_CHECKING:
    from prefect.client import Client

__all__ = ["CancellationWatcher"]


class CancellationWatcher:
    """Watches a flow run while its tasks run; `cancelled` and `fenced` say why it interrupted the main thread."""

    def __init__(self, client: "Client", flow_run_id: str) -> None:
        self.cancelled = False
        self.fenced = False
        self._client = client
        self._flow_run_id = flow_run_id
        self._logger = get_logger("CloudFlowRunner")
        self._lock = threading.Lock()
        self._is_away = False
        self._done = threading.Event()
        self._values: dict[str, Any] = dict(context.__dict__)
        self._thread = threading.Thread(target=self._watch, name="prefect-cancellation", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; after this nothing is interrupted any more."""
        self._done.set()
        with self._lock:
            pass

    def check(self) -> None:
        """Ask once, in the calling thread, whether the run was cancelled; nothing is interrupted."""
        state = self._ask()
        if isinstance(state, Cancelling):
            self.cancelled = True

    def refuse(self) -> None:
        """Interrupt the run because the API takes nothing more from this process."""
        self._logger.error("This flow run was given to another process; stopping its tasks here.")
        self.fenced = True
        self._interrupt()

    def _ask(self) -> State | None:
        self._logger.debug("Checking flow run state...")
        try:
            state = self._client.get_flow_run_state(self._flow_run_id)
        except Exception as error:
            if not is_outage(error):
                self._logger.warning("Error getting flow run info", exc_info=True)
            elif not self._is_away:
                # A long outage is no reason for a long log.
                self._is_away = True
                self._logger.warning("Error getting flow run info: %s", error)
            return None
        self._is_away = False
        return state

    def _watch(self) -> None:
        with context(self._values):
            warned = False
            while not self._done.wait(float(config.cloud.check_cancellation_interval)):
                state = self._ask()
                if state is None:
                    continue
                if isinstance(state, Cancelling):
                    self._logger.info("Flow run has been cancelled, cancelling active tasks")
                    self.cancelled = True
                    self._interrupt()
                    return
                if not state.is_running() and not warned:
                    warned = True
                    self._logger.warning("Flow run is no longer in a running state; the current state is: %r", state)

    def _interrupt(self) -> None:
        with self._lock:
            if self._done.is_set():
                return
            interrupt_main_thread()
