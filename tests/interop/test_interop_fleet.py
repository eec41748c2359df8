"""Agents of both generations on one queue: every run is started exactly once, whoever gets it."""

import re

import pytest
from agent_world import free_port
from interop_world import FLOWS
from system_world import wait_until

RUNS = 200


@pytest.mark.timeout(300)
def test_200_runs_in_a_mixed_fleet_start_exactly_once(interop):
    """1.4.1's agent reports only, so that its share costs no processes; ours executes its share in earnest."""
    interop.graphql('mutation { create_project(input: {name: "fleet"}) { id } }')
    registered = interop.cli(
        "register", "--project", "fleet", "-p", str(FLOWS / "shared.py"), "--name", "saying", "--label", "fleet"
    )
    flow_id = re.search(r"ID: (\S+)", registered.stdout)[1]
    mutation = " ".join(
        f'r{number}: create_flow_run(input: {{flow_id: "{flow_id}", labels: ["fleet"], '
        f'idempotency_key: "fleet {number}"}}) {{ id }}'
        for number in range(50)
    )
    start = "mutation { " + mutation + " }"
    address = f"http://127.0.0.1:{free_port()}"
    old = interop.start_process([interop.old_python, str(FLOWS / "counting_agent.py"), "old-fleet", address])
    new = interop.start_new_agent("fleet", name="new-fleet")
    old.wait_for("Waiting for flow runs")
    ids = set()
    for batch in range(RUNS // 50):
        text = start.replace('"fleet ', f'"fleet {batch} ')
        ids |= {row["id"] for row in interop.graphql(text).values()}
    assert len(ids) == RUNS

    def finished():
        count = "select count(*) as n from flow_run where flow_id = $1::uuid and state in ('Success', 'Failed')"
        return interop.rows(count, flow_id)[0]["n"] == RUNS

    wait_until(finished, 150, interop.text)
    rows = interop.rows(
        """select s.state, count(*) as entries, count(distinct s.flow_run_id) as runs
           from flow_run_state s join flow_run f on f.id = s.flow_run_id
           where f.flow_id = $1::uuid group by s.state""",
        flow_id,
    )
    counts = {row["state"]: (row["entries"], row["runs"]) for row in rows}
    assert counts == dict.fromkeys(("Scheduled", "Submitted", "Running", "Success"), (RUNS, RUNS))
    shares = interop.rows(
        """select a.name, count(*) as n from flow_run f join agent a on a.id = f.agent_id
           where f.flow_id = $1::uuid group by a.name""",
        flow_id,
    )
    assert {row["name"] for row in shares} == {"old-fleet", "new-fleet"}
    for agent in (old, new):
        agent.stop(2)
