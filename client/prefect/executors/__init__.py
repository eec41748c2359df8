"""Where the tasks of a flow run: in this thread, in threads or processes of this machine, or on a Dask cluster.

All but `LocalExecutor` need the extra `dask` when they start, not before.
"""

from typing import TYPE_CHECKING

from prefect.utilities.importtools import lazy_attributes

if TYPE_CHECKING:
    from prefect.executors.base import Executor
    from prefect.executors.dask import DaskExecutor
    from prefect.executors.local import LocalExecutor
    from prefect.executors.local_dask import LocalDaskExecutor

__all__ = ["DaskExecutor", "Executor", "LocalDaskExecutor", "LocalExecutor"]

__getattr__, __dir__ = lazy_attributes(
    "prefect.executors",
    {
        "DaskExecutor": "prefect.executors.dask",
        "Executor": "prefect.executors.base",
        "LocalDaskExecutor": "prefect.executors.local_dask",
        "LocalExecutor": "prefect.executors.local",
    },
    ("base", "dask", "local", "local_dask"),
)
