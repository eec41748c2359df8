"""The main job with every part in a process of its own: runs are created, executed, and their logs stream back."""

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from system_world import System, post, processes_of, shown_lines


@pytest.fixture(scope="module")
def system():
    with System() as it:
        server = it.start_server()
        agent = it.start_agent(PREFECT__CLOUD__CHECK_CANCELLATION_INTERVAL="1")
        it.flows = it.register("everyday.py")
        demo = "import flowstead_cli.demo_flows as flows; print(*flows.__path__)"
        it.demo = subprocess.check_output([sys.executable, "-c", demo], text=True).strip()
        yield it
        assert agent.stop() == 0
        assert server.stop() == 0
        assert processes_of(it.folder) == []


def test_a_plain_post_starts_a_run(system):
    mutation = f'mutation {{ create_flow_run(input: {{ flow_id: "{system.flows["quick"]}" }}) {{ id }} }}'
    status, answer = post(system.url, json.dumps({"query": mutation}).encode())
    assert status == 200
    run = system.wait_for_state(answer["data"]["create_flow_run"]["id"])
    assert [state["state"] for state in run["states"]] == ["Scheduled", "Submitted", "Running", "Success"]


def test_watching_shows_log_and_states_and_ends_like_the_run(system):
    done = system.cli("run", "--name", "quick", "--param", "number=7", "--watch")
    assert "run number 7" in shown_lines(done.stdout)
    assert "Entered state <Success>" in done.stdout
    assert "Flow run succeeded!" in done.stdout
    done = system.cli("run", "--id", system.flows["failing"], "--watch", code=1)
    assert "Flow run failed!" in done.stdout
    assert "ValueError: meant to fail: ünï 🚀" in done.stdout
    assert "Traceback (most recent call last)" in done.stdout
    assert 'raise ValueError("meant to fail' in done.stdout


def test_watching_a_run_that_is_cancelled(system):
    path = system.folder / "never"
    watching = system.start("prefect", "run", "--name", "waiting", "--param", f'path="{path}"', "--watch")
    flow_run_id = watching.wait_for(r"UUID: (\S+)")[1]
    watching.wait_for(r"\| waiting$")
    query = "mutation($id: UUID!) { cancel_flow_run(input: {flow_run_id: $id}) { state } }"
    system.graphql(query, id=flow_run_id)
    assert watching.wait_end() == 1
    watching.wait_for("Flow run was cancelled")
    assert system.wait_for_state(flow_run_id)["state"] == "Cancelled"


@pytest.mark.parametrize(
    ("file", "name", "shown"),
    [
        ("hello_world.py", "hello-world", "Hello, world! (3 of 3)"),
        ("mapped.py", "mapped-squares", "The sum of 5 squares is 55."),
        ("retrying.py", "retrying", "attempt 3 succeeded"),
    ],
)
def test_the_flows_of_the_demo(system, file, name, shown):
    system.cli("create", "project", "demo", "--skip-if-exists")
    system.cli("register", "--project", "demo", "-p", f"{system.demo}/{file}")
    done = system.cli("run", "--project", "demo", "--name", name, "--watch")
    assert shown in shown_lines(done.stdout)


def test_mapped_children_are_task_runs(system):
    flow_run_id = system.create_run(system.flows["mapped"], parameters={"numbers": list(range(20))})
    run = system.wait_for_state(flow_run_id)
    assert run["state"] == "Success"
    children = [task for task in run["task_runs"] if task["map_index"] >= 0]
    assert sorted(child["map_index"] for child in children) == list(range(20))
    assert {child["state"] for child in children} == {"Success"}
    assert "sum 380" in system.messages(flow_run_id)


def test_a_task_is_retried_after_its_delay(system):
    flow_run_id = system.create_run(system.flows["flaky"])
    assert system.wait_for_state(flow_run_id)["state"] == "Success"
    messages = system.messages(flow_run_id)
    assert [line for line in messages if line.startswith("attempt")] == ["attempt 1", "attempt 2"]
    states = system.rows(
        "select s.state, s.timestamp from task_run_state s join task_run t on t.id = s.task_run_id "
        "where t.flow_run_id = $1::uuid order by s.version",
        flow_run_id,
    )
    running = [row["timestamp"] for row in states if row["state"] == "Running"]
    assert "Retrying" in [row["state"] for row in states]
    assert running[1] - running[0] >= timedelta(seconds=1)


def test_a_run_of_a_flow_group_and_of_a_version_group_and_of_a_key(system):
    flow_id = system.flows["quick"]
    flow = system.graphql("query($id: uuid!) { flow_by_pk(id: $id) { flow_group_id version_group_id } }", id=flow_id)[
        "flow_by_pk"
    ]
    query = "mutation($input: create_flow_run_input!) { create_flow_run(input: $input) { id } }"
    ids = set()
    for name, value in flow.items():
        created = system.graphql(query, input={name: value})["create_flow_run"]["id"]
        ids.add(created)
        assert system.wait_for_state(created)["state"] == "Success"
    assert len(ids) == 2
    first = system.create_run(flow_id, idempotency_key="once")
    assert system.create_run(flow_id, idempotency_key="once") == first
    assert system.wait_for_state(first)["state"] == "Success"
    done = system.cli("run", "--id", flow["flow_group_id"], "--run-name", "by-group", "--watch")
    assert "Name: by-group" in done.stdout


def test_a_run_starts_when_it_is_due(system):
    due = datetime.now(UTC) + timedelta(seconds=2)
    flow_run_id = system.create_run(system.flows["quick"], scheduled_start_time=due.isoformat())
    run = system.wait_for_state(flow_run_id)
    started = datetime.fromisoformat(run["start_time"])
    assert timedelta() <= started - due < timedelta(seconds=1)


def test_a_flow_without_tasks_succeeds(system):
    assert "Flow run succeeded!" in system.cli("run", "--name", "empty", "--watch").stdout


def test_a_value_too_large_to_be_stored_fails_its_run_and_says_so(system):
    """The state of a parameter holds its value, and a state may have a million bytes."""
    flow_run_id = system.create_run(system.flows["mapped"], parameters={"numbers": ["x" * 1_000_001]})
    assert system.wait_for_state(flow_run_id)["state"] == "Failed"
    assert any("payload is too large" in message for message in system.messages(flow_run_id))


def test_prints_of_a_task_are_log_lines_in_their_order(system):
    done = system.cli("run", "--name", "shouting", "--param", "count=2000", "--watch")
    shown = [line for line in shown_lines(done.stdout) if line.startswith("shouted")]
    assert shown == [f"shouted {number}" for number in range(2000)]


def test_a_failed_run_goes_on_where_it_failed(system):
    """The list was stored, its sum was not; the log of the first attempt is not shown again."""
    path = system.folder / "go on"
    done = system.cli("run", "--name", "going on", "--param", f'path="{path}"', "--run-name", "to go on", "-w", code=1)
    assert {"listing", "adding"} <= set(shown_lines(done.stdout))
    path.touch()
    done = system.cli("run", "--restart", "to go on", "--dry-run")
    for line in (
        "3 task run(s) would run again, 2 are kept.",
        "└── needs: they had failed",
        "└── shout: they had not run, or not to their end",
        "└── forgotten: their results are needed and were not stored",
    ):
        assert line in done.stdout.splitlines()
    done = system.cli("run", "--restart", "to go on", "--watch")
    assert "Flow run succeeded!" in done.stdout
    lines = shown_lines(done.stdout)
    assert "went on with 6" in lines
    assert "adding" in lines
    assert "listing" not in lines
    assert "Entered state <Failed>" not in done.stdout
    failed = system.cli("run", "--restart", "to go on", code=1)
    assert "has succeeded, so nothing of it has to run again" in failed.stderr


def test_strange_lines_are_kept_cut_or_marked_and_never_lose_others(system):
    flow_run_id = system.create_run(system.flows["strange 🚀 'quoted\""])
    assert system.wait_for_state(flow_run_id)["state"] == "Success"
    messages = [line for line in system.stored_log(flow_run_id) if not line.startswith(("Task ", "Beginning", "Flow"))]
    assert "" in messages
    assert "nul\ufffdinside 🚀 ünïcode \u202e" in messages
    assert "two\nlines" in messages
    assert any(line.startswith("lone ") for line in messages)
    (long,) = [line for line in messages if line.startswith("xxx")]
    assert 900_000 < len(long) < 1_000_100
    done = system.cli("run", "--id", system.flows["strange 🚀 'quoted\""], "--watch")
    assert "two\nlines" in done.stdout
    assert "ünïcode" in system.cli("get", "logs", "--id", flow_run_id).stdout


def test_flows_of_one_name_in_two_projects(system):
    other = system.register("everyday.py", project="another")
    assert other["quick"] != system.flows["quick"]
    failed = system.cli("run", "--name", "quick", code=1)
    assert "--project" in failed.stdout + failed.stderr
    done = system.cli("run", "--project", "another", "--name", "quick", "--watch")
    assert "Flow run succeeded!" in done.stdout
    # one name in one project again, for whoever comes next
    for flow_id in other.values():
        query = "mutation($id: UUID!) { archive_flow(input: {flow_id: $id}) { success } }"
        system.graphql(query, id=flow_id)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_watch_is_left_at_once_and_the_run_goes_on(system, number):
    path = system.folder / f"go-{number}"
    watching = system.start("prefect", "run", "--name", "waiting", "--param", f'path="{path}"', "--watch")
    flow_run_id = watching.wait_for(r"UUID: (\S+)")[1]
    watching.wait_for(r"\| waiting$")
    assert watching.stop(number, seconds=5) != 0
    assert "Traceback" not in watching.text
    assert system.run(flow_run_id)["state"] == "Running"
    path.touch()
    assert system.wait_for_state(flow_run_id)["state"] == "Success"
