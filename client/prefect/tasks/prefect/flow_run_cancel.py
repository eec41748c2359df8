"""`CancelFlowRun`: cancel a flow run, by default the running one."""

from typing import Any

from prefect.client import Client
from prefect.core.task import Task
from prefect.utilities.context import context
from prefect.utilities.tasks import defaults_from_attrs

__all__ = ["CancelFlowRun"]


class CancelFlowRun(Task):
    """Cancels the flow run `flow_run_id`, by default the one that the task runs in."""

    def __init__(self, flow_run_id: str | None = None, **kwargs: Any) -> None:
        self.flow_run_id = flow_run_id
        super().__init__(**kwargs)

    @defaults_from_attrs("flow_run_id")
    def run(self, flow_run_id: str | None = None) -> str:
        """Return the name of the run's new state; raises `ValueError` if there is no id."""
        chosen = flow_run_id or context.get("flow_run_id")
        if not chosen:
            raise ValueError("Can't cancel a flow run without flow run ID.")
        return Client().cancel_flow_run(chosen)
