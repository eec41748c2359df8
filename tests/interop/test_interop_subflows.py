"""Flows of 1.4.1 that create, follow, rename and cancel other runs, executed by its own agent and engine."""

import threading

import pytest
from interop_world import FLOWS


@pytest.fixture(scope="session")
def subflows(interop, old_agent):
    """The ids by name of the flows; runs that flows create find an agent that looks often enough."""
    interop.old_cli("create", "project", "subflows")
    interop.old_cli("register", "--project", "subflows", "-p", str(FLOWS / "subflows.py"))
    rows = interop.graphql('{ flow(where: {project: {name: {_eq: "subflows"}}}) { id name } }')["flow"]
    return {row["name"]: row["id"] for row in rows}


@pytest.fixture
def poking(interop):
    """Make the agent of 1.4.1 look every now and then: nobody tells it of runs that flows create."""
    over = threading.Event()

    def poke():
        while not over.wait(0.3):
            interop.poke()

    thread = threading.Thread(target=poke)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.mark.usefixtures("poking")
def test_a_flow_runs_another_and_reads_its_result(interop, subflows):
    flow_run_id = interop.create_run(subflows["parent"], labels=["old"])
    run = interop.wait_for_state(flow_run_id)
    messages = interop.messages(flow_run_id)
    assert run["state"] == "Success", "\n".join(messages)
    interop.wait_for_message(flow_run_id, "result: 8")
    interop.wait_for_message(flow_run_id, "state: Success")
    interop.wait_for_message(flow_run_id, "Flow 'the child': Entered state <Success>")
    (child,) = interop.graphql('{ flow_run(where: {name: {_eq: "the child"}}) { parameters labels idempotency_key } }')[
        "flow_run"
    ]
    assert (child["parameters"], child["labels"]) == ({"number": 4}, ["old"])
    keys = interop.rows("select id::text from task_run where flow_run_id = $1::uuid", flow_run_id)
    assert child["idempotency_key"] in {row["id"] for row in keys}


def test_a_flow_renames_itself_and_cancels_another(interop, subflows):
    flow_run_id = interop.create_run(subflows["starting"], labels=["old"])
    run = interop.wait_for_state(flow_run_id)
    assert (run["state"], run["name"]) == ("Success", "a new name"), "\n".join(interop.messages(flow_run_id))
    interop.wait_for_message(flow_run_id, "cancelled: Cancelled")


@pytest.mark.usefixtures("poking")
def test_a_task_mirrors_the_run_that_it_starts(interop, subflows):
    flow_run_id = interop.create_run(subflows["mirroring"], labels=["old"])
    run = interop.wait_for_state(flow_run_id)
    assert run["state"] == "Success", "\n".join(interop.messages(flow_run_id))
    (child,) = interop.graphql('{ flow_run(where: {name: {_eq: "a mirrored one"}}) { id state } }')["flow_run"]
    assert child["state"] == "Success"
    (artifact,) = interop.rows(
        "select a.data from task_run_artifact a join task_run t on t.id = a.task_run_id where t.flow_run_id = $1::uuid",
        flow_run_id,
    )
    assert child["id"] in artifact["data"]
