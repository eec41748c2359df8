"""Agents and processes of 1.4.1 under concurrency limits, beside ours."""

import re

import pytest
from interop_world import FLOWS
from system_world import wait_until

# How many runs were live at the same time, by their history.
MOST = """
with changes as (
    select s.timestamp, live::integer - coalesce(
        lag(live::integer) over (partition by s.flow_run_id order by s.seq), 0
    ) as change
    from flow_run_state s
    join flow_run f on f.id = s.flow_run_id and f.flow_id = $1::uuid
    cross join lateral (select s.state in ('Submitted', 'Running', 'Cancelling') as live) l
)
select max(live) as most from (select sum(change) over (order by timestamp, change) as live from changes) counted
"""


@pytest.mark.timeout(300)
def test_a_mixed_fleet_keeps_a_limit(interop):
    interop.graphql('mutation { create_project(input: {name: "limited"}) { id } }')
    out = interop.cli("register", "--project", "limited", "-p", str(FLOWS / "shared.py"), "--name", "saying").stdout
    flow_id = re.search(r"ID: (\S+)", out)[1]
    interop.graphql('mutation { update_flow_concurrency_limit(input: {label: "limited", limit: 2}) { id } }')
    interop.start_old_agent("limited", name="old-limited")
    interop.start_old_agent("limited", name="old-limited-too")
    interop.start_new_agent("limited", name="new-limited")
    mutation = " ".join(
        f'r{number}: create_flow_run(input: {{flow_id: "{flow_id}", labels: ["limited"]}}) {{ id }}'
        for number in range(9)
    )
    interop.graphql("mutation { " + mutation + " }")
    interop.poke()
    statement = "select count(*) as n from flow_run where flow_id = $1::uuid and state = 'Success'"
    wait_until(lambda: interop.rows(statement, flow_id)[0]["n"] == 9, 200, interop.text)
    assert interop.rows(MOST, flow_id)[0]["most"] == 2


@pytest.mark.timeout(300)
def test_a_process_of_1_4_1_waits_for_its_slot(interop, library):
    """It is answered `QUEUED`, for its flow run and for its task run, and asks again."""
    interop.graphql('mutation { update_flow_concurrency_limit(input: {label: "one", limit: 1}) { id } }')
    interop.graphql('mutation { update_task_tag_limit(input: {tag: "one", limit: 1}) { id } }')
    library.run("from prefect import Flow, task")
    library.run("from prefect.engine.state import Running, Submitted, Success")
    library.run("with Flow('one') as flow: task(lambda: 1, name='work', tags=['one'])()")
    library.run("client.create_project('one at a time')")
    library.run("flow_id = flow.register('one at a time', no_url=True, build=False, labels=['one'])")
    library.run("runs = [client.create_flow_run(flow_id=flow_id, labels=['one']) for _ in range(3)]")
    library.run("first = client.set_flow_run_state(runs[0], state=Submitted(state=client.get_flow_run_state(runs[0])))")
    library.run("client.set_flow_run_state(runs[0], state=Running())")
    assert library.get("type(client.set_flow_run_state(runs[1], state=Running())).__name__") == "Queued"
    library.run("queued = client.set_flow_run_state(runs[2], state=Submitted())")
    assert library.get("[type(queued).__name__, queued.message]") == [
        "Queued",
        "Waits for a free slot: label 'one' (1).",
    ]
    assert library.get("client.get_flow_run_state(runs[2]).is_queued()") is True
    library.run("client.set_flow_run_state(runs[0], state=Success())")
    assert library.get("type(client.set_flow_run_state(runs[1], state=Running())).__name__") == "Running"
    interop.graphql('mutation { update_flow_concurrency_limit(input: {label: "one", limit: 3}) { id } }')
    assert library.get("type(client.set_flow_run_state(runs[2], state=Running())).__name__") == "Running"
    library.run("tasks = [client.get_flow_run_info(run).task_runs[0].id for run in runs[1:]]")
    assert library.get("type(client.set_task_run_state(tasks[0], state=Running())).__name__") == "Running"
    assert library.get("type(client.set_task_run_state(tasks[1], state=Running())).__name__") == "Queued"
    library.run("client.set_task_run_state(tasks[0], state=Success())")
    assert library.get("type(client.set_task_run_state(tasks[1], state=Running())).__name__") == "Running"
