"""`RenameFlowRun`: rename a flow run, by default the running one."""

from typing import Any

from prefect.client import Client
from prefect.core.task import Task
from prefect.utilities.context import context
from prefect.utilities.tasks import defaults_from_attrs

__all__ = ["RenameFlowRun"]


class RenameFlowRun(Task):
    """Gives the flow run `flow_run_id`, by default the one that the task runs in, the name `flow_run_name`."""

    def __init__(self, flow_run_id: str | None = None, flow_run_name: str | None = None, **kwargs: Any) -> None:
        self.flow_run_id = flow_run_id
        self.flow_run_name = flow_run_name
        super().__init__(**kwargs)

    @defaults_from_attrs("flow_run_id", "flow_run_name")
    def run(self, flow_run_id: str | None = None, flow_run_name: str | None = None) -> bool:
        """Return whether the run exists; raises `ValueError` if there is no id or no name."""
        chosen = flow_run_id or context.get("flow_run_id")
        if not chosen:
            raise ValueError("`flow_run_id` must be explicitly provided or available in the context")
        if not flow_run_name:
            raise ValueError("Must provide a flow name.")
        return Client().set_flow_run_name(chosen, flow_run_name)
