"""What is decided for a flow at a given time: the cases that are hard to reach with a database."""

from datetime import UTC, datetime, timedelta

import pytest

from flowstead_server.domain.schedules import read_schedule
from flowstead_server.domain.scheduling import MAX_CAUGHT_UP, MissedRuns, SchedulingRules, idempotency_key, plan

NOW = datetime(2026, 7, 1, 12, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
EVERY_MINUTE = {"clocks": [{"type": "IntervalClock", "interval": 60_000_000}]}


def rules(policy: MissedRuns = MissedRuns.SKIP, ahead: int = 10) -> SchedulingRules:
    return SchedulingRules(ahead=ahead, missed_runs=policy)


@pytest.mark.parametrize("spread", range(12))
def test_it_is_looked_again_before_more_than_half_have_started(spread: int) -> None:
    decided = plan(read_schedule(EVERY_MINUTE), now=NOW, through=None, rules=rules(), spread=spread)
    assert decided.due == decided.runs[1 + spread % 5].tick
    assert decided.through == decided.runs[-1].tick
    again = plan(read_schedule(EVERY_MINUTE), now=decided.due, through=decided.through, rules=rules())
    assert [run.tick for run in again.runs] == [decided.through + MINUTE * (n + 1) for n in range(2 + spread % 5)]
    assert again.missed == 0


@pytest.mark.parametrize("policy", MissedRuns)
def test_an_outage_of_more_times_than_are_gone_through(policy: MissedRuns) -> None:
    decided = plan(read_schedule(EVERY_MINUTE), now=NOW, through=NOW - timedelta(days=30), rules=rules(policy))
    assert (decided.missed, decided.more_missed) == (10_000, True)
    late = [run.start for run in decided.runs if run.start <= NOW]
    assert len(late) == decided.caught_up == {"skip": 0, "latest": 1, "all": MAX_CAUGHT_UP}[policy]
    if policy is MissedRuns.LATEST:
        assert late == [NOW.replace(second=0)]


def test_a_run_that_an_adjustment_put_off_is_not_missed() -> None:
    moved = {"fn": "prefect.schedules.adjustments.add", "kwargs": {"interval": "//timedelta:3600"}}
    schedule = read_schedule(EVERY_MINUTE | {"adjustments": [moved]})
    decided = plan(schedule, now=NOW, through=NOW - 90 * MINUTE, rules=rules())
    assert decided.missed == 30
    starts = [run.start for run in decided.runs]
    assert starts == [NOW.replace(second=0) + MINUTE * n for n in range(1, 71)]


def test_a_schedule_of_which_few_times_pass_is_looked_at_again_later() -> None:
    once = {"fn": "prefect.schedules.filters.on_date", "kwargs": {"month": 12, "day": 24}}
    decided = plan(read_schedule(EVERY_MINUTE | {"filters": [once]}), now=NOW, through=None, rules=rules())
    assert (list(decided.runs), decided.due) == ([], NOW + timedelta(days=1))


def test_a_schedule_that_ends_is_left_alone_after_its_last_time() -> None:
    dates = [{"dt": f"2026-07-0{day}T00:00:00", "tz": "UTC"} for day in (2, 3)]
    schedule = read_schedule({"clocks": [{"type": "DatesClock", "dates": dates}]})
    decided = plan(schedule, now=NOW, through=None, rules=rules())
    assert len(decided.runs) == 2
    last = plan(schedule, now=datetime(2026, 7, 3, tzinfo=UTC), through=decided.through, rules=rules())
    assert (list(last.runs), last.due, last.missed) == ([], None, 0)


def test_keys_tell_apart_what_are_two_runs() -> None:
    clocks = [
        {"type": "CronClock", "cron": "0 0 * * *", "parameter_defaults": defaults, "labels": labels}
        for defaults, labels in (({}, None), ({}, []), ({"x": 1, "y": 2}, None), ({"y": 2, "x": 1}, ["a"]))
    ]
    keys = {
        idempotency_key(run)
        for run in plan(read_schedule({"clocks": clocks}), now=NOW, through=None, rules=rules(ahead=1)).runs
    }
    assert len(keys) == 4
    assert "auto-scheduled:2026-07-02T00:00:00+00:00" in keys
