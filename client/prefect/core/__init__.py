"""The graph: flows, tasks, the edges between them, and parameters.  No network, no execution."""

from prefect.utilities.importtools import lazy_attributes

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
