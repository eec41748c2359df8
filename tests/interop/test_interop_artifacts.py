"""Artifacts and deletion with 1.4.1: from its client, from its command line, and out of running tasks."""

import pytest
from interop_world import FLOWS, LibraryError

ARTIFACTS = """query($id: uuid!) {
    task_run_artifact(where: {task_run: {flow_run_id: {_eq: $id}}}, order_by: {created: asc}) { id kind data } }"""


def test_the_client_creates_updates_and_deletes_artifacts(interop, library, old_flows):
    flow_run_id = library.call("client.create_flow_run", flow_id=old_flows["saying"], labels=["nobody"])
    library.run(f"item = client.get_flow_run_info({flow_run_id!r}).task_runs[0]")
    link = library.get("client.create_task_run_artifact(item.id, kind='link', data={'link': 'https://example.com'})")
    text = library.get("client.create_task_run_artifact(item.id, kind='markdown', data={'markdown': '# Ü'})")
    assert interop.graphql(ARTIFACTS, id=flow_run_id)["task_run_artifact"] == [
        {"id": link, "kind": "link", "data": {"link": "https://example.com"}},
        {"id": text, "kind": "markdown", "data": {"markdown": "# Ü"}},
    ]
    library.call("client.update_task_run_artifact", link, data={"link": "https://example.org"})
    library.call("client.delete_task_run_artifact", text)
    assert interop.graphql(ARTIFACTS, id=flow_run_id)["task_run_artifact"] == [
        {"id": link, "kind": "link", "data": {"link": "https://example.org"}}
    ]


def test_artifacts_of_a_running_task(interop, old_agent):
    interop.old_cli("create", "project", "artifacts")
    interop.old_cli("register", "--project", "artifacts", "-p", str(FLOWS / "artifacts.py"))
    (flow,) = interop.graphql('{ flow(where: {project: {name: {_eq: "artifacts"}}}) { id } }')["flow"]
    flow_run_id = interop.create_run(flow["id"], labels=["old"])
    run = interop.wait_for_state(flow_run_id)
    assert run["state"] == "Success", "\n".join(interop.messages(flow_run_id))
    rows = interop.graphql(ARTIFACTS, id=flow_run_id)["task_run_artifact"]
    assert [(row["kind"], row["data"]) for row in rows] == [
        ("link", {"link": "https://example.org/new"}),
        ("markdown", {"markdown": "**new**"}),
    ]


@pytest.mark.parametrize("how", ["command", "client"])
def test_a_project_is_deleted_with_what_is_in_it(interop, library, how):
    name = f"deleted by {how}"
    library.run(f"project = client.create_project({name!r})\nwith Flow('soon gone') as flow: Parameter('x', default=1)")
    flow_id = library.get(f"flow.register({name!r})")
    flow_run_id = library.call("client.create_flow_run", flow_id=flow_id, labels=["nobody"])
    if how == "command":
        assert f"{name} deleted" in interop.old_cli("delete", "project", name)
    else:
        assert library.call("client.delete_project", name) is True
    assert interop.flow(flow_id, "id") is None
    assert interop.run(flow_run_id) is None
    with pytest.raises(LibraryError, match="not found"):
        library.call("client.delete_project", name)
