"""Flow runs under a real API in the process of the test: fixtures that make and run them, and what the API says."""

import pytest

import prefect
from prefect import Client
from prefect.engine.cloud import CloudFlowRunner
from prefect.utilities.configuration import set_temporary_config
from prefect.utilities.logging import LOG_MANAGER

RUN = """query($id: uuid!) { flow_run_by_pk(id: $id) {
  state state_message heartbeat
  states(order_by: {version: asc}) { state }
  logs(order_by: {timestamp: asc}) { level name message task_run_id }
  task_runs { id name map_index state state_message task { slug } states(order_by: {version: asc}) { state timestamp } }
} }"""


class Answer:
    """What the API says about a run."""

    def __init__(self, client, run_id):
        assert LOG_MANAGER.flush(timeout=30), vars(LOG_MANAGER)
        self.run = client.graphql(RUN, variables={"id": run_id}).data.flow_run_by_pk
        self.states = [item.state for item in self.run.states]
        self.tasks = {(item.task.slug, item.map_index): item for item in self.run.task_runs}
        self.lines = [item.message for item in self.run.logs]

    def history(self, slug, index=-1):
        return [item.state for item in self.tasks[slug, index].states]

    def moment(self, slug, state, index=-1):
        """Return when a task run became a state, for the last time."""
        return [item.timestamp for item in self.tasks[slug, index].states if item.state == state][-1]


@pytest.fixture
def api(shared_cli):
    """Settings for the server that the tests share, and a process of a run that notices what happens at once."""
    changes = {
        "cloud.api": shared_cli.url,
        "home_dir": str(shared_cli.folder / "home"),
        "cloud.check_cancellation_interval": 0.05,
        "cloud.heartbeat_mode": "thread",
    }
    with set_temporary_config(changes):
        yield shared_cli
        # Lines of this test must not travel to the server of the next one.
        LOG_MANAGER.stop()


@pytest.fixture
def client(api):
    client = Client()
    client.create_project("engine")
    return client


@pytest.fixture
def create(client):
    def create(flow, build=False, **kwargs):
        flow_id = flow.register("engine", no_url=True, build=build)
        return client.create_flow_run(flow_id=flow_id, **kwargs)

    return create


@pytest.fixture
def run(client):
    def run(flow, run_id, **context):
        with prefect.context(flow_run_id=run_id, **context):
            end = CloudFlowRunner(flow).run(return_tasks=flow.tasks)
        return end, Answer(client, run_id)

    return run
