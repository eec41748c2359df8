"""Runs flows and tasks: states, signals, results and the runners that move a run from state to state.

Sub-modules load on first use.  What goes wrong in user code ends as a state, not as an exception.
"""

from typing import TYPE_CHECKING

from prefect.utilities.importtools import lazy_attributes

if TYPE_CHECKING:
    from prefect.engine.defaults import (
        get_default_executor_class,
        get_default_flow_runner_class,
        get_default_task_runner_class,
    )
    from prefect.engine.flow_runner import FlowRunner
    from prefect.engine.task_runner import TaskRunner

__all__ = [
    "FlowRunner",
    "TaskRunner",
    "get_default_executor_class",
    "get_default_flow_runner_class",
    "get_default_task_runner_class",
]

__getattr__, __dir__ = lazy_attributes(
    "prefect.engine",
    {
        "FlowRunner": "prefect.engine.flow_runner",
        "TaskRunner": "prefect.engine.task_runner",
        "get_default_executor_class": "prefect.engine.defaults",
        "get_default_flow_runner_class": "prefect.engine.defaults",
        "get_default_task_runner_class": "prefect.engine.defaults",
    },
    (
        "cache_validators",
        "cloud",
        "defaults",
        "execute",
        "executors",
        "flow_runner",
        "result",
        "results",
        "runner",
        "serializers",
        "signals",
        "state",
        "task_runner",
    ),
)
