"""Runs of our engine that wait for a slot of a concurrency limit: woken as soon as there is one."""

import threading
import time
import uuid

import pytest
from agent_world import World
from postgres_fixtures import _new_database

from prefect import Flow, task
from prefect.engine.state import Failed, Running, Success
from prefect.exceptions import ClientError
from prefect.tasks.prefect import create_flow_run

TAGGED = """
    import time
    from prefect import Flow, task

    @task(tags=["one-at-a-time"])
    def work(n):
        time.sleep(0.2)

    with Flow("tagged") as flow:
        work.map([1, 2])
"""


def clock():
    return time.monotonic()


def two_runs(client, flow, **members):
    flow_id = flow.register("engine", no_url=True, build=False)
    return [client.create_flow_run(flow_id=flow_id, **members) for _ in range(2)]


def limit(client, mutation, **members):
    client.graphql(
        f"mutation($input: {mutation}_input!) {{ {mutation}(input: $input) {{ id }} }}", variables={"input": members}
    )


def end_when_queued(client, asked, end):
    """Wait in another thread until `asked` says that a run is Queued, then call `end`; return when that was."""
    ended = []

    def watch():
        deadline = time.monotonic() + 20
        while not asked().is_queued() and time.monotonic() < deadline:
            time.sleep(0.01)
        end()
        ended.append(time.monotonic())

    thread = threading.Thread(target=watch)
    thread.start()
    return thread, ended


@pytest.mark.timeout(60)
def test_a_task_run_starts_as_soon_as_a_slot_of_its_tag_is_free(run, client):
    tag = f"tag {uuid.uuid4()}"
    with Flow("limited task") as flow:
        task(clock, name="work", tags=[tag])()
    holder, waiting = two_runs(client, flow)
    limit(client, "update_task_tag_limit", tag=tag, limit=1)
    client.set_flow_run_state(holder, Running())
    held = client.get_flow_run_info(holder).task_runs[0].id
    client.set_task_run_state(held, Running())
    asked = client.get_flow_run_info(waiting).task_runs[0].id
    thread, ended = end_when_queued(
        client, lambda: client.get_task_run_state(asked), lambda: client.set_task_run_state(held, Success())
    )
    end, answer = run(flow, waiting)
    thread.join()
    assert end.is_successful()
    assert answer.history(flow.slugs[flow.get_tasks("work")[0]]) == ["Pending", "Queued", "Running", "Success"]
    began = end.result[flow.get_tasks("work")[0]].result
    assert began - ended[0] < 5


@pytest.mark.timeout(60)
def test_a_flow_run_starts_as_soon_as_a_slot_of_its_label_is_free(run, client):
    label = f"label {uuid.uuid4()}"
    with Flow("limited flow") as flow:
        task(clock, name="work")()
    holder, waiting = two_runs(client, flow, labels=[label])
    limit(client, "update_flow_concurrency_limit", label=label, limit=1)
    client.set_flow_run_state(holder, Running())
    thread, ended = end_when_queued(
        client, lambda: client.get_flow_run_state(waiting), lambda: client.set_flow_run_state(holder, Failed())
    )
    end, answer = run(flow, waiting)
    thread.join()
    assert end.is_successful()
    assert answer.states == ["Scheduled", "Queued", "Running", "Success"]
    assert end.result[flow.get_tasks("work")[0]].result - ended[0] < 5


def test_runs_have_the_priority_that_client_and_task_give_them(client):
    with Flow("urgent") as flow:
        task(clock)()
    flow_id = flow.register("engine", no_url=True, build=False)
    by_client = client.create_flow_run(flow_id=flow_id, priority=5)
    by_task = create_flow_run.run(flow_id=flow_id, priority=-5)
    found = client.graphql(
        "query($ids: [uuid!]!) { flow_run(where: {id: {_in: $ids}}) { id priority } }",
        variables={"ids": [by_client, by_task]},
    ).data.flow_run
    assert {run.id: run.priority for run in found} == {by_client: 5, by_task: -5}
    with pytest.raises(ClientError, match="A priority must be -100 to 100, but this one is 101"):
        client.create_flow_run(flow_id=flow_id, priority=101)


@pytest.mark.timeout(120)
def test_runs_of_agents_keep_the_limits(tmp_path, postgres, template_database):
    """Two agents and six runs: two flow runs at a time, and one task run with the tag."""
    databases = _new_database(postgres, template_database)
    world = World(tmp_path, next(databases))
    try:
        world.start_server()
        flow_id = world.register(TAGGED, "tagged")
        world.graphql('mutation { update_task_tag_limit(input: {tag: "one-at-a-time", limit: 1}) { id } }')
        world.graphql('mutation { update_flow_concurrency_limit(input: {label: "few", limit: 2}) { id } }')
        for _ in range(2):
            world.start_agent(labels=["few"])
        runs = [world.create_run(flow_id, labels=["few"]) for _ in range(6)]
        assert [world.wait_for_state(run)["state"] for run in runs] == ["Success"] * 6, world.logs()
        rows = world.graphql(
            """{ flow_run_state { flow_run_id state timestamp }
                 task_run_state(where: {task_run: {task: {name: {_eq: "work"}}}}) { task_run_id state timestamp } }"""
        )
        assert most_at_once(rows["flow_run_state"], "flow_run_id", {"Submitted", "Running"}) == 2
        assert most_at_once(rows["task_run_state"], "task_run_id", {"Running"}) == 1
    finally:
        world.close()
        next(databases, None)


def most_at_once(rows, of, counted):
    live, most = set(), 0
    for row in sorted(rows, key=lambda row: row["timestamp"]):
        if row["state"] in counted:
            live.add(row[of])
        else:
            live.discard(row[of])
        most = max(most, len(live))
    return most
