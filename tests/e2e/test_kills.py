"""Every process of the system killed at a bad moment: runs end as they must, once, with nothing lost from the log."""

import os
import signal
from datetime import UTC, datetime, timedelta

import psutil
import pytest
from system_world import System, processes_of, shown_lines, wait_until


@pytest.fixture(scope="module")
def whole_system():
    with System() as it:
        it.server = it.start_server()
        it.flows = it.register("everyday.py")
        it.agent = None
        yield it


@pytest.fixture
def system(whole_system, tmp_path):
    """A server and an agent; tests that kill one of them leave another in its place, or none."""
    it = whole_system
    it.go = tmp_path / "go"
    assert it.answers()
    if it.agent is None or it.agent.popen.poll() is not None:
        it.agent = it.start_agent()
    return it


def waiting_run(system):
    """Start a run that goes on until its file appears."""
    flow_run_id = system.create_run(system.flows["waiting"], parameters={"path": str(system.go)})
    system.wait_for_message(flow_run_id, "waiting")
    return flow_run_id, system.go


def assert_whole(system, flow_run_id, lines=3000):
    """Insist on a successful run whose log has every line once, in order."""
    run = system.wait_for_state(flow_run_id)
    assert run["state"] == "Success", run
    stored = system.stored_log(flow_run_id)
    written = [line for line in stored if line.startswith("line ")]
    assert written == [f"line {number} of {lines}" for number in range(lines)]
    assert system.history(flow_run_id) == ["Scheduled", "Submitted", "Running", "Success"]


def test_a_run_goes_on_without_its_agent(system):
    flow_run_id, path = waiting_run(system)
    process = system.flow_process(flow_run_id)
    system.agent.stop(signal.SIGKILL)
    system.agent = system.start_agent("next")
    path.touch()
    assert system.wait_for_state(flow_run_id)["state"] == "Success"
    assert system.history(flow_run_id) == ["Scheduled", "Submitted", "Running", "Success"]
    assert system.messages(flow_run_id).count("the file is there") == 1
    # the new agent works, and what was the old one's has ended
    other = system.create_run(system.flows["quick"])
    assert system.wait_for_state(other)["state"] == "Success"
    psutil.wait_procs([process], 20)
    assert not process.is_running()
    wait_until(lambda: len([p for p in processes_of(system.folder) if "fork_server" in " ".join(p.cmdline())]) == 1)


@pytest.mark.slow
def test_what_an_agent_claimed_and_never_started_is_started_once_by_the_next(system):
    due = datetime.now(UTC) + timedelta(seconds=5)
    ids = [
        system.create_run(system.flows["quick"], scheduled_start_time=due.isoformat(), parameters={"number": number})
        for number in range(5)
    ]
    for flow_run_id in ids:
        system.wait_for_state(flow_run_id, {"Submitted"})
    system.agent.stop(signal.SIGKILL)
    # the claims end in 15 seconds otherwise
    assert system.rows("update flow_run set queue_time = now() where state = 'Submitted' returning id")
    system.agent = system.start_agent("next")
    for number, flow_run_id in enumerate(ids):
        assert system.wait_for_state(flow_run_id)["state"] == "Success"
        assert system.history(flow_run_id).count("Running") == 1
        assert system.messages(flow_run_id).count(f"run number {number}") == 1


def test_a_killed_flow_process_fails_its_run_within_seconds(system):
    watching = system.start("prefect", "run", "--name", "waiting", "--param", 'path="/nowhere"', "--watch")
    flow_run_id = watching.wait_for(r"UUID: (\S+)")[1]
    watching.wait_for(r"\| waiting$")
    system.flow_process(flow_run_id).kill()
    run = system.wait_for_state(flow_run_id, seconds=10)
    assert run["state"] == "Failed"
    assert "SIGKILL" in run["state_message"]
    assert watching.wait_end() == 1
    assert "SIGKILL" in watching.text


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["server", "postmaster", "backends"])
def test_runs_and_watchers_ride_out_a_crash(system, victim):
    watching = system.start("prefect", "run", "--name", "chatter", "--watch")
    flow_run_id = watching.wait_for(r"UUID: (\S+)")[1]
    watching.wait_for(r"\| line 700 of 3000$")
    if victim == "server":
        system.server.popen.kill()
        system.server.popen.wait()
        system.server = system.start_server()
    elif victim == "postmaster":
        first = system.postmaster()
        first.kill()
        wait_until(lambda: "runs again" in system.server.text, about=system.text)
        assert system.postmaster().pid != first.pid
    else:
        # PostgreSQL then ends all connections and recovers by itself
        for backend in system.postmaster().children():
            if "postgres: postgres" in " ".join(backend.cmdline()):
                backend.kill()
                break
    assert watching.wait_end() == 0, watching.text
    assert_whole(system, flow_run_id)
    shown = [line for line in shown_lines(watching.text) if line.startswith("line ")]
    assert shown == [f"line {number} of 3000" for number in range(3000)]
    # everybody is there for the next one
    other = system.create_run(system.flows["quick"])
    assert system.wait_for_state(other)["state"] == "Success"
    wait_until(system.answers)


def test_a_stopped_agent_hands_back_and_leaves_runs_alone(system):
    flow_run_id, path = waiting_run(system)
    due = datetime.now(UTC) + timedelta(seconds=4)
    later = system.create_run(system.flows["quick"], scheduled_start_time=due.isoformat())
    system.wait_for_state(later, {"Submitted"})
    assert system.agent.stop(signal.SIGTERM) == 0
    assert system.run(later)["state"] == "Scheduled"
    assert system.run(flow_run_id)["state"] == "Running"
    path.touch()
    assert system.wait_for_state(flow_run_id)["state"] == "Success"
    system.agent = system.start_agent("next")
    run = system.wait_for_state(later)
    assert run["state"] == "Success"
    assert [state["state"] for state in run["states"]].count("Running") == 1


def test_a_frozen_postgres_is_waited_for(system):
    """Freezing is how a machine looks that swaps or whose disk hangs: nothing is refused, nothing answers."""
    flow_run_id, path = waiting_run(system)
    flow_process = system.flow_process(flow_run_id)
    processes = [system.postmaster(), *system.postmaster().children()]
    for process in processes:
        os.kill(process.pid, signal.SIGSTOP)
    path.touch()
    # the flow process cannot report; give it the time to try
    with pytest.raises(psutil.TimeoutExpired):
        flow_process.wait(3)
    for process in processes:
        os.kill(process.pid, signal.SIGCONT)
    assert system.wait_for_state(flow_run_id)["state"] == "Success"
    assert system.history(flow_run_id) == ["Scheduled", "Submitted", "Running", "Success"]
