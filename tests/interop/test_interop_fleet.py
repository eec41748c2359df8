"""Agents of both generations on one queue: every run is started exactly once, whoever gets it."""

import re
import signal

import pytest
from agent_world import free_port
from interop_world import FLOWS
from system_world import wait_until

STATES = ("Scheduled", "Submitted", "Running", "Success")


def register(interop, project):
    """Register the flow `saying` in a project of its own."""
    interop.graphql(f'mutation {{ create_project(input: {{name: "{project}"}}) {{ id }} }}')
    out = interop.cli("register", "--project", project, "-p", str(FLOWS / "shared.py"), "--name", "saying").stdout
    return re.search(r"ID: (\S+)", out)[1]


def create(interop, flow_id, label, count):
    """Create runs in one request and tell the agents of 1.4.1 at once, as ours are."""
    mutation = " ".join(
        f'r{number}: create_flow_run(input: {{flow_id: "{flow_id}", labels: ["{label}"]}}) {{ id }}'
        for number in range(count)
    )
    created = {row["id"] for row in interop.graphql("mutation { " + mutation + " }").values()}
    interop.poke()
    assert len(created) == count


def wait_for_all(interop, flow_id, count):
    """Return when so many runs of a flow are finished."""
    statement = "select count(*) as n from flow_run where flow_id = $1::uuid and state in ('Success', 'Failed')"
    wait_until(lambda: interop.rows(statement, flow_id)[0]["n"] == count, 150, interop.text)


def shares_of_runs_that_started_once(interop, flow_id, count):
    """Insist that each run went through its states once, and return how many each agent had."""
    rows = interop.rows(
        """select s.state, count(*) as entries, count(distinct s.flow_run_id) as runs
           from flow_run_state s join flow_run f on f.id = s.flow_run_id
           where f.flow_id = $1::uuid group by s.state""",
        flow_id,
    )
    assert {row["state"]: (row["entries"], row["runs"]) for row in rows} == dict.fromkeys(STATES, (count, count))
    rows = interop.rows(
        """select a.name, count(*) as n from flow_run f join agent a on a.id = f.agent_id
           where f.flow_id = $1::uuid group by a.name""",
        flow_id,
    )
    return {row["name"]: row["n"] for row in rows}


@pytest.mark.timeout(300)
def test_200_runs_in_a_mixed_fleet_start_exactly_once(interop):
    """1.4.1's agent reports only, so that its share costs no processes; ours executes its share in earnest."""
    flow_id = register(interop, "fleet")
    port = free_port()
    arguments = [str(FLOWS / "counting_agent.py"), "old-fleet", f"http://127.0.0.1:{port}"]
    old = interop.start_process([interop.old_python, *arguments])
    new = interop.start_new_agent("fleet", name="new-fleet")
    old.wait_for("Waiting for flow runs")
    interop.pokes.append(port)
    for _ in range(4):
        create(interop, flow_id, "fleet", 50)
    wait_for_all(interop, flow_id, 200)
    shares = shares_of_runs_that_started_once(interop, flow_id, 200)
    assert set(shares) == {"old-fleet", "new-fleet"}
    assert sum(shares.values()) == 200
    for agent in (old, new):
        assert agent.stop(signal.SIGINT) == 0


@pytest.mark.timeout(300)
def test_a_mixed_fleet_of_unmodified_agents(interop):
    """Both start processes; each process says in the log of its run that it was there."""
    flow_id = register(interop, "small fleet")
    agents = [
        interop.start_old_agent("small", name="old-small"),
        interop.start_new_agent("small", name="new-small"),
    ]
    for _ in range(4):
        create(interop, flow_id, "small", 5)
    wait_for_all(interop, flow_id, 20)
    assert sum(shares_of_runs_that_started_once(interop, flow_id, 20).values()) == 20

    def said():
        rows = interop.rows(
            "select l.flow_run_id, count(*) as n from log l join flow_run f on f.id = l.flow_run_id "
            "where f.flow_id = $1::uuid and l.message = 'said nothing' group by l.flow_run_id",
            flow_id,
        )
        return len(rows) == 20 and [row["n"] for row in rows]

    assert wait_until(said, about=interop.text) == [1] * 20
    for agent in agents:
        assert agent.stop(signal.SIGINT) == 0
