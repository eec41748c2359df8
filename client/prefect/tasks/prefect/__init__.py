"""Tasks that create, follow, rename and cancel runs of other flows.

They talk to the API through `prefect.Client`, inside a flow or, by their `run`, anywhere.  A failure of the API ends
the task as Failed; a retried task finds the run that it created before.
"""

from prefect.tasks.prefect.flow_run import (
    StartFlowRun,
    create_flow_run,
    get_task_run_result,
    wait_for_flow_run,
)
from prefect.tasks.prefect.flow_run_cancel import CancelFlowRun
from prefect.tasks.prefect.flow_run_rename import RenameFlowRun

__all__ = [
    "CancelFlowRun",
    "RenameFlowRun",
    "StartFlowRun",
    "create_flow_run",
    "get_task_run_result",
    "wait_for_flow_run",
]
