"""How a run's states and lines travel (library-api §27.2, §27.5, §27.9, §18.3): few requests, in order."""

import os
import threading
from collections import Counter
from datetime import timedelta

import pytest
from agent_world import World
from engine_fixtures import Answer
from postgres_fixtures import _new_database

import prefect
from prefect import Flow, task, unmapped
from prefect.client.plain_http import PlainExchange
from prefect.engine.results import LocalResult
from prefect.executors import DaskExecutor, LocalDaskExecutor
from prefect.utilities.configuration import set_temporary_config
from prefect.utilities.logging import LOG_MANAGER


@task
def inc(x, by=1):
    prefect.context.logger.info("in process %s", os.getpid())
    return x + by


@pytest.fixture
def requests(monkeypatch):
    """Count the requests of this process by the names of their operations."""
    counts = Counter()
    send = PlainExchange.send

    def counted(self, request, headers):
        counts[request.operation_name] += 1
        return send(self, request, headers)

    monkeypatch.setattr(PlainExchange, "send", counted)
    return counts


def test_a_task_run_costs_one_request(create, run, requests):
    with Flow("few requests") as flow:
        value = inc(0)
        for _ in range(9):
            value = inc(value)
    run_id = create(flow)
    requests.clear()
    end, answer = run(flow, run_id)
    assert end.is_successful()
    # One more for the end of the last; ends that waited too long on a slow machine may have travelled alone.
    assert 11 <= requests["set_task_run_states"] <= 18
    assert requests["get_or_create_task_run_info"] == 0
    for number in range(1, 11):
        assert answer.history(f"inc-{number}") == ["Pending", "Running", "Success"]
    for number in range(1, 10):
        assert answer.moment(f"inc-{number}", "Success") <= answer.moment(f"inc-{number + 1}", "Running")


def test_mapped_children_are_made_at_once(create, run, requests):
    with Flow("children at once") as flow:
        inc.map(inc.map(list(range(20))), by=unmapped(2))
    run_id = create(flow)
    requests.clear()
    _, answer = run(flow, run_id)
    assert requests["get_or_create_mapped_task_runs"] == 2
    assert requests["get_or_create_task_run_info"] == 0
    # 40 children, two parents and the list that is mapped over, the last end; and some slowness.
    assert requests["set_task_run_states"] <= 70
    for slug in ("inc-1", "inc-2"):
        assert answer.history(slug) == ["Pending", "Mapped"]
        assert all(answer.history(slug, index) == ["Pending", "Running", "Success"] for index in range(20))


def test_an_end_does_not_wait_for_a_change_that_does_not_come(create, run, client):
    seen = []

    def look(later, old, new):
        if new.is_running():
            run_id = prefect.context.flow_run_id
            deadline = threading.Event()
            for _ in range(200):
                seen.append(Answer(client, run_id).run.task_runs)
                if any(item.state == "Success" for item in seen[-1]):
                    return
                deadline.wait(0.02)

    with Flow("waits") as flow:
        task(inc.run, name="later", state_handlers=[look])(inc(1))
    _, answer = run(flow, create(flow))
    assert any(item.state == "Success" and item.task.slug == "inc-1" for item in seen[-1])
    assert answer.states == ["Scheduled", "Running", "Success"]


def test_no_end_is_lost_while_the_api_is_away(tmp_path_factory, postgres, template_database):
    databases = _new_database(postgres, template_database)
    world = World(tmp_path_factory.mktemp("away"), next(databases))
    world.start_server()

    @task
    def outage():
        assert LOG_MANAGER.flush(10)
        world.server.popen.kill()
        world.server.wait_end()
        threading.Timer(0.5, world.start_server).start()
        return 1

    with Flow("outage") as flow:
        inc(outage())
    try:
        with set_temporary_config({"cloud.api": world.url, "cloud.heartbeat_mode": "off"}):
            client = prefect.Client()
            client.create_project("engine")
            run_id = client.create_flow_run(flow_id=flow.register("engine", no_url=True, build=False))
            with prefect.context(flow_run_id=run_id):
                end = prefect.engine.cloud.CloudFlowRunner(flow).run()
            answer = Answer(client, run_id)
            LOG_MANAGER.stop()
    finally:
        world.close()
        next(databases, None)
    assert end.is_successful()
    assert answer.history("outage-1") == ["Pending", "Running", "Success"]
    assert answer.history("inc-1") == ["Pending", "Running", "Success"]
    assert answer.lines[-1] == "Flow run SUCCESS: all reference tasks succeeded"


def test_what_the_api_refuses_starts_nothing_and_is_no_success(create, run, client):
    ran = []

    @task
    def delete():
        client.graphql(
            "mutation($id: UUID!) { delete_flow_run(input: {flow_run_id: $id}) { success } }",
            variables={"id": prefect.context.flow_run_id},
        )
        return 1

    @task
    def after(x):
        ran.append(x)

    with Flow("refused") as flow:
        after(delete())
    with prefect.context(flow_run_id=create(flow)):
        end = prefect.engine.cloud.CloudFlowRunner(flow).run()
    assert ran == []
    assert not end.is_successful()


@pytest.mark.parametrize(
    "executor",
    [
        LocalDaskExecutor(scheduler="threads", num_workers=4),
        DaskExecutor(cluster_kwargs={"n_workers": 2, "threads_per_worker": 2, "dashboard_address": None}),
    ],
    ids=["threads", "dask"],
)
def test_tasks_report_and_log_wherever_they_run(create, run, client, tmp_path, executor):
    @task(max_retries=1, retry_delay=timedelta(0))
    def flaky(x):
        if prefect.context.task_run_count == 1:
            raise ValueError("first")
        return x

    @task
    def add_up(xs):
        return sum(xs)

    with Flow("distributed", executor=executor, result=LocalResult(str(tmp_path))) as flow:
        total = add_up(flaky.map(inc.map([1, 2, 3])))
    run_id = create(flow)
    end, _ = run(flow, run_id)
    # Workers have ended and sent what they had to say.
    answer = Answer(client, run_id)
    assert end.is_successful()
    assert end.result[total].result == 2 + 3 + 4
    for index in range(3):
        assert answer.history("inc-1", index) == ["Pending", "Running", "Success"]
        assert answer.history("flaky-1", index) == ["Pending", "Running", "Failed", "Retrying", "Running", "Success"]
        assert answer.moment("inc-1", "Success", index) <= answer.moment("flaky-1", "Running", index)
    logged = [item for item in answer.run.logs if item.message.startswith("in process ")]
    assert len(logged) == 3
    assert {item.task_run_id for item in logged} == {answer.tasks["inc-1", index].id for index in range(3)}
    elsewhere = {item.message for item in logged} != {f"in process {os.getpid()}"}
    assert elsewhere is isinstance(executor, DaskExecutor)
    for index in range(3):
        for name in (f"inc[{index}]", f"flaky[{index}]"):
            assert answer.lines.count(f"Task '{name}': Finished task run for task with final state: 'Success'") == 1
    assert answer.lines.count("Task 'add_up': Finished task run for task with final state: 'Success'") == 1
