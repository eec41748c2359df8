"""Where the tasks of a flow run: in this thread, or (with the extra `dask`) on the workers of a Dask cluster."""

from typing import TYPE_CHECKING

from prefect.utilities.importtools import lazy_attributes

if TYPE_CHECKING:
    from prefect.executors.base import Executor
    from prefect.executors.local import LocalExecutor

__all__ = ["Executor", "LocalExecutor"]

__getattr__, __dir__ = lazy_attributes(
    "prefect.executors",
    {"Executor": "prefect.executors.base", "LocalExecutor": "prefect.executors.local"},
    ("base", "local"),
    absent=("DaskExecutor", "LocalDaskExecutor"),
)
