"""The runners of flow runs that an API knows: every change of state is reported before it counts."""

from prefect.utilities.importtools import lazy_attributes

__getattr__, __dir__ = lazy_attributes(
    "prefect.engine.cloud",
    {
        "CloudFlowRunner": "prefect.engine.cloud.flow_runner",
        "CloudTaskRunner": "prefect.engine.cloud.task_runner",
    },
    ("cancellation", "flow_runner", "heartbeat", "task_runner"),
)
