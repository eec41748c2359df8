"""Runs whose API is away for longer than anybody waits: what they, and their agent, had to say arrives all the same."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from agent_world import DEADLINE, World, alive
from postgres_fixtures import _new_database

FLOW = """
    import time
    from pathlib import Path

    import prefect
    from prefect import Flow, Parameter, task

    @task
    def wait(path):
        logger = prefect.context.get("logger")
        print("printed by the process", flush=True)
        logger.info("the task waits")
        deadline = time.monotonic() + 60
        while not Path(path + ".away").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        for number in range(500):
            logger.info("line %d", number)
        while not Path(path + ".go").exists() and time.monotonic() < deadline:
            logger.info("still there")
            time.sleep(0.2)

    with Flow("outage") as flow:
        wait(Parameter("path"))
"""
LINES = [f"line {number}" for number in range(500)]


@pytest.fixture(scope="module")
def world(tmp_path_factory, postgres, template_database):
    databases = _new_database(postgres, template_database)
    it = World(tmp_path_factory.mktemp("outage"), next(databases))
    it.env["PREFECT__CLOUD__LOGGING_HEARTBEAT"] = "0.3"
    it.start_server()
    it.flow_id = it.register(FLOW, "outage")
    yield it
    it.close()
    next(databases, None)


@pytest.fixture
def agent(world):
    """Starts agents, which end with the test; the server is there again after it."""
    yield world.start_agent
    while world.agents:
        world.agents.pop().stop(signal.SIGKILL)
    if world.server.popen.poll() is not None:
        world.start_server()


def outbox(world):
    return sorted((world.folder / "home" / "outbox").glob("*.jsonl"))


def until(condition, about=lambda: ""):
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, about()
        time.sleep(0.02)


def cut_off(world, tmp_path):
    """Start a run and take its API away; returns the run, its process and the beginning of its paths."""
    path = tmp_path / "signs"
    flow_run_id = world.create_run(world.flow_id, parameters={"path": str(path)})
    world.wait_for_log(flow_run_id, "the task waits")
    pid = int(world.wait_for_log(flow_run_id, "Submitted for execution: PID: ")["message"].rsplit(" ", 1)[1])
    world.server.stop(signal.SIGKILL)
    Path(f"{path}.away").touch()
    return flow_run_id, pid, path


def lines_of(run):
    return [line["message"] for line in run["logs"] if line["message"].startswith("line ")]


def test_the_end_of_a_run_and_its_log_outlive_its_process_and_its_agent(world, agent, tmp_path):
    first = agent(PREFECT__CLOUD__OUTAGE_SECONDS="1")
    flow_run_id, pid, path = cut_off(world, tmp_path)
    Path(f"{path}.go").touch()
    until(lambda: not alive(pid), first.text.__str__)
    assert [file.name.split("-")[-4] for file in outbox(world)], outbox(world)
    first.stop(signal.SIGKILL)
    world.start_server()
    assert world.run(flow_run_id)["state"] == "Running"
    agent().wait_for("Sent what was kept in 2 file")
    run = world.wait_for_state(flow_run_id)
    assert [entry["state"] for entry in run["states"]] == ["Scheduled", "Submitted", "Running", "Success"]
    assert lines_of(run) == LINES
    assert "Flow run SUCCESS: all reference tasks succeeded" in [line["message"] for line in run["logs"]]
    assert any("The API is away for too long" in line["message"] for line in run["logs"])
    query = "query($id: uuid!) { task_run(where: {flow_run_id: {_eq: $id}}) { state } }"
    assert {task_run["state"] for task_run in world.graphql(query, id=flow_run_id)["task_run"]} == {"Success"}
    assert outbox(world) == []


def test_a_process_that_outlives_the_outage_sends_everything_itself(world, agent, tmp_path):
    agent()
    flow_run_id, _, path = cut_off(world, tmp_path)
    until(lambda: any("still there" in file.read_text() for file in outbox(world)))
    world.start_server()
    Path(f"{path}.go").touch()
    run = world.wait_for_state(flow_run_id)
    assert (run["state"], lines_of(run)) == ("Success", LINES)
    assert outbox(world) == []


def test_a_process_and_an_agent_that_are_killed_in_an_outage(world, agent, tmp_path):
    first = agent()
    flow_run_id, pid, _ = cut_off(world, tmp_path)
    until(lambda: any("still there" in file.read_text() for file in outbox(world)))
    first.stop(signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid))
    world.start_server()
    agent()
    run = world.wait_for_state(flow_run_id)
    reason = f"The process of the flow run (PID {pid}) was killed while the API was away."
    assert (run["state"], run["state_message"]) == ("Failed", reason)
    assert lines_of(run) == LINES
    assert reason in [line["message"] for line in run["logs"]]
    assert outbox(world) == []


def test_what_an_agent_has_to_report_outlives_it(world, agent, tmp_path):
    first = agent()
    flow_run_id, pid, _ = cut_off(world, tmp_path)
    os.kill(pid, signal.SIGKILL)
    first.wait_for(f"{flow_run_id} is reported when the API is back")
    first.stop(signal.SIGKILL)
    (file,) = [file for file in outbox(world) if "-agent-" in file.name]
    assert json.loads(file.read_text().splitlines()[1])["died"]
    world.start_server()
    agent()
    run = world.wait_for_state(flow_run_id)
    assert run["state"] == "Failed"
    assert f"(PID {pid}) was killed by SIGKILL" in run["state_message"]
    assert "printed by the process" in world.wait_for_log(flow_run_id, "The last of its output:")["message"]


def test_what_was_kept_of_a_claim_that_ended_is_refused(world, agent, tmp_path):
    first = agent(PREFECT__CLOUD__OUTAGE_SECONDS="1")
    flow_run_id, pid, path = cut_off(world, tmp_path)
    Path(f"{path}.go").touch()
    until(lambda: not alive(pid))
    first.stop(signal.SIGKILL)
    world.start_server()
    # somebody restarts the run meanwhile
    world.graphql(
        """mutation($id: UUID!, $state: JSON!) {
            set_flow_run_states(input: {states: [{flow_run_id: $id, state: $state}]}) { states { status } } }""",
        id=flow_run_id,
        state={"type": "Scheduled", "message": "again"},
    )
    second = agent()
    second.wait_for(f"Flow run {flow_run_id} belongs to another process by now")
    run = world.wait_for_state(flow_run_id)
    assert [entry["state"] for entry in run["states"]][-4:] == ["Scheduled", "Submitted", "Running", "Success"]
    assert outbox(world) == []


def test_damaged_files_and_files_for_others_harm_nobody(world, agent):
    folder = world.folder / "home" / "outbox"
    folder.mkdir(exist_ok=True)
    (folder / "11111111-1111-1111-1111-111111111111.0-log-1.jsonl").write_bytes(b"\0\0\0")
    head = {"outbox": 1, "pid": 1, "main": False, "flow_run_id": "2", "tenant_id": None, "claim_token": None}
    other = folder / "2.0-log-1.jsonl"
    other.write_text(json.dumps({**head, "api": "http://elsewhere:4200"}) + '\n{"flow_state": {}}\n')
    bad = folder / "3.0-log-1.jsonl"
    bad.write_text(
        json.dumps({**head, "api": world.url})
        + '\n{"flow_state": {"type": "Nonsense"}}\n{"logs": 5, "batch_id": "x"}\n{"task_states": [{}]}\n{"what": 1}\n'
    )
    one = agent()
    one.wait_for(r"11111111-.*cannot be read .*it is kept as .*\.unreadable")
    one.wait_for("is not taken by the API")
    until(lambda: outbox(world) == [other], one.text.__str__)
    other.unlink()
