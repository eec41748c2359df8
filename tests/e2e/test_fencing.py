"""A process whose claim is over: the API takes nothing from it, says so in the log of the run, and it stops."""

import json

import psutil
import pytest
from system_world import System, post, wait_until


@pytest.fixture(scope="module")
def system():
    with System() as it:
        it.start_server()
        it.flows = it.register("everyday.py")
        yield it


CLAIM = """mutation($agent: UUID!, $labels: [String!]) {
    claim_flow_runs(input: {agent_id: $agent, labels: $labels, limit: 1}) { flow_runs { id claim_token } } }"""
SET_FLOW_RUN = """mutation($id: UUID!, $state: JSON!) {
    set_flow_run_states(input: {states: [{flow_run_id: $id, state: $state}]}) { states { status } } }"""
SET_TASK_RUN = """mutation($id: UUID!, $state: JSON!) {
    set_task_run_states(input: {states: [{task_run_id: $id, state: $state}]}) { states { status } } }"""
LOG = """mutation($id: UUID!) {
    write_run_logs(input: {logs: [{flow_run_id: $id, message: "from the past", name: "x"}]}) { success } }"""
HEARTBEAT = "mutation($id: UUID!) { update_flow_run_heartbeat(input: {flow_run_id: $id}) { success } }"


def again(system, flow_run_id):
    """Let a person put the run back into the queue."""
    system.graphql(SET_FLOW_RUN, id=flow_run_id, state={"type": "Scheduled", "message": "again"})


def test_nothing_is_taken_from_a_process_with_an_old_token(system):
    mutation = 'mutation { register_agent(input: {type: "LocalAgent", labels: ["fence"]}) { id } }'
    agent_id = system.graphql(mutation)["register_agent"]["id"]
    flow_run_id = system.create_run(system.flows["quick"], labels=["fence"])
    tokens = []
    for _ in range(2):
        claim = system.graphql(CLAIM, agent=agent_id, labels=["fence"])["claim_flow_runs"]["flow_runs"]
        assert [run["id"] for run in claim] == [flow_run_id]
        tokens.append(claim[0]["claim_token"])
        if len(tokens) == 1:
            again(system, flow_run_id)
    old, current = tokens
    query = "query($id: uuid!) { task_run(where: {flow_run_id: {_eq: $id}}) { id version } }"
    task_run_id = system.graphql(query, id=flow_run_id)["task_run"][0]["id"]
    before = system.run(flow_run_id)
    writes = [
        (SET_FLOW_RUN, {"id": flow_run_id, "state": {"type": "Running"}}),
        (SET_FLOW_RUN, {"id": flow_run_id, "state": {"type": "Success"}}),
        (SET_TASK_RUN, {"id": task_run_id, "state": {"type": "Running"}}),
        (SET_TASK_RUN, {"id": task_run_id, "state": {"type": "Success"}}),
        (LOG, {"id": flow_run_id}),
        (HEARTBEAT, {"id": flow_run_id}),
    ]
    for query, variables in writes:
        body = json.dumps({"query": query, "variables": variables}).encode()
        _, answer = post(system.url, body, {"X-PREFECT-CLAIM-TOKEN": old}.items())
        codes = [error["extensions"]["code"] for error in answer.get("errors", [])]
        assert codes == ["VERSION_LOCKING_ERROR"], (query, answer)
    assert system.run(flow_run_id) == before
    messages = system.messages(flow_run_id)
    assert "from the past" not in messages
    assert any("claim" in message for message in messages), messages
    # the same of the one that has the run now
    for query, variables in [writes[0], writes[2], writes[3], *writes[4:], writes[1]]:
        system.graphql(query, headers={"X-PREFECT-CLAIM-TOKEN": current}.items(), **variables)
    assert system.run(flow_run_id)["state"] == "Success"


@pytest.mark.slow
def test_a_process_that_lost_its_run_stops_also_without_its_agent(system):
    """Frozen while the run was given to another one: what it does after that must not count."""
    first = system.start_agent("first")
    flow_run_id = system.create_run(system.flows["chatter"], parameters={"count": 100_000, "pause": 0.2})
    system.wait_for_message(flow_run_id, "line 100 of")
    stale = system.flow_process(flow_run_id)
    # the agent must not help
    first.popen.kill()
    first.popen.wait()
    stale.suspend()
    again(system, flow_run_id)
    system.start_agent("second")
    wait_until(lambda: system.messages(flow_run_id).count("line 0 of 100000") == 2)
    before = system.run(flow_run_id)
    stale.resume()
    gone, _ = psutil.wait_procs([stale], 30)
    assert gone, "the old process goes on"
    # the new process began the task again, and nothing has come between its lines
    lines = [line for line in system.stored_log(flow_run_id) if line.startswith("line ")]
    again_from = len(lines) - lines[::-1].index("line 0 of 100000") - 1
    assert lines[again_from:] == [f"line {number} of 100000" for number in range(len(lines) - again_from)]
    after = system.run(flow_run_id)
    assert after["states"] == before["states"]
    assert after["task_runs"] == before["task_runs"]
