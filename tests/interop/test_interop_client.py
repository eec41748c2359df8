"""The Python API of 1.4.1: the client, its views of flows and runs, states and their versions, logs, cached states."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from interop_world import LibraryError


@pytest.fixture(scope="session")
def finished(interop, old_flows, old_agent):
    """The id of a finished run of `mapping`."""
    flow_run_id = interop.create_run(old_flows["mapping"], labels=["old"], parameters={"numbers": [4, 5]})
    assert interop.wait_for_state(flow_run_id)["state"] == "Success", interop.text()
    interop.wait_for_message(flow_run_id, "Flow run SUCCESS")
    return flow_run_id


@pytest.fixture(scope="session")
def views(library):
    library.run(
        "from prefect.backend import FlowView, FlowRunView, TaskRunView, TenantView\n"
        "from prefect.engine.state import *\n"
        "import datetime, pendulum\n"
    )
    return library


def test_create_flow_run_with_every_option(interop, library, old_flows):
    start = datetime.now(UTC) + timedelta(days=1)
    library.run("import datetime; from prefect.run_configs import LocalRun")
    flow_run_id = library.get(
        f"client.create_flow_run(flow_id={old_flows['saying']!r}, context={{'colour': 'red'}}, labels=['x', 'y'],"
        "parameters={'text': [1, None, 'ü🚀']}, run_config=LocalRun(env={'A': 'b'}), idempotency_key='client key',"
        f"run_name='by the client', scheduled_start_time=datetime.datetime.fromisoformat({start.isoformat()!r}))"
    )
    row = interop.graphql(
        "query($id: uuid!) { flow_run_by_pk(id: $id) "
        "{ name parameters context labels run_config idempotency_key scheduled_start_time state auto_scheduled } }",
        id=flow_run_id,
    )["flow_run_by_pk"]
    assert datetime.fromisoformat(row.pop("scheduled_start_time")) == start
    run_config = row.pop("run_config")
    assert (run_config["type"], run_config["env"]) == ("LocalRun", {"A": "b"})
    assert sorted(row.pop("labels")) == ["x", "y"]
    assert row == {
        "name": "by the client",
        "parameters": {"text": [1, None, "ü🚀"]},
        "context": {"colour": "red"},
        "idempotency_key": "client key",
        "state": "Scheduled",
        "auto_scheduled": False,
    }
    again = library.call("client.create_flow_run", flow_id=old_flows["saying"], idempotency_key="client key")
    assert again == flow_run_id
    group = interop.flow(old_flows["saying"], "version_group_id")["version_group_id"]
    by_group = library.call("client.create_flow_run", version_group_id=group, labels=["nobody"])
    assert by_group not in {flow_run_id, None}
    with pytest.raises(LibraryError, match="ClientError"):
        library.call("client.create_flow_run", flow_id="01a205f4-b8d6-77b6-b33d-0b07aef8e5d3")


def test_names_and_cancelling(interop, library, old_flows):
    flow_run_id = library.call("client.create_flow_run", flow_id=old_flows["saying"], labels=["nobody"])
    assert library.call("client.set_flow_run_name", flow_run_id, "another name") is True
    assert interop.run(flow_run_id)["name"] == "another name"
    info = library.call("client.get_flow_run_info", flow_run_id)
    assert "another name" in str(info)
    assert library.call("client.cancel_flow_run", flow_run_id) == "Cancelled"
    assert interop.history(flow_run_id) == ["Scheduled", "Cancelled"]


def test_states_and_their_versions(interop, views, old_flows):
    flow_run_id = views.call("client.create_flow_run", flow_id=old_flows["mapping"], labels=["nobody"])
    views.run(f"run = client.get_flow_run_info({flow_run_id!r})")
    assert views.get("[task.task_slug for task in sorted(run.task_runs, key=lambda t: t.task_slug)]") == [
        "double-1",
        "numbers",
        "total-1",
    ]
    assert views.get("run.parameters") == {"numbers": [1, 2, 3]}
    assert (
        views.get("type(client.set_flow_run_state(run.id, Running('go'), version=run.version)).__name__") == "Running"
    )
    assert views.get("type(client.get_flow_run_state(run.id)).__name__") == "Running"
    views.run(
        "task_id = run.task_runs[0].task_id\n"
        "child = client.get_task_run_info(run.id, task_id, map_index=3)\n"
        "client.set_task_run_state(child.id, Running('go'), version=child.version)\n"
        "client.set_task_run_state(child.id, Success(message='done'))\n"
    )
    assert views.get("client.get_task_run_info(run.id, task_id, map_index=3).id") == views.get("child.id")
    assert views.get("client.get_task_run_state(child.id).message") == "done"
    assert views.get("client.set_task_run_name(child.id, 'a child')") is True
    views.run("client.update_flow_run_heartbeat(run.id); client.set_flow_run_state(run.id, Failed('enough'))")
    assert interop.history(flow_run_id) == ["Scheduled", "Running", "Failed"]
    with pytest.raises(LibraryError, match="not found"):
        views.get("client.get_flow_run_info('01a205f4-b8d6-77b6-b33d-0b07aef8e5d3')")


def test_a_flow_with_locked_versions(interop, views, old_agent):
    """A process that comes too late stops; the one that came first goes on."""
    views.run("with Flow('locked') as flow: Parameter('x', default=1)")
    flow_id = views.get("flow.register('interop')")
    interop.rows(
        "update flow_group g set settings = g.settings || '{\"version_locking_enabled\": true}'::jsonb "
        "from flow f where f.flow_group_id = g.id and f.id = $1::uuid",
        flow_id,
    )
    flow_run_id = views.call("client.create_flow_run", flow_id=flow_id, labels=["nobody"])
    views.run(f"run = client.get_flow_run_info({flow_run_id!r})")
    views.run("client.set_flow_run_state(run.id, Running('first'), version=run.version)")
    with pytest.raises(LibraryError, match="VersionLockMismatchSignal"):
        views.run("client.set_flow_run_state(run.id, Running('late'), version=run.version)")
    executed = interop.create_run(flow_id, labels=["old"])
    assert interop.wait_for_state(executed)["state"] == "Success"


def test_logs_of_the_client(interop, views, old_flows):
    flow_run_id = views.call("client.create_flow_run", flow_id=old_flows["saying"], labels=["nobody"])
    line = {"flow_run_id": flow_run_id, "name": "mine", "message": "a line"}
    views.call("client.write_run_logs", [line | {"level": "INFO"}, line | {"level": "Level 15", "task_run_id": None}])
    views.call("client.write_run_logs", [line | {"level": "ERROR", "timestamp": "2026-01-02T03:04:05"}])
    assert len(interop.messages(flow_run_id)) == 3
    views.run(f"logs = FlowRunView.from_flow_run_id({flow_run_id!r}).get_logs(end_time=pendulum.now('utc'))")
    assert views.get("[(log.level, log.message) for log in logs]")[0] == [40, "a line"]


def test_flow_views(views, interop, old_flows):
    flow_id = old_flows["mapping"]
    group = interop.flow(flow_id, "flow_group_id")["flow_group_id"]
    for found in (
        f"FlowView.from_id({flow_id!r})",
        f"FlowView.from_id({group!r})",
        f"FlowView.from_flow_id({flow_id!r})",
        f"FlowView.from_flow_group_id({group!r})",
        "FlowView.from_flow_name('mapping', project_name='interop')",
        "FlowView.from_flow_name('mapping', project_name='interop', last_updated=True)",
    ):
        views.run(f"view = {found}")
        assert views.get("[view.flow_id, view.name, view.project_name, view.archived]") == [
            flow_id,
            "mapping",
            "interop",
            False,
        ]
    assert views.get("sorted(task.slug or task.name for task in view.flow.tasks)")
    with pytest.raises(LibraryError, match="No results found"):
        views.get("FlowView.from_flow_name('there is none', project_name='interop')")
    with pytest.raises(LibraryError, match="No results found"):
        views.get("FlowView.from_flow_name('mapping', project_name=None) and 0")


def test_flow_run_views(views, finished):
    views.run(f"view = FlowRunView.from_flow_run_id({finished!r}, load_static_tasks=True)")
    assert views.get("view.parameters") == {"numbers": [4, 5]}
    assert views.get("view.labels") == ["old"]
    assert views.get("[type(state).__name__ for state in view.states]") == [
        "Scheduled",
        "Submitted",
        "Running",
        "Success",
    ]
    assert views.get("view.get_latest().state.is_successful()") is True
    assert views.get("len(view.get_all_task_runs())") == 5
    assert views.get("len(view.get_task_run_ids())") == 5
    assert views.get("view.get_flow_metadata().name") == "mapping"
    messages = views.get("[log.message for log in view.get_logs(end_time=pendulum.now('utc'))]")
    assert "total 18" in messages
    later = views.get(
        "[log.message for log in view.get_logs(start_time=view.get_logs(end_time=pendulum.now('utc'))[-1].timestamp)]"
    )
    assert later == []
    with pytest.raises(LibraryError, match="No flow runs found"):
        views.get("FlowRunView.from_flow_run_id('01a205f4-b8d6-77b6-b33d-0b07aef8e5d3')")


def test_task_run_views_and_results(views, finished):
    views.run(f"view = FlowRunView.from_flow_run_id({finished!r})")
    assert views.get("view.get_task_run('total-1').get_result()") == 18
    assert views.get("view.get_task_run('double-1').get_result()") == [8, 10]
    assert views.get("view.get_task_run('double-1', map_index=1).get_result()") == 10
    assert views.get("[child.name for child in view.get_task_run('double-1').iter_mapped()]") == [
        "doubled-4",
        "doubled-5",
    ]
    views.run(f"found = TaskRunView.from_task_slug('total-1', {finished!r})")
    assert views.get("TaskRunView.from_task_run_id(found.task_run_id).state.is_successful()") is True
    assert views.get("found.get_latest().task_slug") == "total-1"
    with pytest.raises(LibraryError, match="No task runs found"):
        views.get(f"TaskRunView.from_task_slug('none-1', {finished!r})")


def test_tenant_views_and_addresses(views, interop, finished):
    tenant = views.get("client.tenant_id")
    views.run("view = TenantView.from_current_tenant()")
    assert views.get("[view.tenant_id, view.slug]") == [tenant, "default"]
    assert re.fullmatch(
        r"http://localhost:8080/default/flow-run/\S+", views.get(f"client.get_cloud_url('flow-run', {finished!r})")
    )
    assert views.get("client.graphql('query { hello }').data.hello")


def test_watching_from_python(views, finished):
    views.run("from prefect.backend.flow_run import watch_flow_run, check_for_compatible_agents")
    lines = views.get(f"[log.message for log in watch_flow_run({finished!r})]")
    assert len(lines) == 1
    assert "finished" in lines[0]
    assert "old-agent" in views.get("check_for_compatible_agents(['old'])") or "1 healthy" in views.get(
        "check_for_compatible_agents(['old'])"
    )
    assert views.get("check_for_compatible_agents(['such a label has nobody'])")


def test_latest_cached_states(views, interop, old_flows):
    flow_run_id = views.call("client.create_flow_run", flow_id=old_flows["saying"], labels=["nobody"])
    views.run(
        f"run = client.get_flow_run_info({flow_run_id!r}); item = run.task_runs[0]\n"
        "since = pendulum.now('utc').subtract(hours=1)\n"
        "client.set_flow_run_state(run.id, Running(), version=run.version)\n"
        "client.set_task_run_state(item.id, Running(), version=item.version)\n"
        "client.set_task_run_state(item.id, Cached(message='kept'), cache_for=datetime.timedelta(hours=1))\n"
    )
    found = views.get("[s.message for s in client.get_latest_cached_states(item.task_id, None, since)]")
    assert found == ["kept"]
    assert views.get("client.get_latest_cached_states(item.task_id, 'no such key', since)") == []
