"""Where the tasks of a flow run: in this thread, or (with the extra `dask`) on the workers of a Dask cluster."""

from prefect.utilities.importtools import lazy_attributes

__getattr__, __dir__ = lazy_attributes(
    "prefect.executors",
    {"Executor": "prefect.executors.base", "LocalExecutor": "prefect.executors.local"},
    ("base", "local"),
)
