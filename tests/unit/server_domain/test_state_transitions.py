"""The transition table: complete, as documented, and the only place that decides."""

from itertools import product

import pytest

from flowstead_server.domain.states import (
    ENDING_NAMES,
    FINISHED_NAMES,
    META_NAMES,
    RUNNING_NAMES,
    SCHEDULED_NAMES,
    STATE_NAMES,
    TRANSITIONS,
    Family,
    Rule,
    Subject,
    classify,
    family,
    transition,
)

NAMES = [None, *sorted(STATE_NAMES)]
TARGETS = sorted(STATE_NAMES)


def test_table_has_a_rule_for_every_pair_of_families() -> None:
    for subject in Subject:
        assert set(TRANSITIONS[subject]) == set(Family)
        for row in TRANSITIONS[subject].values():
            assert set(row) == set(Family) - {Family.NEW}


def test_every_name_has_a_family_and_every_family_a_name() -> None:
    assert {family(name) for name in NAMES} == set(Family)
    with pytest.raises(KeyError):
        family("Sleeping")


def test_names_follow_their_family() -> None:
    for subject, current, requested in product(Subject, NAMES, TARGETS):
        assert transition(subject, current, requested) is TRANSITIONS[subject][family(current)][family(requested)]


@pytest.mark.parametrize("current", sorted(FINISHED_NAMES))
def test_finished_flow_run_runs_again_only_through_a_scheduled_state(current: str) -> None:
    for name in RUNNING_NAMES:
        assert transition(Subject.FLOW_RUN, current, name) is Rule.STALE
    for name in SCHEDULED_NAMES:
        assert transition(Subject.FLOW_RUN, current, name) is Rule.ALLOW


@pytest.mark.parametrize("current", sorted({"Submitted", *RUNNING_NAMES, *FINISHED_NAMES}))
def test_flow_run_that_was_submitted_is_not_submitted_again(current: str) -> None:
    assert transition(Subject.FLOW_RUN, current, "Submitted") is Rule.ALREADY_SUBMITTED


@pytest.mark.parametrize("name", sorted(SCHEDULED_NAMES))
def test_waiting_runs_may_become_anything(name: str) -> None:
    for subject in Subject:
        assert {transition(subject, name, target) for target in TARGETS} == {Rule.ALLOW}


@pytest.mark.parametrize(
    "path",
    [
        # what a 1.4.1 process and its agent send
        ["Scheduled", "Submitted", "Running", "Success"],
        ["Scheduled", "Submitted", "Failed"],
        ["Scheduled", "Running", "Failed", "Scheduled", "Submitted", "Running", "Success"],
        ["Scheduled", "Submitted", "Running", "Running", "Cancelling", "Cancelled"],
        ["Scheduled", "Submitted", "Scheduled", "Submitted", "Running", "Success"],
        ["Scheduled", "Queued", "Running", "Success", "Failed"],
    ],
)
def test_flow_run_paths_of_1x_are_allowed(path: list[str]) -> None:
    for current, requested in zip([None, *path], path, strict=False):
        assert transition(Subject.FLOW_RUN, current, requested) is Rule.ALLOW, (current, requested)


@pytest.mark.parametrize(
    "path",
    [
        ["Pending", "Running", "Success"],
        ["Pending", "Mapped", "Mapped", "Success"],
        ["Pending", "Running", "Retrying", "Submitted", "Running", "Failed", "Pending", "Running", "Success"],
        ["Pending", "Running", "Looped", "Running", "Looped", "Running", "Success"],
        ["Pending", "Paused", "Resume", "Running", "Cached", "Running", "Success"],
        ["Pending", "TriggerFailed", "Scheduled", "Running", "Skipped"],
        ["Pending", "Running", "ClientFailed", "Running", "TimedOut"],
    ],
)
def test_task_run_paths_of_1x_are_allowed(path: list[str]) -> None:
    for current, requested in zip([None, *path], path, strict=False):
        assert transition(Subject.TASK_RUN, current, requested) is Rule.ALLOW, (current, requested)


def test_classification() -> None:
    assert classify(None) == classify("Submitted")
    assert classify("Cancelling").is_running
    assert classify("TimedOut").is_failed
    assert classify("TimedOut").is_finished
    assert classify("Queued").is_scheduled
    assert not classify("ClientFailed").is_finished
    assert ENDING_NAMES < FINISHED_NAMES
    assert META_NAMES <= STATE_NAMES
