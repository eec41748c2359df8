"""Prefect 1.4.1 registers flows: its command line and its library, scripts and pickles, all at once and in parts."""

import re

import pytest
from interop_world import FLOWS, LibraryError

FLOW = "name version archived parameters project { name } tasks(order_by: {slug: asc}) { slug mapped } "


def test_the_command_line_creates_a_project_once(interop):
    assert "by-cli created" in interop.old_cli("create", "project", "by-cli", "--description", "words")
    assert "by-cli created" in interop.old_cli("create", "project", "by-cli")
    assert "by-cli already exists" in interop.old_cli("create", "project", "by-cli", "--skip-if-exists")
    rows = interop.graphql('{ project(where: {name: {_eq: "by-cli"}}) { description } }')["project"]
    assert rows == [{"description": "words"}]


def test_the_command_line_registers_and_skips_what_is_unchanged(interop):
    interop.old_cli("create", "project", "registered")
    arguments = ["register", "--project", "registered", "-p", str(FLOWS / "shared.py"), "--name", "mapping"]
    first = interop.old_cli(*arguments, "--label", "a-label")
    assert "1 registered" in first
    flow_id = re.search(r"ID: (\S+)", first)[1]
    assert "Version: 1" in first
    flow = interop.flow(flow_id, FLOW + "edges { key mapped } storage run_config is_schedule_active")
    assert (flow["name"], flow["version"], flow["archived"]) == ("mapping", 1, False)
    assert flow["project"] == {"name": "registered"}
    assert [task["slug"] for task in flow["tasks"]] == ["double-1", "numbers", "total-1"]
    assert sorted((edge["key"], edge["mapped"]) for edge in flow["edges"]) == [("number", True), ("numbers", False)]
    assert flow["storage"]["stored_as_script"] is True
    assert "a-label" in flow["run_config"]["labels"]
    assert [parameter["default"] for parameter in flow["parameters"]] == [[1, 2, 3]]
    assert "1 skipped" in interop.old_cli(*arguments, "--label", "a-label")
    forced = interop.old_cli(*arguments, "--force", "--no-schedule")
    assert "Version: 2" in forced
    newer = interop.flow(re.search(r"ID: (\S+)", forced)[1], "version is_schedule_active")
    assert newer == {"version": 2, "is_schedule_active": False}
    assert interop.flow(flow_id, "archived") == {"archived": True}


def test_our_command_line_skips_what_1_4_1_registered_the_same(interop):
    """The same flow in the same file means the same key, or a new version; never an error."""
    interop.old_cli("create", "project", "both")
    arguments = ["register", "--project", "both", "-p", str(FLOWS / "shared.py"), "--name", "saying"]
    assert "Version: 1" in interop.old_cli(*arguments)
    ours = interop.cli(*arguments).stdout
    assert "Version: 2" in ours or "1 skipped" in ours
    theirs = interop.old_cli(*arguments)
    assert re.search(r"Version: [23]|1 skipped", theirs)


def test_files_of_flows_go_both_ways_and_are_unchanged_either_way(interop):
    def new_cli(*arguments):
        return interop.cli(*arguments).stdout

    new_cli("create", "project", "by file")
    for build, register, name in ((interop.old_cli, new_cli, "old"), (new_cli, interop.old_cli, "new")):
        file = str(interop.folder / f"{name}.json")
        build("build", "-p", str(FLOWS / "shared.py"), "-n", "saying", "-o", file)
        assert "= 1 registered =" in register("register", "--project", "by file", "--json", file)
        for again in (interop.old_cli, new_cli):
            assert "= 0 registered, 1 skipped =" in again("register", "--project", "by file", "--json", file)


def test_a_project_that_is_missing(interop):
    out = interop.old_cli("register", "--project", "no such", "-p", str(FLOWS / "shared.py"), code=1)
    assert "Project 'no such' does not exist" in out


@pytest.mark.parametrize("compressed", [True, False])
def test_the_library_registers(interop, library, compressed):
    library.run(
        "import datetime\n"
        "@task(tags=['slow'], max_retries=3, retry_delay=datetime.timedelta(seconds=5))\n"
        "def one(): return 1\n"
        "@task\n"
        "def plus(x, y): return x + y\n"
        f"with Flow('by library {compressed}') as flow: plus(one(), Parameter('y', default=2))\n"
        "from prefect.storage import Local; from prefect.run_configs import UniversalRun\n"
        "flow.storage, flow.run_config = Local(), UniversalRun()\n"
    )
    flow_id = library.get(f"client.register(flow, project_name='interop', compressed={compressed})")
    flow = interop.flow(flow_id, FLOW + "core_version flow_group_id is_schedule_active")
    assert flow["core_version"].startswith("1.4.1")
    assert [task["slug"] for task in flow["tasks"]] == ["one-slow-1", "plus-1", "y"]
    tasks = interop.graphql(
        'query($id: uuid!) { task(where: {flow_id: {_eq: $id}, slug: {_eq: "one-slow-1"}}) '
        "{ max_retries retry_delay tags } }",
        id=flow_id,
    )["task"]
    assert tasks == [{"max_retries": 3, "retry_delay": "00:00:05", "tags": ["slow"]}]


def test_the_library_registers_again_with_a_key(library):
    library.run("with Flow('with a key') as flow: Parameter('x', default=1)")
    first = library.get("flow.register('interop', idempotency_key='k1')")
    assert library.get("flow.register('interop', idempotency_key='k1')") == first
    assert library.get("flow.register('interop', idempotency_key='k2')") != first
    assert library.get("client.register(flow, 'interop', version_group_id='a-version-group', no_url=True)")
    with pytest.raises(LibraryError, match="Project no such not found"):
        library.get("flow.register('no such')")


def test_the_library_registers_a_large_flow(interop, library):
    """More tasks and edges than one request carries."""
    library.run(
        "with Flow('large') as flow:\n"
        "    before = Parameter('start', default=0)\n"
        "    for number in range(600):\n"
        "        now = prefect.Task(name=f'task {number}')\n"
        "        now.set_upstream(before)\n"
        "        before = now\n"
    )
    flow_id = library.get("flow.register('interop')")
    counts = interop.flow(flow_id, "tasks_aggregate { aggregate { count } } edges_aggregate { aggregate { count } }")
    assert counts["tasks_aggregate"]["aggregate"]["count"] == 601
    assert counts["edges_aggregate"]["aggregate"]["count"] == 600


def test_the_library_creates_projects_and_tenants(interop, library):
    project = library.get("client.create_project('by-library', 'a description')")
    assert library.get("client.create_project('by-library')") == project
    tenants = library.get("client.get_available_tenants()")
    assert [tenant["slug"] for tenant in tenants][:1] == ["default"]
    assert library.get("client.get_default_tenant_slug()") == "default"
    # 1.4.1 takes the first tenant that it sees for its own, so that a caller must see no other
    created = library.get("client.create_tenant('Second Tenant', 'a-second')")
    assert interop.rows("select slug from tenant where id = $1::uuid", created) == [("a-second",)]
    assert library.get("client.get_available_tenants()") == tenants
    assert library.get("Client().tenant_id") == tenants[0]["id"]
