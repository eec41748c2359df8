"""Executors of every kind, and journals that their tasks write to."""

import distributed
import pytest
from journal import Journal

from prefect.executors import DaskExecutor, LocalDaskExecutor, LocalExecutor


@pytest.fixture(scope="session")
def dask_cluster():
    """A Dask cluster of two processes for all tests of the session."""
    # Silencing its logs would silence every handler of the root logger, that of `caplog` too, until the cluster closes.
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, dashboard_address=":0", worker_dashboard_address=None, silence_logs=False
    ) as cluster:
        yield cluster


@pytest.fixture(params=["local", "threads", "dask"])
def executor(request):
    """Every kind of executor in turn."""
    if request.param == "local":
        return LocalExecutor()
    if request.param == "threads":
        return LocalDaskExecutor("threads", num_workers=4)
    if request.param == "processes":
        return LocalDaskExecutor("processes", num_workers=1)
    return DaskExecutor(request.getfixturevalue("dask_cluster").scheduler_address)


@pytest.fixture
def journal(tmp_path):
    """A list to which tasks of any executor can append."""
    return Journal(tmp_path / "journal")
