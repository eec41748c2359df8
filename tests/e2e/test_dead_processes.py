"""Processes of runs that die or freeze with nobody beside them, and a server that could not hear (§5.8)."""

import os
import signal
from datetime import UTC, datetime

import psutil
import pytest
from system_world import System, wait_until

LIMIT = 4
ENV = {
    "PREFECT__SERVER__HEARTBEAT_LIMIT": str(LIMIT),
    "PREFECT__SERVER__SERVICES__ZOMBIE_REAPER_INTERVAL": "0.3",
    "PREFECT__SERVER__SERVICES__LAZARUS_INTERVAL": "0.3",
    "PREFECT__CLOUD__HEARTBEAT_INTERVAL": "0.3",
    # the watchdog of the mode "process" has tests of its own
    "PREFECT__CLOUD__HEARTBEAT_MODE": "thread",
}
WRITTEN = "No heartbeat detected from the remote task"


@pytest.fixture(scope="module")
def system():
    with System() as it:
        it.env |= ENV
        it.server = it.start_server()
        it.flows = it.register("everyday.py")
        yield it


def kill(process):
    process.popen.kill()
    process.popen.wait()


def said(system, flow_run_id, part):
    return [message for message in system.messages(flow_run_id) if part in message]


def test_a_run_whose_process_and_agent_are_killed_is_put_back_once_and_says_why(system):
    agent = system.start_agent("first")
    flow_run_id = system.create_run(system.flows["waiting"], parameters={"path": "/nowhere"})
    cancelled_id = system.create_run(system.flows["waiting"], parameters={"path": "/nowhere"})
    processes = []
    for each in (flow_run_id, cancelled_id):
        wait_until(lambda each=each: "waiting" in system.messages(each), about=system.text)
        processes.append(system.flow_process(each))
    kill(agent)
    for process in processes:
        process.kill()
    system.cli("cancel", cancelled_id)
    assert system.run(cancelled_id)["state"] == "Cancelling"
    system.wait_for_state(flow_run_id, {"Scheduled"})
    system.wait_for_state(cancelled_id, {"Cancelled"})
    assert len(said(system, cancelled_id, "marking the run as cancelled")) == 1
    (why,) = said(system, flow_run_id, WRITTEN)
    assert "the agent 'first'" in why
    assert f"the limit is {LIMIT} s" in why
    second = system.start_agent("second")
    run = system.wait_for_state(flow_run_id)
    kill(second)
    assert run["state"] == "Failed"
    assert system.history(flow_run_id) == [*["Scheduled", "Submitted", "Running"] * 2, "Failed"]
    assert len(said(system, flow_run_id, WRITTEN)) == 1
    assert len(said(system, flow_run_id, "Rescheduled by a Lazarus process. This is attempt 1.")) == 1
    assert system.messages(flow_run_id).count("waiting") == 1


def test_a_process_that_was_frozen_too_long_is_not_listened_to_any_more(system):
    agent = system.start_agent("first")
    flow_run_id = system.create_run(system.flows["persistent"])
    system.wait_for_message(flow_run_id, "line 100 of")
    stale = system.flow_process(flow_run_id)
    # the agent must not help
    kill(agent)
    stale.suspend()
    system.wait_for_message(flow_run_id, "This will be retry 1 of 1.")
    # a run whose tasks wait is given away when it was silent for 40 seconds
    system.rows("update flow_run_heartbeat set heartbeat = heartbeat - interval '40 seconds'")
    second = system.start_agent("second")
    wait_until(lambda: system.messages(flow_run_id).count("line 0 of 100000") == 2, about=system.text)
    stale.resume()
    gone, _ = psutil.wait_procs([stale], 30)
    assert gone, "the old process goes on"
    lines = [line for line in system.stored_log(flow_run_id) if line.startswith("line ")]
    again_from = len(lines) - lines[::-1].index("line 0 of 100000") - 1
    assert lines[again_from:] == [f"line {number} of 100000" for number in range(len(lines) - again_from)]
    assert system.history(flow_run_id) == ["Scheduled", "Submitted", "Running"]
    assert [run["state"] for run in system.run(flow_run_id)["task_runs"]] == ["Running"]
    kill(second)


def test_nobody_dies_of_a_server_that_could_not_hear(system):
    agent = system.start_agent("first")
    path = system.folder / "go"
    flow_run_id = system.create_run(system.flows["waiting"], parameters={"path": str(path)})
    wait_until(lambda: "waiting" in system.messages(flow_run_id), about=system.text)
    process = system.flow_process(flow_run_id)
    os.kill(system.server.popen.pid, signal.SIGSTOP)
    with pytest.raises(psutil.TimeoutExpired):
        process.wait(LIMIT + 1)
    thawed = datetime.now(UTC)
    os.kill(system.server.popen.pid, signal.SIGCONT)
    wait_until(lambda: system.rows("select from heartbeat_reception where receiving_since >= $1", thawed))
    wait_until(
        lambda: system.rows(
            "select from flow_run_heartbeat h, heartbeat_reception r where h.flow_run_id = $1::uuid "
            f"and h.heartbeat > now() - interval '1 second' and r.receiving_since < now() - interval '{LIMIT} seconds'",
            flow_run_id,
        )
    )
    path.touch()
    assert system.wait_for_state(flow_run_id)["state"] == "Success"
    assert system.history(flow_run_id) == ["Scheduled", "Submitted", "Running", "Success"]
    assert said(system, flow_run_id, "heartbeat") == []
    kill(agent)
