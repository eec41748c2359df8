"""When a run is dead and what becomes of it (§5.8): the decisions, with the clock in the facts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from flowstead_server.domain.liveness import (
    LivenessRules,
    Reception,
    RunningTask,
    RunSigns,
    reap,
    resurrect,
    what_was_seen,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
RULES = LivenessRules(timedelta(minutes=10), attempts=10)
TOKEN = UUID(int=9)


def ago(seconds):
    return NOW - timedelta(seconds=seconds)


TASK = RunningTask(UUID(int=2), 5, "extract", 0, 0, timedelta(seconds=30), None)
DEAD = RunSigns(
    id=UUID(int=1),
    tenant_id=UUID(int=3),
    state="Running",
    version=4,
    claim_token=TOKEN,
    label_set_id=1,
    agent_name="night",
    lease_until=None,
    heartbeat=ago(600),
    beats=True,
    followed=ago(200),
    heartbeat_enabled=True,
    lazarus_enabled=True,
    times_resurrected=0,
    waiting_task_runs=0,
    running_tasks=[TASK],
    reception=Reception(ago(3600), ago(5)),
    now=NOW,
)
LOST = replace(DEAD, running_tasks=[])
ALIVE = [
    {"heartbeat": ago(599)},
    {"heartbeat": None},
    {"heartbeat_enabled": False},
    # nobody could hear it for a part of the time
    {"reception": None},
    {"reception": Reception(ago(599), ago(5))},
    {"reception": Reception(ago(3600), ago(31))},
    # its heartbeats are off, but its agent says that it is there
    {"beats": False, "followed": ago(20)},
]


@pytest.mark.parametrize("members", ALIVE)
def test_who_may_live_is_left_alone(members):
    assert reap(replace(DEAD, **members), RULES) is None
    assert reap(replace(DEAD, state="Cancelling", **members), RULES) is None
    assert resurrect(replace(LOST, **members), RULES) is None


def test_a_task_run_without_retries_fails():
    (task,) = reap(DEAD, RULES).tasks
    assert task.state == "Failed"
    assert task.message == (
        f"No heartbeat detected from the remote task; marking the task run {TASK.id} (extract) as failed."
    )
    assert reap(DEAD, RULES).state is None


@pytest.mark.parametrize(
    ("retries", "flow_state", "state"),
    [(0, "Running", "Retrying"), (1, "Running", "Retrying"), (2, "Running", "Failed"), (0, "Failed", "Failed")],
)
def test_a_task_run_is_retried_while_it_has_retries_and_its_flow_runs(retries, flow_state, state):
    task = replace(TASK, retries=retries, max_retries=2)
    (verdict,) = reap(replace(DEAD, state=flow_state, running_tasks=[task]), RULES).tasks
    assert verdict.state == state
    if state == "Retrying":
        assert verdict.message.endswith(f"retrying the run.This will be retry {retries + 1} of 2.")
        assert verdict.run_count == retries + 1
        assert verdict.start_time == NOW + timedelta(seconds=30)


def test_a_run_that_was_being_cancelled_ends_cancelled():
    verdict = reap(replace(DEAD, state="Cancelling"), RULES)
    assert (verdict.state, verdict.tasks) == ("Cancelled", ())


def test_what_is_frozen_is_dead_although_its_agent_sees_it():
    assert reap(replace(DEAD, followed=ago(5)), RULES) is not None


@pytest.mark.parametrize("state", ["Submitted", "Running"])
def test_a_lost_run_is_put_back_and_at_last_failed(state):
    verdict = resurrect(replace(LOST, state=state, times_resurrected=9), RULES)
    assert (verdict.state, verdict.message) == ("Scheduled", "Rescheduled by a Lazarus process.")
    verdict = resurrect(replace(LOST, state=state, times_resurrected=10), RULES)
    assert verdict.state == "Failed"
    assert "10 times without success" in verdict.message


@pytest.mark.parametrize(
    "members",
    [
        {"lazarus_enabled": False},
        {"running_tasks": [TASK]},
        {"waiting_task_runs": 1},
        {"state": "Scheduled"},
        {"state": "Cancelling"},
        {"followed": ago(20)},
        {"state": "Submitted", "lease_until": NOW + timedelta(seconds=1)},
    ],
)
def test_what_goes_on_by_itself_is_not_put_back(members):
    assert resurrect(replace(LOST, **members), RULES) is None


def test_the_word_of_an_agent_without_a_claim_counts_for_nothing():
    assert resurrect(replace(LOST, followed=ago(20), claim_token=None), RULES) is not None


def test_the_log_says_what_was_seen_and_when():
    assert what_was_seen(DEAD, RULES) == (
        "The process of this flow run, started by the agent 'night', was last heard of at 2026-01-01 11:50:00 UTC, "
        "600 s before 2026-01-01 12:00:00 UTC; the limit is 600 s."
    )
