"""§26: `Client` against a server that answers what a test wrote down: requests, headers, and the 1.x errors."""

import uuid
from datetime import UTC, datetime

import pytest
from starlette.responses import JSONResponse

import prefect
from prefect import Client, Flow, task
from prefect.client.auth import auth_file, load_auth
from prefect.engine.state import Pending, Queued, Running, Success
from prefect.exceptions import ClientError, ObjectNotFoundError
from prefect.utilities.configuration import set_temporary_config
from prefect.utilities.graphql import EnumValue, with_args

TENANT = "3a3c6f2e-0000-4000-8000-000000000001"


@pytest.fixture(autouse=True)
def home(tmp_path):
    with set_temporary_config({"home_dir": str(tmp_path)}):
        yield tmp_path


@pytest.fixture
def client(api):
    return Client(api.url)


def sent(api, number=-1):
    return api.requests[number][1]["variables"]


def test_constructing_sends_nothing_and_checks_the_tenant(api):
    assert Client(f"{api.url}/").api_server == api.url
    with pytest.raises(ValueError, match=r"The `tenant_id` must be a valid UUID\. Got 'x'"):
        Client(api.url, tenant_id="x")
    assert api.requests == []


def test_arguments_win_over_settings_and_the_disk(api):
    client = Client(api.url, api_key="disk", tenant_id=TENANT)
    client.save_auth_to_disk()
    assert (Client(api.url).api_key, Client(api.url).tenant_id) == ("disk", TENANT)
    with set_temporary_config({"cloud.api_key": "setting", "cloud.api": api.url}):
        assert Client().api_key == "setting"
        assert Client(api_key="argument").api_key == "argument"
        with prefect.context(config={"cloud": {"api_key": "context"}}):
            assert Client().api_key == "context"
    assert Client("http://elsewhere:4200").api_key is None


def test_credentials_on_disk(api, home):
    Client("http://Host.example:4212/x", api_key='a"b', tenant_id=TENANT).save_auth_to_disk()
    Client("http://other", api_key="k").save_auth_to_disk()
    assert load_auth("http://host.example:4212") == {"api_key": 'a"b', "tenant_id": TENANT}
    assert load_auth("http://other") == {"api_key": "k"}
    assert auth_file() == home / "auth.toml"
    assert auth_file().stat().st_mode & 0o077 == 0
    assert '["host.example-4212"]' in auth_file().read_text()
    assert Client("http://other").load_auth_from_disk() == {"api_key": "k"}
    auth_file().write_text("not toml")
    with pytest.raises(ValueError, match=r"auth\.toml. is no valid TOML"):
        Client(api.url)


def test_graphql_takes_text_and_structure(api, client):
    api.answers = [{"data": {"flow": [{"id": "1", "project": {"name": "p"}}]}}]
    where = {"where": {"name": {"_eq": 'a "b"'}}, "order_by": {"version": EnumValue("desc")}}
    result = client.graphql({"query": {with_args("flow", where): {"id": ..., "project": {"name"}}}})
    assert result.data.flow[0].project.name == "p"
    assert result["data"]["flow"][0]["id"] == "1"
    assert result.to_dict() == {"data": {"flow": [{"id": "1", "project": {"name": "p"}}]}}
    query = api.requests[0][1]["query"]
    assert 'flow(where: { name: { _eq: "a \\"b\\"" } }, order_by: { version: desc })' in query
    client.graphql("query($id: uuid!) { flow_by_pk(id: $id) { name } }", variables={"id": "2"}, api_key="other")
    headers, body = api.requests[1]
    assert body["variables"] == {"id": "2"}
    assert headers["authorization"] == "Bearer other"


def test_graphql_errors(api, client):
    api.answers = [{"data": None, "errors": [{"message": "wrong"}]}]
    with pytest.raises(ClientError, match="wrong"):
        client.graphql("{ x }")
    assert client.graphql("{ x }", raise_on_error=False).errors[0]["message"] == "wrong"
    errors = [{"message": "No such field.", "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"}}, {"message": "Odd."}]
    api.answers = [JSONResponse({"errors": errors}, 400)]
    with pytest.raises(ClientError) as caught:
        client.graphql("query { x }", variables={"a": 1})
    text = str(caught.value)
    assert "GRAPHQL_VALIDATION_FAILED: No such field." in text
    assert "UNKNOWN_ERROR: Odd." in text
    assert "query { x }" in text
    assert "{'a': 1}" in text


def test_a_mutation_of_unknown_effect_is_not_repeated(api, client):
    away = JSONResponse({}, 503)
    api.answers = [away, {"data": {"hello": "x"}}]
    assert client.graphql("query { hello }").data.hello == "x"
    assert client.graphql("{ a: hello mutation: hello }")
    api.answers = [away, {"data": {"archive_flow": {"success": True}}}]
    for document in (
        "mutation { archive_flow }",
        "# why\n  mutation($i: x) { archive_flow }",
        {"mutation": {"a": ...}},
    ):
        api.answers = [away]
        with pytest.raises(ClientError, match="HTTP status 503"):
            client.graphql(document)
    assert len(api.requests) == 6


def test_what_a_claimed_run_says_about_itself_carries_its_token(api, client):
    api.answers = [{"data": {"update_flow_run_heartbeat": {"success": True}}}]
    client.update_flow_run_heartbeat("run")
    with prefect.context(claim_token="token", flow_run_id="run"):
        client.attach_headers({"X-Mine": "1"})
        client.update_flow_run_heartbeat("run")
        client.update_flow_run_heartbeat("another run")
    plain, claimed, about_another = (headers for headers, _ in api.requests)
    assert "x-prefect-claim-token" not in plain
    assert "x-prefect-claim-token" not in about_another
    assert claimed["x-prefect-claim-token"] == "token"
    assert claimed["x-prefect-heartbeat-id"] == "run"
    assert claimed["x-mine"] == "1"


def test_clients_of_one_api_share_connections(api):
    api.answers = [{"data": {"set_flow_run_name": {"success": True}}}]
    for _ in range(3):
        assert Client(api.url).set_flow_run_name("r", "n") is True
    assert len(api.connections) == 1


def test_tenant_is_asked_for_once(api, client):
    api.answers = [{"data": {"tenant": [{"id": TENANT}]}}]
    assert client.tenant_id == client.tenant_id == TENANT
    assert len(api.requests) == 1
    api.answers = [{"data": {"tenant": []}}]
    with pytest.raises(ClientError, match=r"has no tenants\. Create a tenant with `prefect server create-tenant`"):
        _ = Client(api.url).tenant_id
    with set_temporary_config({"backend": "cloud"}), pytest.raises(ValueError, match="You have not set an API key"):
        _ = Client(api.url).tenant_id


def test_create_flow_run_sends_only_what_is_given(api, client):
    api.answers = [{"data": {"create_flow_run": {"id": "run"}}}]
    assert client.create_flow_run(flow_id="f") == "run"
    first = sent(api)["input"]
    assert set(first) == {"flow_id", "idempotency_key"}
    assert uuid.UUID(hex=first["idempotency_key"])
    client.create_flow_run(
        flow_id="f",
        flow_group_id="g",
        version_group_id="v",
        parameters={},
        context={"a": 1},
        labels=[],
        scheduled_start_time=datetime(2026, 1, 1, tzinfo=UTC),
        idempotency_key="key",
        run_name="name",
        run_config=prefect.run_configs.LocalRun(labels=["x"]),
    )
    second = sent(api)["input"]
    assert second.pop("run_config")["labels"] == ["x"]
    assert second == {
        "flow_id": "f",
        "parameters": {},
        "context": {"a": 1},
        "labels": [],
        "scheduled_start_time": "2026-01-01T00:00:00+00:00",
        "idempotency_key": "key",
        "flow_run_name": "name",
    }
    client.create_flow_run(version_group_id="v")
    assert set(sent(api)["input"]) == {"version_group_id", "idempotency_key"}
    client.create_flow_run(version_group_id="v", flow_group_id="g")
    assert set(sent(api)["input"]) == {"flow_group_id", "idempotency_key"}


def test_a_creation_whose_answer_got_lost_is_repeated_with_its_key(api, client):
    """§26.2, §26.3: a repeated request never makes two runs, a repeated registration never two versions."""
    lost = JSONResponse({}, 502)
    api.answers = [lost, lost, {"data": {"create_flow_run": {"id": "run"}}}]
    assert client.create_flow_run(flow_id="f") == "run"
    assert len(api.requests) == 3
    assert len({sent(api, number)["input"]["idempotency_key"] for number in range(3)}) == 1

    with Flow("registered") as flow:
        task(lambda: 1)()
    project = {"data": {"project": [{"id": "p", "name": "p", "tenant_id": TENANT}]}}
    made = {"data": {"create_flow_from_compressed_string": {"id": "flow"}}}
    api.answers = [project, lost, made]
    options = {"build": False, "no_url": True, "set_schedule_active": False}
    assert client.register(flow, "p", idempotency_key="k", **options) == "flow"
    first = len(api.requests)
    api.answers = [project, lost, made]
    assert client.register(flow, "p", **options) == "flow"
    keys = {sent(api, number)["input"]["idempotency_key"] for number in (first + 1, first + 2)}
    assert len(keys) == 1
    assert None not in keys


def test_create_flow_run_refuses_what_cannot_work(api, client):
    with pytest.raises(ValueError, match="One of flow_id or version_group_id must be provided"):
        client.create_flow_run()
    with pytest.raises(ClientError, match=r"The parameters\['x'\]\[1\]\['y'\] is nan"):
        client.create_flow_run(flow_id="f", parameters={"x": [1, {"y": float("nan")}]})
    with pytest.raises(TypeError, match="type object cannot be sent as JSON"):
        client.create_flow_run(flow_id="f", context={"x": object()})
    assert api.requests == []


def test_states_are_sent_and_queued_answers_wait(api, client):
    accepted = {"id": "run", "status": "SUCCESS", "message": None}
    api.answers = [{"data": {"set_flow_run_states": {"states": [accepted]}}}]
    state = Running("go")
    assert client.set_flow_run_state("run", state, version=3) is state
    [change] = sent(api)["input"]["states"]
    assert change["version"] == 3
    assert change["state"]["type"] == "Running"
    queued = {"id": "run", "status": "QUEUED", "message": "limit", "code": None}
    api.answers = [{"data": {"set_task_run_states": {"states": [queued]}}}]
    with set_temporary_config({"cloud.queue_interval": 60}):
        answer = client.set_task_run_state("run", Success())
    assert isinstance(answer, Queued)
    assert answer.message == "limit"
    assert 50 < (answer.start_time - datetime.now(UTC)).total_seconds() <= 60


def test_unknown_runs(api, client):
    api.answers = [{"data": {"flow_run_by_pk": None}}]
    with pytest.raises(ObjectNotFoundError, match='Flow run ID not found: "x"'):
        client.get_flow_run_info("x")
    with pytest.raises(ObjectNotFoundError, match="'x'"):
        client.get_flow_run_state("x")
    api.answers = [{"data": {"flow_run_by_pk": {"state": None, "version": 0, "serialized_state": None}}}]
    assert client.get_flow_run_state("x") == Pending()


def test_logs_that_are_not_taken(api, client):
    api.answers = [{"data": {"write_run_logs": {"success": False, "error": None}}}]
    with pytest.raises(ValueError, match="Writing logs failed"):
        client.write_run_logs([{"flow_run_id": "r"}])


def test_an_existing_project_is_found(api):
    client = Client(api.url, tenant_id=TENANT)
    refused = {"data": {"create_project": None}, "errors": [{"message": "Uniqueness violation."}]}
    found = {"data": {"project": [{"id": "p", "name": "x", "tenant_id": TENANT}]}}
    api.answers = [refused, found]
    assert client.create_project("x") == "p"
    assert sent(api, 0)["input"] == {"name": "x", "description": None, "tenant_id": TENANT}
    assert sent(api) == {"name": "x", "tenant_id": TENANT}
    api.answers = [{"data": None, "errors": [{"message": "Name too long."}]}]
    with pytest.raises(ClientError, match="Name too long"):
        client.create_project("x")


def test_cached_states_by_key_or_task(api, client):
    api.answers = [{"data": {"task_run": [{"serialized_state": {"type": "Success", "message": "m"}}]}}]
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert client.get_latest_cached_states("t", "k", moment)[0].message == "m"
    assert sent(api) == {"created_after": "2026-01-01T00:00:00+00:00", "cache_key": "k"}
    client.get_latest_cached_states("t", None, moment)
    assert set(sent(api)) == {"created_after", "task_id"}


@pytest.mark.parametrize(
    ("server", "settings", "base"),
    [
        ("http://localhost:4200", {}, "http://localhost:4200"),
        ("http://flows.example:80", {}, "http://flows.example:80"),
        ("http://flows.example", {"server.ui.endpoint": "http://pages.example/"}, "http://pages.example"),
        ("https://api.prefect.io", {}, "https://cloud.prefect.io"),
    ],
)
def test_addresses_of_pages(server, settings, base):
    with set_temporary_config(settings):
        assert Client(server)._page_base() == base


def test_urls_name_the_tenant(api):
    api.answers = [
        {"data": {"tenant": [{"id": "x", "slug": "no", "name": "n"}, {"id": TENANT, "slug": "s", "name": "n"}]}}
    ]
    client = Client(api.url, tenant_id=TENANT)
    assert client.get_cloud_url("flow-run", "1") == f"{api.url}/s/flow-run/1"
    assert client.get_available_tenants()[1] == {"id": TENANT, "slug": "s", "name": "n"}
    client.tenant_id = str(uuid.uuid4())
    with pytest.raises(ObjectNotFoundError, match="no tenant with the id"):
        client.get_cloud_url("flow-run", "1")
