"""How long logs and runs are kept: which rule holds, what is refused, and what becomes of a day of the log."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstead_server.domain.errors import BadInputError
from flowstead_server.domain.retention import (
    DEFAULT_RULES,
    FINISHED,
    MOST_DAYS,
    Action,
    DayOfLog,
    Kept,
    Rule,
    check_rules,
    cutoffs,
    days_to_look_at,
    decide,
    kept,
    unowned,
)
from flowstead_server.domain.states import FAILED_NAMES, FINISHED_NAMES

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROJECT = UUID(int=1)
DAYS = st.none() | st.integers(1, MOST_DAYS)
RULES = st.dictionaries(st.sampled_from(FINISHED), st.tuples(DAYS, DAYS)).map(
    lambda found: [Rule(state, *days) for state, days in found.items()]
)


def test_failures_are_kept_longer_by_default() -> None:
    assert kept("Success", [], DEFAULT_RULES) == Kept("Success", 90, 365, is_own=False)
    assert kept("Cancelled", [], DEFAULT_RULES) == Kept("Cancelled", 90, 365, is_own=False)
    for state in FAILED_NAMES:
        assert kept(state, [], DEFAULT_RULES) == Kept(state, 180, 730, is_own=False)


@pytest.mark.parametrize(
    ("own", "state", "expected"),
    [
        # what a project says about all states goes before what the server says about one
        ([Rule("Finished", 10, 20)], "Failed", (10, 20)),
        ([Rule("Finished", 10, 20), Rule("Failed", 30, 40)], "TimedOut", (30, 40)),
        ([Rule("Finished", 10, 20), Rule("TimedOut", 30, 40)], "Failed", (10, 20)),
        # what a rule does not say is said by the next one
        ([Rule("Failed", None, 1000)], "Failed", (180, 1000)),
        ([Rule("Failed", 300, None), Rule("Finished", None, 400)], "Failed", (300, 400)),
        # a log is kept no longer than its run
        ([Rule("Success", None, 30)], "Success", (30, 30)),
        ([Rule("Success", 500, None)], "Success", (365, 365)),
    ],
)
def test_the_most_special_rule_holds(own: list[Rule], state: str, expected: tuple[int, int]) -> None:
    found = kept(state, own, DEFAULT_RULES)
    assert (found.logs_days, found.runs_days) == expected
    assert found.is_own


@given(RULES, RULES)
def test_every_finished_state_has_an_answer(own: list[Rule], defaults: list[Rule]) -> None:
    for state in FINISHED:
        found = kept(state, own, defaults)
        assert 1 <= found.logs_days <= found.runs_days <= MOST_DAYS
        exact = next((rule for rule in own if rule.state == state), None)
        if exact is not None and exact.runs_days is not None:
            assert found.runs_days == exact.runs_days
        if not own:
            assert not found.is_own


@given(RULES)
def test_cutoffs_are_complete_and_never_in_the_future(own: list[Rule]) -> None:
    found = cutoffs(NOW, DEFAULT_RULES, {PROJECT: own})
    assert {(one.project_id, one.state) for one in found} == {
        (project, state) for project in (None, PROJECT) for state in FINISHED_NAMES
    }
    assert all(one.runs_before <= one.logs_before <= NOW - timedelta(days=1) for one in found)
    assert unowned(found).logs_before == NOW - timedelta(days=90)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([Rule("Running", 1, 1)], "'Running' is none; the finished states are Cached, Cancelled, Failed, "),
        ([Rule("Scheduled", 1, 1)], "'Scheduled' is none"),
        ([Rule("success", 1, 1)], "'success' is none"),
        ([Rule("", 1, 1)], "'' is none"),
        ([Rule("Failed", 0, None)], "logs_days of the retention rule for the state Failed must be between 1 and 36500"),
        ([Rule("Failed", None, -1)], "runs_days of the retention rule for the state Failed .* days, not -1"),
        ([Rule("Failed", None, MOST_DAYS + 1)], "not 36501"),
        ([Rule("Failed")], "says nothing"),
        ([Rule("Failed", 1), Rule("Failed", 2)], "two retention rules for the state Failed"),
    ],
)
def test_rules_that_make_no_sense_are_refused(rules: list[Rule], message: str) -> None:
    with pytest.raises(BadInputError, match=message) as caught:
        check_rules(rules)
    assert caught.value.code == "BAD_USER_INPUT"


@given(RULES.map(lambda rules: [rule for rule in rules if rule.logs_days or rule.runs_days]))
def test_other_rules_are_taken(rules: list[Rule]) -> None:
    check_rules(rules)


def test_only_days_are_looked_at_from_which_a_log_may_go() -> None:
    found = cutoffs(NOW, (Rule("Finished", 2, 10), Rule("Failed", 5, 10)), {})
    days = [date(2026, 2, 28), date(2026, 2, 26), date(2026, 2, 27), date(2026, 1, 1)]
    assert days_to_look_at(days, found) == [date(2026, 1, 1), date(2026, 2, 26)]


@pytest.mark.parametrize(
    ("day", "action"),
    [
        (DayOfLog(runs=0, expired=0, soon=0), Action.DROP),
        (DayOfLog(runs=5, expired=5, soon=5), Action.DROP),
        (DayOfLog(runs=5, expired=0, soon=5), Action.WAIT),
        (DayOfLog(runs=5, expired=4, soon=5), Action.WAIT),
        (DayOfLog(runs=5, expired=4, soon=4), Action.DELETE),
        (DayOfLog(runs=5, expired=0, soon=4), Action.KEEP),
    ],
)
def test_a_day_is_dropped_whole_if_it_can_be(day: DayOfLog, action: Action) -> None:
    assert decide(day) is action
