"""Flow runs across the generations: who registered, who created and who executes need not be the same."""

import re
import subprocess
import sys

import pytest
from interop_world import FLOWS
from system_world import wait_until

NORMAL = ["Scheduled", "Submitted", "Running", "Success"]


@pytest.fixture(scope="session")
def scripts(interop):
    """The ids by name of the shared flows, registered from the script; by whom says the key."""
    ids = {}
    for who, command in (("old", interop.old_cli), ("new", interop.cli)):
        interop.graphql(f'mutation {{ create_project(input: {{name: "{who}"}}) {{ id }} }}')
        command("register", "--project", who, "-p", str(FLOWS / "shared.py"))
        rows = interop.graphql(f'{{ flow(where: {{project: {{name: {{_eq: "{who}"}}}}}}) {{ id name }} }}')["flow"]
        ids[who] = {row["name"]: row["id"] for row in rows}
    return ids


@pytest.fixture(params=["old", "new"])
def executing(request, old_agent, new_agent):
    """The label of runs that 1.4.1's agent and engine, or ours, execute."""
    return request.param


@pytest.mark.parametrize("registered", ["old", "new"])
def test_a_flow_of_a_script_runs(interop, scripts, registered, executing):
    flow_run_id = interop.create_run(scripts[registered]["saying"], labels=[executing], parameters={"text": "hoi 🚀"})
    assert interop.wait_for_state(flow_run_id)["state"] == "Success", "\n".join(interop.messages(flow_run_id))
    assert interop.history(flow_run_id) == NORMAL
    interop.wait_for_message(flow_run_id, "said hoi 🚀")


def test_mapped_task_runs_and_their_names(interop, scripts, executing):
    numbers = list(range(10))
    flow_run_id = interop.create_run(scripts["old"]["mapping"], labels=[executing], parameters={"numbers": numbers})
    assert interop.wait_for_state(flow_run_id)["state"] == "Success", "\n".join(interop.messages(flow_run_id))
    interop.wait_for_message(flow_run_id, "total 90")
    rows = interop.graphql(
        "query($id: uuid!) { task_run(where: {flow_run_id: {_eq: $id}}, order_by: [{map_index: asc}]) "
        "{ name map_index state task { slug } } }",
        id=flow_run_id,
    )["task_run"]
    children = [row for row in rows if row["map_index"] >= 0]
    assert [row["map_index"] for row in children] == numbers
    assert [row["name"] for row in children] == [f"doubled-{number}" for number in numbers]
    assert {row["task"]["slug"]: row["state"] for row in rows if row["map_index"] < 0} == {
        "double-1": "Mapped",
        "numbers": "Success",
        "total-1": "Success",
    }


def test_a_task_is_retried(interop, scripts, executing):
    flow_run_id = interop.create_run(scripts["old"]["retrying"], labels=[executing])
    assert interop.wait_for_state(flow_run_id)["state"] == "Success", "\n".join(interop.messages(flow_run_id))
    interop.wait_for_message(flow_run_id, "attempt 2")
    states = interop.rows(
        "select s.state from task_run_state s join task_run t on t.id = s.task_run_id "
        "where t.flow_run_id = $1::uuid order by s.version",
        flow_run_id,
    )
    assert [row["state"] for row in states] == ["Pending", "Running", "Failed", "Retrying", "Running", "Success"][
        0 if states[0]["state"] == "Pending" else 1 :
    ]


def test_a_run_fails(interop, scripts, executing):
    flow_run_id = interop.create_run(scripts["old"]["failing"], labels=[executing])
    run = interop.wait_for_state(flow_run_id)
    assert run["state"] == "Failed"
    assert run["state_message"] == "Some reference tasks failed."
    interop.wait_for_message(flow_run_id, "meant to fail: ünï 🚀")


@pytest.mark.parametrize("registered", ["old", "new"])
def test_a_failed_run_goes_on(interop, scripts, registered, executing):
    """The engines of both skip what was kept, also children of a list that nobody has any more."""
    path = interop.folder / f"go-on-{registered}-{executing}"
    flow_run_id = interop.create_run(
        scripts[registered]["going-on"], labels=[executing], parameters={"path": str(path)}
    )
    assert interop.wait_for_state(flow_run_id)["state"] == "Failed"
    # the engine of 1.4.1 sends its log after its last state
    interop.wait_for_message(flow_run_id, "Flow run FAILED: some reference tasks failed.")
    before = interop.messages(flow_run_id)
    path.touch()
    answer = interop.graphql(
        "mutation($id: UUID!) { restart_flow_run(input: {flow_run_id: $id}) "
        "{ kept again { task_slug map_index reason } } }",
        id=flow_run_id,
    )["restart_flow_run"]
    assert [(task["task_slug"], task["map_index"], task["reason"]) for task in answer["again"]] == [
        ("goes_on-1", 1, "FAILED"),
        ("total-1", -1, "UNFINISHED"),
    ]
    wait_until(lambda: interop.history(flow_run_id)[-1] == "Success", about=lambda: interop.messages(flow_run_id))
    interop.wait_for_message(flow_run_id, "total 6")
    messages = interop.messages(flow_run_id)[len(before) :]
    assert "went on with 2" in messages
    assert not {"listed", "forgotten", "went on with 1", "tenth 10"} & set(messages)


def test_a_running_run_is_cancelled(interop, scripts, executing):
    never = str(interop.folder / "never")
    flow_run_id = interop.create_run(scripts["old"]["waiting"], labels=[executing], parameters={"path": never})
    interop.wait_for_message(flow_run_id, "waiting")
    query = "mutation($id: UUID!) { cancel_flow_run(input: {flow_run_id: $id}) { state } }"
    assert interop.graphql(query, id=flow_run_id)["cancel_flow_run"]["state"] == "Cancelling"
    assert interop.wait_for_state(flow_run_id)["state"] == "Cancelled"
    assert interop.history(flow_run_id)[-2:] == ["Cancelling", "Cancelled"]


def test_a_large_parameter_and_a_context(interop, scripts, executing):
    text = 'ä\\"\n' * 50_000
    flow_run_id = interop.create_run(scripts["old"]["saying"], labels=[executing], parameters={"text": text})
    named = interop.create_run(
        scripts["old"]["reading-context"],
        labels=[executing],
        context={"colour": "blue"},
        flow_run_name="my run",
    )
    assert interop.wait_for_state(flow_run_id)["state"] == "Success", "\n".join(interop.messages(flow_run_id))
    interop.wait_for_message(flow_run_id, "said " + text[:100])
    assert interop.wait_for_state(named)["state"] == "Success"
    interop.wait_for_message(named, "colour blue of my run")


def test_cached_states_are_found_again(interop, scripts, executing):
    first = interop.create_run(scripts["old"]["caching"], labels=[executing])
    assert interop.wait_for_state(first)["state"] == "Success"
    second = interop.create_run(scripts["old"]["caching"], labels=[executing])
    assert interop.wait_for_state(second)["state"] == "Success"
    interop.wait_for_message(second, "value 42")
    run = interop.run(second)
    states = {task["task"]["slug"]: task["state"] for task in run["task_runs"]}
    assert states == {"remember-1": "Cached", "show-1": "Success"}
    assert not any("computed" in message for message in interop.messages(second))


@pytest.fixture(scope="session")
def pickles(interop, old_flows):
    """The id of the flow `saying`, registered as a pickle; by whom says the key."""
    program = (
        "import runpy\n"
        "names = runpy.run_path(%r, run_name='shared')\n"
        "names['saying'].name = 'ours'\n"
        "print('id', names['saying'].register('interop'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program % str(FLOWS / "shared.py")],
        env=interop.env,
        cwd=interop.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {"old": old_flows["saying"], "new": re.search(r"^id (\S+)$", done.stdout, re.MULTILINE)[1]}


def test_a_pickled_flow_runs_where_it_was_made(interop, pickles, executing):
    flow_run_id = interop.create_run(pickles[executing], parameters={"text": "pickled"}, labels=[executing])
    assert interop.wait_for_state(flow_run_id)["state"] == "Success", "\n".join(interop.messages(flow_run_id))
    interop.wait_for_message(flow_run_id, "said pickled")


def test_a_pickled_flow_of_the_other_generation_says_so(interop, pickles, executing):
    """Pickles carry the insides of the library that made them; the page of differences says to register again."""
    other = {"old": "new", "new": "old"}[executing]
    flow_run_id = interop.create_run(pickles[other], parameters={"text": "pickled"}, labels=[executing])
    run = interop.wait_for_state(flow_run_id)
    assert run["state"] == "Failed"
    assert "FlowStorageError('An error occurred while unpickling the flow:" in run["state_message"]
    part = {"old": "currently running with '1.4.1'", "new": "flow built with '1.4.1'"}[executing]
    assert part in run["state_message"].replace("\\", "")


@pytest.mark.parametrize("mode", ["process", "thread"])
def test_heartbeats_arrive(interop, scripts, old_agent, mode):
    go = interop.folder / f"go-{mode}"
    flow_run_id = interop.create_run(
        scripts["old"]["waiting"],
        parameters={"path": str(go)},
        labels=["old"],
        run_config={
            "type": "UniversalRun",
            "labels": [],
            "env": {"PREFECT__CLOUD__HEARTBEAT_MODE": mode, "PREFECT__CLOUD__HEARTBEAT_INTERVAL": "0.2"},
        },
    )
    beats = set()

    def several():
        query = "query($id: uuid!) { flow_run_by_pk(id: $id) { heartbeat } }"
        beats.add(interop.graphql(query, id=flow_run_id)["flow_run_by_pk"]["heartbeat"])
        return len(beats - {None}) >= 4

    wait_until(several, about=lambda: interop.messages(flow_run_id))
    go.touch()
    assert interop.wait_for_state(flow_run_id)["state"] == "Success", "\n".join(interop.messages(flow_run_id))
