"""§25, §26: the library's client against a real server process: registration, runs, streams over restarts, views."""

import inspect
import signal
import threading
from datetime import UTC, datetime, timedelta

import pytest
from agent_world import World
from postgres_fixtures import _new_database

import prefect
from prefect import Client, Flow, Parameter, task
from prefect._generated import operations as ops
from prefect.backend import (
    FlowRunView,
    FlowView,
    TaskRunView,
    TenantView,
    create_link_artifact,
    create_markdown_artifact,
    delete_artifact,
    delete_key,
    get_key_value,
    list_keys,
    set_key_value,
    update_link_artifact,
    update_markdown_artifact,
)
from prefect.backend.flow_run import check_for_compatible_agents, stream_flow_run_logs, watch_flow_run
from prefect.client import Secret
from prefect.client.live import Reconnecting, follow_flow_run
from prefect.client.session import Session
from prefect.engine.results import LocalResult
from prefect.engine.state import Cancelled, Failed, Running, Scheduled, Success
from prefect.exceptions import ClientError, ObjectNotFoundError, VersionLockMismatchSignal
from prefect.utilities.configuration import set_temporary_config

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def world(tmp_path_factory, postgres, template_database):
    databases = _new_database(postgres, template_database)
    it = World(tmp_path_factory.mktemp("client"), next(databases))
    it.start_server()
    yield it
    it.close()
    next(databases, None)


@pytest.fixture(autouse=True)
def settings(world):
    with set_temporary_config({"cloud.api": world.url, "home_dir": str(world.folder / "home")}):
        yield


@pytest.fixture
def client():
    return Client()


@pytest.fixture(scope="module")
def flow():
    @task
    def shout(word):
        return word.upper()

    with Flow("shouting", result=LocalResult()) as it:
        shout(Parameter("word", default="hey"))
    return it


@pytest.fixture
def flow_id(client, flow):
    client.create_project("tests")
    return flow.register("tests", no_url=True, idempotency_key="same", build=False)


@pytest.fixture
def run_id(client, flow_id):
    return client.create_flow_run(flow_id=flow_id)


def task_run_of(client, run_id, slug="shout-1"):
    return next(item for item in client.get_flow_run_info(run_id).task_runs if item.task_slug == slug)


def test_registering_prints_where_the_flow_is(client, flow, world, capsys):
    client.create_project("tests")
    flow_id = flow.register("tests", labels=["b", "a"])
    group = client.execute(ops.flow_group_of_flow(id=flow_id)).flow_group_id
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Flow URL: {world.url}/default/flow/{group}"
    assert lines[1:3] == [f" └── ID: {flow_id}", " └── Project: tests"]
    assert lines[3].startswith(" └── Labels: ['a', 'b'")


@pytest.mark.parametrize("compressed", [True, False])
def test_registering_in_parts_gives_the_same_flow(client, flow, monkeypatch, compressed):
    client.create_project("tests")
    with Flow("many") as many:
        for number in range(600):
            task(lambda: None, name=f"t{number}")()
    whole = client.register(many, "tests", no_url=True, build=False, compressed=compressed)
    monkeypatch.setattr("prefect.client.registration._ONE_REQUEST", 0)
    parts = client.register(many, "tests", no_url=True, build=False, compressed=compressed)
    assert parts != whole

    def tasks(flow_id):
        return client.graphql(
            f'{{ task(where: {{flow_id: {{_eq: "{flow_id}"}}}}, order_by: {{slug: asc}}) {{ slug }} }}'
        )

    assert tasks(parts) == tasks(whole)
    assert len(tasks(parts).data.task) == 600


def test_registering_twice_with_one_key_makes_one_version(client, flow, flow_id):
    again = client.register(flow, "tests", no_url=True, idempotency_key="same", build=False)
    assert again == flow_id
    assert client.register(flow, "tests", no_url=True, idempotency_key="other", build=False) != flow_id


def test_registering_what_cannot_be(client, flow):
    with pytest.raises(TypeError, match="'project_name' is a required field"):
        client.register(flow, no_url=True)
    with pytest.raises(ValueError, match=r"Project nowhere not found\. Run `prefect create project 'nowhere'`"):
        client.register(flow, "nowhere", no_url=True)
    with Flow("unsaved") as unsaved:
        task(lambda x: x)(Parameter("x"))
    client.create_project("tests")
    with pytest.warns(UserWarning, match="No result handler was specified on your Flow"):
        client.register(unsaved, "tests", no_url=True, build=False)


def test_projects_are_found_again(client):
    assert client.create_project("twice") == client.create_project("twice", "described")
    assert client.find_project("nowhere") is None


def test_one_run_from_its_creation_to_its_end(client, flow_id):
    start = datetime.now(UTC) + timedelta(hours=1)
    run_id = client.create_flow_run(
        flow_id=flow_id, parameters={"word": "x"}, context={"a": [1]}, labels=["l"], run_name="mine",
        scheduled_start_time=start, idempotency_key="k",
    )  # fmt: skip
    assert client.create_flow_run(flow_id=flow_id, idempotency_key="k") == run_id
    info = client.get_flow_run_info(run_id)
    assert (info.name, info.flow_id, info.project.name) == ("mine", flow_id, "tests")
    assert (info.parameters, info.context) == ({"word": "x"}, {"a": [1]})
    assert isinstance(info.state, Scheduled)
    assert abs(info.scheduled_start_time - start) < timedelta(milliseconds=1)
    assert {item.task_slug for item in info.task_runs} == {"word", "shout-1"}

    assert client.set_flow_run_state(run_id, Running("go"), version=info.version).is_running()
    client.update_flow_run_heartbeat(run_id)
    task_run = client.get_task_run_info(run_id, task_run_of(client, run_id).task_id)
    client.set_task_run_state(task_run.id, Running(), version=task_run.version)
    client.set_task_run_state(task_run.id, Success("shouted", result=LocalResult(dir="/r", location="x")))
    assert client.get_task_run_state(task_run.id).message == "shouted"
    child = client.get_task_run_info(run_id, task_run.task_id, map_index=3)
    assert child.id != task_run.id
    assert client.get_task_run_info(run_id, task_run.task_id, map_index=3) == child
    assert client.set_task_run_name(task_run.id, "loud") is True
    assert client.set_flow_run_name(run_id, "yours") is True
    client.write_run_logs(
        [{"flow_run_id": run_id, "task_run_id": task_run.id, "timestamp": prefect.utilities.datetimes.utcnow(),
          "name": "prefect.shout", "level": "WARNING", "message": "HEY"}]
    )  # fmt: skip
    client.set_flow_run_state(run_id, Success("over"))
    assert client.get_flow_run_state(run_id).is_successful()

    view = FlowRunView.from_flow_run_id(run_id, load_static_tasks=True)
    assert (view.name, view.labels, view.state.message) == ("yours", {"l"}, "over")
    assert [type(state).__name__ for state in view.states] == ["Scheduled", "Running", "Success"]
    assert all(state.timestamp for state in view.states)
    assert [(line.level, line.message) for line in view.get_logs(end_time=datetime.now(UTC))] == [(30, "HEY")]
    assert view.get_task_run("shout-1").name == "loud"
    assert view.get_task_run("shout-1", map_index=3).map_index == 3
    assert len(view.get_all_task_runs()) == len(view.get_task_run_ids()) == 3
    assert view.get_flow_metadata().name == "shouting"
    with pytest.raises(ValueError, match="must be provided"):
        view.get_task_run()


def test_a_token_that_is_not_current_is_refused(client, run_id):
    agent_id = client.register_agent("LocalAgent", name="test", labels=["not-this"])
    labels = client.execute(ops.flow_run_view(id=run_id)).labels
    claim = next(
        run
        for run in client.execute(ops.claim_flow_runs(agent_id=agent_id, labels=labels, limit=100)).flow_runs
        if run.id == run_id
    )
    with prefect.context(flow_run_id=run_id, claim_token=NOBODY), pytest.raises(VersionLockMismatchSignal):
        client.set_flow_run_state(run_id, Running())
    with prefect.context(flow_run_id=run_id, claim_token=claim.claim_token):
        client.set_flow_run_state(run_id, Running(), version=claim.version)
    assert client.get_flow_run_state(run_id).is_running()
    claims = [{"flow_run_id": run_id, "claim_token": NOBODY}]
    assert client.execute(ops.extend_flow_run_claims(agent_id=agent_id, claims=claims)).lost == (run_id,)


def test_cancelling(client, run_id):
    assert client.cancel_flow_run(run_id) == "Cancelled"
    assert isinstance(client.get_flow_run_state(run_id), Cancelled)


def test_artifacts(client, run_id):
    """§25.5, §26.3: what a task run publishes; nothing outside a run of the API."""
    task_run_id = task_run_of(client, run_id).id
    assert create_link_artifact("http://x") is None
    delete_artifact("nothing")
    with prefect.context(running_with_backend=True, task_run_id=task_run_id):
        link = create_link_artifact("http://x")
        text = create_markdown_artifact("# old")
        update_markdown_artifact(text, "# new")
        update_link_artifact(link, "http://y")
        with pytest.warns(UserWarning, match=r"`prefect\.artifacts\.create_link` has moved"):
            old = prefect.artifacts.create_link("http://z")
        delete_artifact(old)
        with pytest.raises(ClientError, match=old):
            delete_artifact(old)
        with pytest.raises(ValueError, match="ID of an existing task run artifact"):
            update_link_artifact(None, "http://y")
    with prefect.context(running_with_backend=True), pytest.raises(ValueError, match="create them in a task"):
        create_link_artifact("http://x")
    query = f'{{ task_run_artifact(where: {{task_run_id: {{_eq: "{task_run_id}"}}}}) {{ id kind data }} }}'
    found = {item.id: (item.kind, dict(item.data)) for item in client.graphql(query).data.task_run_artifact}
    assert found == {link: ("link", {"link": "http://y"}), text: ("markdown", {"markdown": "# new"})}
    with pytest.raises(ClientError, match=f"Task run {NOBODY} not found"):
        client.create_task_run_artifact(NOBODY, "link", {"link": "x"})


def test_key_value_pairs(client):
    """§25.6, which needed Prefect Cloud in 1.4.1."""
    assert set_key_value("b", {"deep": [1, None]}) == set_key_value("b", 2)
    set_key_value("a", None)
    assert (get_key_value("b"), get_key_value("a"), list_keys()) == (2, None, ["a", "b"])
    assert delete_key("a") is True
    with pytest.raises(ValueError, match=r"^No key a found to delete$"):
        delete_key("a")
    with pytest.raises(ValueError, match=r"^No value found for key: a$"):
        get_key_value("a")
    with pytest.raises(ValueError, match=r"^Value payload exceedes 10 KB limit\.$"):
        set_key_value("a", "x" * 10_000)


def test_secrets_of_the_api(client):
    """§22: the API is asked where local secrets are switched off, as in runs that agents start."""
    client.set_secret("token", {"user": "me"})
    with pytest.raises(ValueError, match=r'^Local Secret "token" was not found'):
        Secret("token").get()
    with set_temporary_config({"cloud.use_local_secrets": False}):
        assert Secret("token").get() == {"user": "me"}
        with prefect.context(secrets={"token": "42"}):
            assert Secret("token").get() == 42
        with pytest.raises(ValueError, match='"other" was not found, and the API has no secret'):
            Secret("other").get()
        with (
            set_temporary_config({"backend": "cloud"}),
            pytest.raises(KeyError, match="The secret other was not found"),
        ):
            Secret("other").get()


def test_limits_of_tags(client):
    assert client.get_task_tag_limit("db") is None
    client.update_task_tag_limit("db", 3)
    assert client.get_task_tag_limit("db") == 3
    client.delete_task_tag_limit(client.execute(ops.task_tag_limit(tag="db"))[0].id)
    assert client.get_task_tag_limit("db") is None
    with pytest.raises(ValueError, match=r"^Concurrency limits must be >= 0$"):
        client.update_task_tag_limit("db", -1)
    with pytest.raises(ValueError, match="Deleting the task tag concurrency limit failed"):
        client.delete_task_tag_limit(NOBODY)


def test_projects_are_deleted(client):
    client.create_project("short-lived")
    assert client.delete_project("short-lived") is True
    with pytest.raises(ValueError, match=r"^Project short-lived not found\.$"):
        client.delete_project("short-lived")
    with pytest.raises(TypeError, match="'project_name' is a required field"):
        client.delete_project(None)


def test_tenants(client):
    """§26.1, §26.3."""
    assert client.switch_tenant("default") == client.switch_tenant(tenant_id=client.tenant_id) == client.tenant_id
    with pytest.raises(ValueError, match="must be provided to switch"):
        client.switch_tenant()
    with pytest.raises(ObjectNotFoundError, match="'nobody'"):
        client.switch_tenant("nobody")
    with set_temporary_config({"backend": "cloud"}):
        assert Client(api_key="any").tenant_id == client.tenant_id
        with pytest.raises(ValueError, match="Tenants can only be created with the backend 'server'"):
            client.create_tenant("x")


def test_other_addresses_of_the_api(client, world):
    """§26.2: `get` and `post`."""
    assert client.get("/health")["status"] == "ok"
    assert client.post("graphql", server=world.url, params={"query": "{ hello }"})["data"]["hello"]
    with pytest.raises(ClientError, match="no Prefect API: it answers with HTTP status 404"):
        client.get("nowhere", params={"a": 1}, api_key="other")


def test_what_does_not_exist(client):
    with pytest.raises(ObjectNotFoundError, match="Flow run ID not found"):
        client.get_flow_run_info(NOBODY)
    with pytest.raises(ClientError):
        client.create_flow_run(flow_id=NOBODY)
    with pytest.raises(ClientError, match="Invalid task run ID"):
        client.get_task_run_state(NOBODY)
    with pytest.raises(ClientError, match="not-an-id"):
        client.get_flow_run_info("not-an-id")
    for missing in (FlowView.from_id, FlowView.from_flow_id, FlowView.from_flow_group_id, FlowRunView.from_flow_run_id):
        with pytest.raises(ValueError, match=NOBODY):
            missing(NOBODY)
    with pytest.raises(ValueError, match="not an existing flow"):
        FlowView.from_id("not-an-id")


def test_views_of_flows(client, flow_id):
    view = FlowView.from_id(flow_id)
    assert FlowView.from_id(client.execute(ops.flow_group_of_flow(id=flow_id)).flow_group_id).name == "shouting"
    assert (view.name, view.project_name, view.archived) == ("shouting", "tests", False)
    assert {item.slug for item in view.flow.tasks} == {"word", "shout-1"}
    assert FlowView.from_flow_name("shouting", "tests", last_updated=True).name == "shouting"
    with pytest.raises(ValueError, match="No results found while querying for flows"):
        FlowView.from_flow_name("shouting", "nowhere")
    assert TenantView.from_current_tenant().slug == "default"
    assert "labels {'x'}" in check_for_compatible_agents(["x"])


def test_results_come_from_where_they_were_written(client, run_id, tmp_path):
    written = LocalResult(dir=str(tmp_path)).write("value", location="here")
    task_run = task_run_of(client, run_id)
    with pytest.raises(ValueError, match="cannot be loaded if it is not finished"):
        TaskRunView.from_task_run_id(task_run.id).get_result()
    client.set_flow_run_state(run_id, Running())
    client.set_task_run_state(task_run.id, Success(result=written))
    view = TaskRunView.from_task_slug("shout-1", run_id)
    assert view.get_result() == "value"
    with pytest.raises(TypeError, match="not a mapped task"):
        list(view.iter_mapped())


_SAMPLES = {
    "created_after": datetime(2026, 1, 1, tzinfo=UTC),
    "flow_group_id": NOBODY,
    "flow_id": NOBODY,
    "flow_run_id": NOBODY,
    "id": NOBODY,
    "key": "nothing",
    "limit": 2,
    "name": "shouting",
    "offset": 0,
    "project_id": NOBODY,
    "tag": "nothing",
    "task_run_id": NOBODY,
    "where": {"id": {"_is_null": False}},
}


def _queries():
    for name in dir(ops):
        function = getattr(ops, name)
        parameters = inspect.signature(function).parameters.values()
        required = {
            item.name: _SAMPLES.get(item.name) for item in parameters if item.default is inspect.Parameter.empty
        }
        if function(**required).kind == "query":
            yield name, function, required


@pytest.mark.parametrize(("name", "function", "required"), list(_queries()))
def test_every_query_is_answered(client, run_id, name, function, required):
    # Those that answer with an error instead of null, where there is nothing of the name or id.
    if "flow_run_id" in required:
        required = required | {"flow_run_id": run_id}
    if name == "get_task_run_info":
        required = {"task_run_id": task_run_of(client, run_id).id}
    if name == "secret_value":
        client.set_secret(required["name"], 1)
    if name == "wait_for_slot":
        # of either kind of run, which is why neither is required
        required = {"flow_run_id": run_id, "seconds": 1}
    client.execute(function(**required))


def write(client, run_id, *messages):
    client.write_run_logs([{"flow_run_id": run_id, "name": "prefect", "level": "INFO", "message": m} for m in messages])


def log_lines(pages):
    return [event.message for page in pages for event in page.events if event.kind == "LOG"]


def test_following_a_run_as_it_happens(client, run_id):
    pages = follow_flow_run(client.session, run_id)
    first = next(pages)
    assert [event.state for event in first.events if event.kind == "FLOW_RUN_STATE"] == ["Scheduled"]
    client.set_flow_run_state(run_id, Running("go"))
    write(client, run_id, "one", "two")
    client.set_flow_run_state(run_id, Failed("over"))
    rest = list(pages)
    assert rest[-1].finished
    assert log_lines(rest) == ["one", "two"]
    assert [(e.state, e.message) for p in rest for e in p.events if e.kind == "FLOW_RUN_STATE"] == [
        ("Running", "go"),
        ("Failed", "over"),
    ]
    # everything again from the start, and only the end from a cursor on
    again = list(follow_flow_run(client.session, run_id))
    assert log_lines(again) == ["one", "two"]
    assert log_lines(follow_flow_run(client.session, run_id, after=rest[-1].cursor)) == []


def test_following_loses_and_repeats_nothing_over_restarts_of_the_server(world, client, run_id):
    found, problems = [], []
    arrived = threading.Condition()

    def follow():
        try:
            with Session() as session:
                for page in follow_flow_run(session, run_id):
                    with arrived:
                        found.append(page)
                        arrived.notify_all()
        except BaseException as error:
            problems.append(error)
            raise

    def wait_for(count):
        with arrived:
            assert arrived.wait_for(
                lambda: len(log_lines(p for p in found if not isinstance(p, Reconnecting))) >= count, 30
            ), (found, problems)

    reader = threading.Thread(target=follow)
    reader.start()
    client.set_flow_run_state(run_id, Running())
    expected = []
    for number, end in enumerate([signal.SIGTERM, signal.SIGKILL]):
        lines = [f"{number}.{index}" for index in range(50)]
        write(client, run_id, *lines)
        expected += lines
        wait_for(len(expected))
        world.server.stop(end)
        world.start_server()
        lines = [f"{number}.after.{index}" for index in range(50)]
        write(client, run_id, *lines)
        expected += lines
    client.set_flow_run_state(run_id, Success())
    reader.join(60)
    assert not reader.is_alive()
    assert problems == []
    pages = [page for page in found if not isinstance(page, Reconnecting)]
    assert log_lines(pages) == expected
    assert len(pages) < len(found)
    cursors = [event.cursor for page in pages for event in page.events]
    assert len(set(cursors)) == len(cursors)


def test_following_an_unknown_run(client):
    with pytest.raises(ObjectNotFoundError):
        list(follow_flow_run(client.session, NOBODY))


def test_watching_from_python(client, run_id, capsys):
    lines = watch_flow_run(run_id)
    assert next(lines).message.startswith("Entered state <Scheduled>")
    client.set_flow_run_state(run_id, Running("go"))
    write(client, run_id, "hello")
    client.set_flow_run_state(run_id, Success("over"))
    assert [line.message for line in lines] == ["Entered state <Running>: go", "hello", "Entered state <Success>: over"]
    [line] = watch_flow_run(run_id)
    assert line.message.startswith("Your flow run finished")
    stream_flow_run_logs(run_id)
    assert "| INFO    | Your flow run finished" in capsys.readouterr().out


def test_watching_ends_in_time(run_id):
    with pytest.raises(RuntimeError, match="`watch_flow_run` timed out after"):
        list(watch_flow_run(run_id, max_duration=timedelta(seconds=0.2)))
