"""§17 and §27 together: what runs report when their tasks run in other threads and processes."""

import threading
from datetime import timedelta

import distributed
import pytest

import prefect
from prefect import Flow, task
from prefect.engine.state import Cancelled
from prefect.executors import DaskExecutor, LocalDaskExecutor


@pytest.fixture(scope="module")
def dask_cluster():
    settings = {"dashboard_address": ":0", "worker_dashboard_address": None, "silence_logs": 50}
    with distributed.LocalCluster(n_workers=1, threads_per_worker=2, **settings) as cluster:
        yield cluster


@pytest.fixture(params=["threads", "processes", "dask"])
def executor(request):
    if request.param == "dask":
        return DaskExecutor(request.getfixturevalue("dask_cluster").scheduler_address)
    return LocalDaskExecutor(request.param, num_workers=2)


def test_tasks_report_from_wherever_they_run(create, run, executor):
    @task(max_retries=1, retry_delay=timedelta(0))
    def inc(x):
        prefect.context.logger.info("attempt %s of %s", prefect.context.task_run_count, x)
        if x == 2 and prefect.context.task_run_count == 1:
            raise ValueError("first")
        return x + 1

    @task
    def total(xs):
        return sum(xs)

    with Flow("elsewhere", executor=executor) as flow:
        m = inc.map([1, 2])
        t = total(m)
    end, answer = run(flow, create(flow))
    assert end.is_successful()
    assert end.result[t].result == 5
    assert answer.states == ["Scheduled", "Running", "Success"]
    assert answer.history("inc-1") == ["Pending", "Mapped"]
    assert answer.history("inc-1", 0) == ["Pending", "Running", "Success"]
    assert answer.history("inc-1", 1) == ["Pending", "Running", "Failed", "Retrying", "Running", "Success"]
    assert answer.history("total-1") == ["Pending", "Running", "Success"]
    assert {"attempt 1 of 1", "attempt 1 of 2", "attempt 2 of 2"} <= set(answer.lines)


def test_cancelling_interrupts_threads(create, run, client):
    @task
    def endless():
        client.cancel_flow_run(prefect.context.flow_run_id)
        while True:
            endless.ready.wait(0.01)

    endless.ready = threading.Event()
    with Flow("cancelled", executor=LocalDaskExecutor(num_workers=1)) as flow:
        after = task(lambda: 1, name="after")()
        after.set_upstream(endless())
    end, answer = run(flow, create(flow))
    assert isinstance(end, Cancelled)
    assert answer.states == ["Scheduled", "Running", "Cancelling", "Cancelled"]
    assert "Attempting to interrupt and cancel all running tasks..." in answer.lines
    assert "Running" not in answer.history("after-1")
