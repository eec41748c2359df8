"""§21, §22, §27.7: flows loaded from storages of every sort, and their values read again, under a real API."""

import subprocess

import fsspec
import pytest
from agent_world import World
from postgres_fixtures import _new_database
from programs import require

import prefect
from prefect import Client, Flow, task
from prefect.backend import FlowRunView
from prefect.engine.execute import execute_flow_run
from prefect.engine.results import S3Result
from prefect.storage import S3, Git
from prefect.utilities.configuration import set_temporary_config
from prefect.utilities.logging import LOG_MANAGER
from prefect.utilities.object_stores import S3Objects


@pytest.fixture(scope="module")
def world(tmp_path_factory, postgres, template_database):
    databases = _new_database(postgres, template_database)
    it = World(tmp_path_factory.mktemp("storage"), next(databases))
    it.start_server()
    yield it
    it.close()
    next(databases, None)


@pytest.fixture
def client(world):
    with set_temporary_config({"cloud.api": world.url, "home_dir": str(world.folder / "home")}):
        client = Client()
        client.create_project("storage")
        yield client
        LOG_MANAGER.stop()


def execute(client, flow):
    """Register a flow and run it the way a process does that an agent has started; returns the run."""
    run_id = client.create_flow_run(flow_id=flow.register("storage", no_url=True))
    with prefect.context(flow_run_id=run_id):
        assert execute_flow_run() == 0
    return FlowRunView.from_flow_run_id(run_id)


def test_values_of_a_flow_in_s3_are_kept_there(client, monkeypatch):
    """§15.3: the result of the storage is that of the flow, and checkpointing is always on."""
    filesystem = fsspec.filesystem("memory")
    monkeypatch.setattr(S3Objects, "connect", lambda self: filesystem)
    filesystem.store.clear()

    @task
    def number():
        return [41]

    @task(result=S3Result("other", location="{flow_name}/{task_slug}"))
    def more(x):
        return x[0] + 1

    with Flow("in s3", storage=S3("box")) as flow:
        more(number())
    run = execute(client, flow)
    assert run.state.is_successful()
    assert run.get_task_run(task_slug="more-1").get_result() == 42
    assert run.get_task_run(task_slug="number-1").get_result() == [41]
    assert run.get_task_run(task_slug="number-1").state._result.bucket == "box"
    assert sorted(key.split("/")[1] for key in filesystem.store) == ["box", "box", "other"]
    filesystem.store.clear()


def test_a_flow_of_a_repository_whose_address_is_a_secret_of_the_api(client, tmp_path):
    """§22: the secrets of a storage are looked up where the flow is loaded."""
    require("git")
    (tmp_path / "flow.py").write_text(
        "import prefect\nfrom prefect import Flow, task\n"
        "@task\ndef one():\n    return len(prefect.context.secrets['REPOSITORY'])\n"
        "with Flow('in git') as flow:\n    one()\n"
    )
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    url = f"file://{tmp_path}"
    client.set_secret("REPOSITORY", url)
    storage = Git("flow.py", git_clone_url_secret_name="REPOSITORY", secrets=["REPOSITORY"])
    with Flow("in git", storage=storage) as flow:
        task(lambda: None, name="one")()
    with set_temporary_config({"cloud.use_local_secrets": False}):
        run = execute(client, flow)
    assert run.state.is_successful()
    assert "secrets" not in prefect.context or "REPOSITORY" not in prefect.context.secrets
