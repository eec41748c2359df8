"""The graph: flows, tasks, the edges between them, and parameters.  No network, no execution."""

from typing import TYPE_CHECKING

from prefect.utilities.importtools import lazy_attributes

if TYPE_CHECKING:
    from prefect.core.edge import Edge
    from prefect.core.flow import Flow
    from prefect.core.parameter import Parameter
    from prefect.core.task import Task

__all__ = ["Edge", "Flow", "Parameter", "Task"]

__getattr__, __dir__ = lazy_attributes(
    "prefect.core",
    {
        "Edge": "prefect.core.edge",
        "Flow": "prefect.core.flow",
        "Parameter": "prefect.core.parameter",
        "Task": "prefect.core.task",
    },
    ("edge", "flow", "parameter", "task"),
)
