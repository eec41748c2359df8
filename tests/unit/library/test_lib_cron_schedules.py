"""Cron clocks: library-api §19.2."""

from datetime import UTC, datetime, timedelta

import pendulum
import pytest
from dateutil.rrule import DAILY, MINUTELY, rrule

from prefect.schedules import CronSchedule
from prefect.schedules.clocks import CronClock

START = pendulum.datetime(2026, 3, 6, 8, 30)


@pytest.mark.parametrize(
    ("cron", "rule"),
    [
        ("*/15 * * * *", rrule(MINUTELY, interval=15, dtstart=datetime(2026, 3, 6, 8, 30, tzinfo=UTC))),
        ("0 9 * * *", rrule(DAILY, dtstart=datetime(2026, 3, 6, 9, tzinfo=UTC))),
        ("30 6 * * 1-5", rrule(DAILY, byweekday=range(5), dtstart=datetime(2026, 3, 7, 6, 30, tzinfo=UTC))),
    ],
)
def test_a_cron_schedule_gives_the_times_of_the_equal_rule(cron: str, rule: rrule) -> None:
    after = START - timedelta(seconds=1)
    assert CronSchedule(cron).next(10, after=after) == list(rule.xafter(after, 10))


def test_local_time_is_kept_over_the_change_to_summer_time() -> None:
    start = pendulum.datetime(2026, 3, 7, 0, 0, tz="America/New_York")
    events = CronSchedule("0 9 * * *", start_date=start).next(3, after=start)
    assert [(one.hour, one.utcoffset()) for one in events] == [
        (9, timedelta(hours=-5)),
        (9, timedelta(hours=-4)),
        (9, timedelta(hours=-4)),
    ]


def test_the_start_may_match_and_the_moment_asked_after_may_not() -> None:
    start = pendulum.datetime(2026, 3, 7, 9, 0)
    clock = CronClock("0 9 * * *", start_date=start)
    assert next(clock.events(after=start.subtract(days=3))).start_time == start
    assert next(clock.events(after=start)).start_time == start.add(days=1)


def test_days_that_never_come() -> None:
    assert CronSchedule("0 0 30 2 *").next(2, after=START) == []


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="Invalid cron string: every day"):
        CronClock("every day")
