"""§23: flows that create, follow, read, rename and cancel runs of other flows, with a real server and agent."""

import asyncio
import threading
from datetime import timedelta

import pendulum
import pytest
from agent_world import World
from eventually import eventually
from postgres_fixtures import _new_database

import prefect
from prefect import Client, Flow, Parameter, task
from prefect.backend import FlowRunView
from prefect.engine import signals
from prefect.engine.cloud import CloudFlowRunner
from prefect.engine.results import LocalResult
from prefect.engine.state import Cancelled, Failed, Running, Success
from prefect.tasks.prefect import (
    CancelFlowRun,
    RenameFlowRun,
    StartFlowRun,
    create_flow_run,
    get_task_run_result,
    wait_for_flow_run,
)
from prefect.utilities.configuration import set_temporary_config
from prefect.utilities.logging import LOG_MANAGER

FAMILY = """
import prefect
from prefect import Flow, Parameter, task
from prefect.engine.results import LocalResult
from prefect.tasks.prefect import create_flow_run, get_task_run_result, wait_for_flow_run


@task
def report(view, value):
    prefect.context.logger.info("%s gave %s", view.name, value)


@task(result=LocalResult())
def double(number):
    prefect.context.logger.info("doubling %s", number)
    return 2 * number


with Flow("child", result=LocalResult()) as child:
    double(Parameter("number", default=21))

with Flow("parent") as parent:
    run_id = create_flow_run(flow_name="child", project_name="tests", parameters={"number": 4}, run_name="the child")
    view = wait_for_flow_run(run_id, stream_logs=True, raise_final_state=True)
    report(view, get_task_run_result(run_id, "double-1", upstream_tasks=[view]))
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory, postgres, template_database):
    databases = _new_database(postgres, template_database)
    it = World(tmp_path_factory.mktemp("subflows"), next(databases))
    it.start_server()
    yield it
    it.close()
    next(databases, None)


@pytest.fixture(autouse=True)
def settings(world):
    with set_temporary_config({"cloud.api": world.url, "home_dir": str(world.folder / "home")}):
        yield
        LOG_MANAGER.stop()


@pytest.fixture
def client():
    client = Client()
    client.create_project("local")
    return client


@pytest.fixture
def child_id(client):
    """A flow that no agent runs."""

    @task
    def nothing():
        return None

    with Flow("idle") as flow:
        Parameter("number", default=1)()
        nothing()
    return flow.register("local", no_url=True, build=False, labels=["nobody"], idempotency_key="same")


@pytest.fixture
def execute(client):
    """Run a flow in this process as a run of the API; returns its id and its end."""

    def execute(flow, **members):
        flow_id = flow.register("local", no_url=True, build=False)
        run_id = client.create_flow_run(flow_id=flow_id, **members)
        with prefect.context(flow_run_id=run_id):
            end = CloudFlowRunner(flow).run(return_tasks=flow.tasks)
        return run_id, end

    return execute


def runs_of(client, flow_id):
    where = f'{{flow_id: {{_eq: "{flow_id}"}}}}'
    fields = "id name labels parameters idempotency_key scheduled_start_time state"
    return client.graphql(f"{{ flow_run(where: {where}, order_by: {{created: asc}}) {{ {fields} }} }}").data.flow_run


def test_a_parent_runs_its_child_and_reads_its_result(world):
    world.register(FAMILY)
    flow_id = world.graphql('{ flow(where: {name: {_eq: "parent"}}) { id } }')["flow"][0]["id"]
    agent = world.start_agent()
    run_id = world.create_run(flow_id)
    run = world.wait_for_state(run_id)
    agent.stop()  # the other tests execute their runs themselves
    assert run["state"] == "Success", world.logs()
    assert world.wait_for_log(run_id, "the child gave 8")["name"] == "prefect.report"
    doubling = world.wait_for_log(run_id, "Flow 'the child': doubling 4")
    assert (doubling["level"], doubling["name"]) == ("INFO", "prefect.wait_for_flow_run")
    messages = [line["message"] for line in run["logs"]]
    assert "Creating flow run 'the child' for flow 'child'..." in messages
    assert any(text.startswith(f"Created flow run 'the child': {world.url}/default/flow-run/") for text in messages)
    assert any(text.startswith("Flow 'the child': Entered state <Success>: ") for text in messages)


def test_a_retried_parent_finds_its_child_again(client, child_id, execute):
    attempts = []

    @task(max_retries=1, retry_delay=timedelta(0))
    def start():
        attempts.append(create_flow_run.run(flow_id=child_id))
        if len(attempts) == 1:
            raise ConnectionError("the answer got lost")
        return attempts[-1]

    with Flow("retrying") as flow:
        start()
    _, end = execute(flow)
    assert end.is_successful()
    assert len(attempts) == 2
    assert len(set(attempts)) == 1


def test_names_keys_and_start_times_of_children(client, child_id, execute):
    with Flow("mapping", result=LocalResult()) as flow:
        made = create_flow_run.map(
            flow_id=prefect.unmapped(child_id),
            parameters=[{"number": 1}, {"number": 2}],
            scheduled_start_time=prefect.unmapped(timedelta(days=1)),
            labels=prefect.unmapped(["other"]),
        )
    before = {run.id for run in runs_of(client, child_id)}
    run_id, end = execute(flow, run_name="the parent")
    assert end.is_successful()
    assert [run.id for run in runs_of(client, child_id) if run.id not in before] == end.result[made].result
    runs = {run.id: run for run in runs_of(client, child_id)}
    view = FlowRunView.from_flow_run_id(run_id)
    for index, child in enumerate(end.result[made].result):
        task_run = view.get_task_run(task_slug="create_flow_run-1", map_index=index)
        assert runs[child].name == "the parent-idle"
        assert runs[child].parameters == {"number": index + 1}
        assert runs[child].labels == ["other"]
        assert runs[child].idempotency_key == f"{task_run.task_run_id}-{index}"
        start = pendulum.parse(runs[child].scheduled_start_time)
        assert timedelta(hours=23) < start - pendulum.now("UTC") <= timedelta(days=1)


def test_without_a_task_run_each_call_makes_a_run(client, child_id):
    first, second = (create_flow_run.run(flow_name="idle", project_name="local") for _ in range(2))
    assert first != second
    assert create_flow_run.run(flow_id=child_id, idempotency_key="k") == create_flow_run.run(
        flow_id=child_id, idempotency_key="k"
    )


def test_which_flow_is_meant():
    with pytest.raises(ValueError, match=r"^Received both `flow_id` and `flow_name`\. Only one"):
        create_flow_run.run(flow_id="a", flow_name="b")
    with pytest.raises(ValueError, match=r"^Both `flow_id` and `flow_name` are null\."):
        create_flow_run.run()
    with pytest.raises(ValueError, match=r"^Given id 'nobody' is not an existing flow or flow group id"):
        create_flow_run.run(flow_id="nobody")
    with pytest.raises(ValueError, match=r"^No results found while querying for flows where .*'nowhere'"):
        create_flow_run.run(flow_name="idle", project_name="nowhere")


def finish(client, run_id, state):
    client.set_flow_run_state(run_id, Running())
    client.set_flow_run_state(run_id, state)


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        (Failed("no"), signals.FAIL, '{} finished in state <Failed: "no">'),
        (Success("yes"), signals.SUCCESS, '{} finished in state <Success: "yes">'),
        (Cancelled("stop"), ValueError, 'No signal matches the provided state: <Cancelled: "stop">'),
    ],
)
def test_the_final_state_is_raised_on_demand(client, child_id, state, error, message):
    run_id = create_flow_run.run(flow_id=child_id)
    waited = []
    waiter = threading.Thread(target=lambda: waited.append(wait_for_flow_run.run(run_id)))
    waiter.start()
    finish(client, run_id, state)
    waiter.join(30)
    assert type(waited[0].state) is type(state)
    with pytest.raises(error) as caught:
        wait_for_flow_run.run(run_id, raise_final_state=True)
    assert str(caught.value) == message.format(run_id)
    if isinstance(caught.value, signals.PrefectStateSignal):
        assert isinstance(caught.value.state.result, FlowRunView)


def test_waiting_has_an_end(child_id):
    run_id = create_flow_run.run(flow_id=child_id)
    with pytest.raises(RuntimeError, match=r"^`watch_flow_run` timed out after 0\.0 hours of waiting for completion"):
        wait_for_flow_run.run(run_id, max_duration=timedelta(seconds=0.05))


def test_a_waiting_parent_can_be_cancelled(client, child_id, execute):
    with Flow("waiting") as flow:
        child = create_flow_run(flow_id=child_id, run_name="waited for")
        wait_for_flow_run(child)
    flow_id = flow.register("local", no_url=True, build=False)
    run_id = client.create_flow_run(flow_id=flow_id)

    def children():
        return [run for run in runs_of(client, child_id) if run.name == "waited for"]

    def cancel():
        asyncio.run(eventually(children))
        client.cancel_flow_run(run_id)

    canceller = threading.Thread(target=cancel)
    canceller.start()
    with (
        set_temporary_config({"cloud.check_cancellation_interval": 0.1}),
        prefect.context(flow_run_id=run_id),
    ):
        end = CloudFlowRunner(flow).run(return_tasks=flow.tasks)
    canceller.join(30)
    assert isinstance(end, Cancelled)
    assert client.get_flow_run_state(run_id) == Cancelled()


def test_results_of_children(client, execute, child_id):
    @task
    def one_more(number):
        return number + 1

    with Flow("computing", result=LocalResult(dir=str(prefect.config.home_dir))) as flow:
        one_more.map([1, 2])
    run_id, _ = execute(flow)
    assert get_task_run_result.run(run_id, "one_more-1") == [2, 3]
    assert get_task_run_result.run(run_id, "one_more-1", map_index=1) == 3
    with pytest.raises(ValueError, match=r"^Required argument `task_slug` is empty$"):
        get_task_run_result.run(run_id, "")
    with pytest.raises(ValueError, match=r"^No task runs found"):
        get_task_run_result.run(run_id, "one_more-7")
    with prefect.context(flow_run_id=run_id), pytest.raises(ValueError, match="is the same as the currently running"):
        get_task_run_result.run(run_id, "one_more-1")


def test_the_older_task_mirrors_its_run(client, child_id, execute):
    start = StartFlowRun(flow_name="idle", project_name="local", run_config=None, wait=True, run_name="mirrored")
    assert start.name == "Flow idle"

    def mirrored():
        return [run for run in runs_of(client, child_id) if run.name == "mirrored"]

    def fail_it():
        asyncio.run(eventually(mirrored))
        finish(client, mirrored()[0].id, Failed("no"))

    with Flow("mirroring") as flow:
        started = start(parameters={"number": 3})
    failing = threading.Thread(target=fail_it)
    failing.start()
    run_id, end = execute(flow)
    failing.join(30)
    (child,) = mirrored()
    assert end.result[started].message == f'{child.id} finished in state <Failed: "no">'
    assert (child.parameters, child.state) == ({"number": 3}, "Failed")
    task_run = FlowRunView.from_flow_run_id(run_id).get_task_run(task_slug="Flow idle-1")
    assert child.idempotency_key == task_run.task_run_id
    (artifact,) = client.graphql(
        f'{{ task_run_artifact(where: {{task_run_id: {{_eq: "{task_run.task_run_id}"}}}}) {{ kind data }} }}'
    ).data.task_run_artifact
    assert artifact.to_dict() == {"kind": "link", "data": {"link": client.get_cloud_url("flow-run", child.id)}}


def test_mistakes_with_the_older_task(client):
    with pytest.raises(TypeError, match="The parameter 'x' of a StartFlowRun is the task <Parameter: p>"):
        StartFlowRun(parameters={"x": Parameter("p")})
    with pytest.raises(ValueError, match=r"`poll_interval` must be at least 3 seconds"):
        StartFlowRun(poll_interval=timedelta(seconds=2))
    with pytest.raises(ValueError, match=r"^Must provide a flow name\.$"):
        StartFlowRun().run()
    with pytest.raises(ValueError, match=r"^Must provide a project name\.$"):
        StartFlowRun(flow_name="idle").run()
    with pytest.raises(ValueError, match=r"^Flow 'none' not found\.$"):
        StartFlowRun(flow_name="none", project_name="local").run()


def test_a_flow_renames_itself_and_cancels_another(client, child_id, execute):
    other = create_flow_run.run(flow_id=child_id)
    with Flow("tidying") as flow:
        renamed = RenameFlowRun(flow_run_name="a new name")()
        cancelled = CancelFlowRun(flow_run_id=other)()
    run_id, end = execute(flow)
    assert (end.result[renamed].result, end.result[cancelled].result) == (True, "Cancelled")
    assert FlowRunView.from_flow_run_id(run_id).name == "a new name"
    assert client.get_flow_run_state(other) == Cancelled()
    with pytest.raises(ValueError, match=r"^`flow_run_id` must be explicitly provided or available in the context$"):
        RenameFlowRun().run(flow_run_name="x")
    with pytest.raises(ValueError, match=r"^Must provide a flow name\.$"):
        RenameFlowRun().run(flow_run_id=other)
    with pytest.raises(ValueError, match=r"^Can't cancel a flow run without flow run ID\.$"):
        CancelFlowRun().run()
