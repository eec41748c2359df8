"""Runs whose API is away for longer than anybody waits: what they, and their agent, had to say arrives all the same."""

import json
import os
import signal
import socket
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
    """Starts agents, which end with the test."""
    yield world.start_agent
    while world.agents:
        world.agents.pop().stop(signal.SIGKILL)


def outbox(world, flow_run_id=""):
    return sorted((world.folder / "home" / "outbox").glob(f"{flow_run_id}*.jsonl"))


def until(condition, about=lambda: ""):
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, about()
        time.sleep(0.02)


class Run:
    """A run of an agent, and the files by which it is told to go on."""

    def __init__(self, world, folder, name, **env):
        self.path = folder / name
        self._world = world
        run_config = {"type": "LocalRun", "env": env}
        self.id = world.create_run(
            world.flow_id,
            parameters={"path": str(self.path)},
            run_config=run_config,
            labels=[socket.gethostname()],
        )

    def started(self):
        self._world.wait_for_log(self.id, "the task waits")
        line = self._world.wait_for_log(self.id, "Submitted for execution: PID: ")
        self.pid = int(line["message"].rsplit(" ", 1)[1])

    def may(self, what):
        Path(f"{self.path}.{what}").touch()

    def has_on_disk(self, text):
        until(lambda: any(text in file.read_text() for file in outbox(self._world, self.id)), self._world.logs)

    def ends(self, number=None):
        if number is not None:
            os.kill(self.pid, number)
        until(lambda: not alive(self.pid), self._world.logs)

    def answer(self):
        return self._world.wait_for_state(self.id)


def lines_of(run):
    return [line["message"] for line in run["logs"] if line["message"].startswith("line ")]


def states_of(run):
    return [entry["state"] for entry in run["states"]]


STORED = ["Scheduled", "Submitted", "Running", "Success"]


@pytest.fixture(scope="module")
def runs(world, tmp_path_factory):
    """One long outage, in which runs and their agent come to all kinds of ends; then the server and another agent."""
    folder = tmp_path_factory.mktemp("signs")
    first = world.start_agent()
    short = {"PREFECT__CLOUD__OUTAGE_SECONDS": "1"}
    impatient, restarted = Run(world, folder, "impatient", **short), Run(world, folder, "restarted", **short)
    told, killed, reported = (Run(world, folder, name) for name in ("told", "killed", "reported"))
    every = {"impatient": impatient, "restarted": restarted, "told": told, "killed": killed, "reported": reported}
    for run in every.values():
        run.started()
    world.server.stop(signal.SIGKILL)
    reported.ends(signal.SIGKILL)
    first.wait_for(f"{reported.id} is reported when the API is back")
    for run in every.values():
        run.may("away")
    for run in (impatient, restarted, told):
        run.may("go")
    # the log of this one is on disk, and it waits with the end of its task
    told.has_on_disk("Finished task run")
    told.ends(signal.SIGTERM)
    first.wait_for(f"{told.id} is reported when the API is back")
    impatient.ends()
    restarted.ends()
    killed.has_on_disk("still there")
    first.stop(signal.SIGKILL)
    killed.ends(signal.SIGKILL)
    every["files"] = {name: [file.name.split("-")[-4] for file in outbox(world, run.id)] for name, run in every.items()}
    world.start_server()
    assert world.run(impatient.id)["state"] == "Running"
    world.graphql(
        """mutation($id: UUID!, $state: JSON!) {
            set_flow_run_states(input: {states: [{flow_run_id: $id, state: $state}]}) { states { status } } }""",
        id=restarted.id,
        state={"type": "Scheduled", "message": "again"},
    )
    every["agent"] = world.start_agent()
    yield every
    while world.agents:
        world.agents.pop().stop(signal.SIGKILL)


def test_the_end_of_a_run_and_its_log_outlive_its_process_and_its_agent(world, runs):
    run = runs["impatient"].answer()
    assert (states_of(run), lines_of(run)) == (STORED, LINES)
    messages = [line["message"] for line in run["logs"]]
    assert "Flow run SUCCESS: all reference tasks succeeded" in messages
    assert any("The API is away for too long" in message for message in messages)
    query = "query($id: uuid!) { task_run(where: {flow_run_id: {_eq: $id}}) { state } }"
    task_runs = world.graphql(query, id=runs["impatient"].id)["task_run"]
    assert {task_run["state"] for task_run in task_runs} == {"Success"}
    assert runs["files"]["impatient"] == ["log", "run"]


def test_a_process_that_was_told_to_end_while_it_waited_left_what_it_knew(world, runs):
    run = runs["told"].answer()
    assert (states_of(run), lines_of(run)) == (STORED, LINES)
    # that its process ended with an exit code is no news then
    assert runs["files"]["told"] == ["log", "run", "agent"]
    until(lambda: outbox(world, runs["told"].id) == [])
    assert states_of(world.run(runs["told"].id)) == STORED


def test_a_process_that_was_killed_after_its_agent(world, runs):
    run = runs["killed"].answer()
    reason = f"The process of the flow run (PID {runs['killed'].pid}) was killed while the API was away."
    assert (run["state"], run["state_message"], lines_of(run)) == ("Failed", reason, LINES)
    assert reason in [line["message"] for line in run["logs"]]
    assert runs["files"]["killed"] == ["log"]


def test_what_an_agent_had_to_report_outlives_it(world, runs):
    run = runs["reported"].answer()
    assert run["state"] == "Failed"
    assert f"(PID {runs['reported'].pid}) was killed by SIGKILL" in run["state_message"]
    last = world.wait_for_log(runs["reported"].id, "The last of its output:")
    assert "printed by the process" in last["message"]


def test_what_was_kept_of_a_claim_that_ended_is_refused(world, runs):
    runs["agent"].wait_for(f"Flow run {runs['restarted'].id} belongs to another process by now")
    assert states_of(runs["restarted"].answer())[-4:] == STORED
    until(lambda: outbox(world) == [], world.logs)


def test_a_process_that_outlives_the_outage_sends_everything_itself(world, agent, tmp_path):
    agent()
    run = Run(world, tmp_path, "patient")
    run.started()
    world.server.stop(signal.SIGKILL)
    run.may("away")
    run.has_on_disk("still there")
    world.start_server()
    run.may("go")
    answer = run.answer()
    assert (states_of(answer), lines_of(answer)) == (STORED, LINES)
    assert outbox(world, run.id) == []


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
