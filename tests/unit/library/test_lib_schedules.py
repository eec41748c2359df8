"""§19, schedules: clocks against an independent oracle, filters, adjustments, JSON."""

import json
from datetime import datetime, time, timedelta

import pendulum
import pytest
from dateutil import rrule
from hypothesis import given, settings
from hypothesis import strategies as st

import prefect
from prefect import Flow, Parameter, task
from prefect.schedules import IntervalSchedule, RRuleSchedule, Schedule, adjustments, filters
from prefect.schedules.clocks import Clock, ClockEvent, DatesClock, IntervalClock, RRuleClock
from prefect.serialization.schedule import schedule_from_dict, schedule_to_dict

START = pendulum.datetime(2020, 1, 1, tz="UTC")


@settings(deadline=None)
@given(
    st.integers(1, 10_000).map(lambda minutes: timedelta(minutes=minutes)),
    st.integers(-10_000, 10_000).map(lambda minutes: START.add(minutes=minutes)),
)
def test_intervals_in_utc_are_those_of_an_rrule(interval, after):
    minutes = interval // timedelta(minutes=1)
    rule = rrule.rrule(rrule.MINUTELY, interval=minutes, dtstart=datetime(2020, 1, 1), cache=False)  # noqa: DTZ001 - rrule counts in naive time
    naive = after.naive()
    expected = []
    first = rule.after(datetime.fromisoformat(naive.isoformat()), inc=False)
    for _ in range(3):
        expected.append(first)
        first = rule.after(first)
    found = IntervalSchedule(START, interval).next(3, after=after)
    assert [moment.naive() for moment in found] == expected


def test_intervals_over_a_change_of_clocks():
    def iso(moments):
        return [moment.strftime("%dT%H%z") for moment in moments]

    nine = pendulum.datetime(2020, 3, 7, 9, tz="America/New_York")
    daily = IntervalSchedule(nine, timedelta(days=1))
    assert iso(daily.next(3, after=nine.subtract(seconds=1))) == ["07T09-0500", "08T09-0400", "09T09-0400"]
    night = pendulum.datetime(2020, 3, 7, 21, tz="America/New_York")
    half = IntervalSchedule(night, timedelta(hours=12))
    assert iso(half.next(3, after=night.subtract(seconds=1))) == ["07T21-0500", "08T10-0400", "08T21-0400"]


def test_interval_arguments():
    with pytest.raises(TypeError, match=r"^Interval must be a timedelta\.$"):
        IntervalClock(5)
    with pytest.raises(ValueError, match=r"^Interval must be greater than 0\.$"):
        IntervalClock(timedelta(0))
    clock = IntervalClock(timedelta(days=1), start_date=datetime(2020, 1, 1), end_date=START.add(days=1))  # noqa: DTZ001 - naive is UTC
    assert clock.start_date == START
    assert [e.start_time for e in clock.events(START.subtract(seconds=1))] == [START, START.add(days=1)]
    assert [e.start_time for e in clock.events(START)] == [START.add(days=1)]


def test_events_are_merged_and_distinct():
    a = IntervalClock(timedelta(hours=2), START)
    b = IntervalClock(timedelta(hours=3), START)
    c = IntervalClock(timedelta(hours=6), START, parameter_defaults={"x": 1})
    schedule = Schedule([a, b, c])
    times = schedule.next(6, after=START)
    assert [moment.hour for moment in times] == [2, 3, 4, 6, 6, 8]
    events = schedule.next(6, after=START, return_events=True)
    at_six = [e.parameter_defaults for e in events if e.start_time.hour == 6]
    assert sorted(at_six, key=len) == [{}, {"x": 1}]
    assert schedule.start_date == START
    assert schedule.end_date is None


def test_dates_and_rules():
    dates = [START.add(days=3), START.add(days=1)]
    clock = DatesClock(dates, labels=["x"])
    assert [e.start_time for e in clock.events(START)] == sorted(dates)
    assert (clock.start_date, clock.end_date) == (START.add(days=1), START.add(days=3))
    rule = rrule.rrule(rrule.DAILY, dtstart=START, count=3)
    assert RRuleSchedule(rule).next(5, after=START) == [START.add(days=1), START.add(days=2)]
    with pytest.raises(TypeError, match=r"must be a dateutil rrule"):
        RRuleClock("FREQ=DAILY")
    with pytest.raises(TypeError, match=r"^clocks should be a list of clocks\.$"):
        Schedule(IntervalClock(timedelta(1)))


@pytest.mark.parametrize(
    ("check", "yes", "no"),
    [
        (filters.on_datetime(START), START, START.add(seconds=1)),
        (filters.on_date(1, 2), START.add(days=1), START),
        (filters.at_time(time(3)), START.add(hours=3), START),
        (filters.between_datetimes(START, START.add(days=1)), START.add(days=1), START.add(days=2)),
        (filters.between_dates(12, 20, 1, 5), START, START.add(days=5)),
        (filters.between_dates(1, 1, 1, 5), START.add(days=4), START.add(days=5)),
        (filters.between_times(time(22), time(2)), START.add(hours=2), START.add(hours=3)),
        (filters.between_times(time(1), time(2)), START.add(hours=1), START),
        (filters.is_weekday, START, START.add(days=3)),
        (filters.is_weekend, START.add(days=3), START),
        (filters.is_month_start, START, START.add(days=1)),
        (filters.is_month_end, START.add(days=30), START),
        (filters.is_day_of_week(2), START, START.add(days=1)),
    ],
)
def test_filters(check, yes, no):
    assert check(yes)
    assert not check(no)


def test_filters_and_adjustments_of_a_schedule():
    schedule = Schedule(
        [IntervalClock(timedelta(days=1), START)],
        filters=[filters.between_dates(1, 3, 1, 20)],
        or_filters=[filters.is_weekend, filters.on_date(1, 15)],
        not_filters=[filters.on_date(1, 5)],
        adjustments=[adjustments.next_weekday, adjustments.add(timedelta(hours=1))],
    )
    found = [moment.strftime("%d %H") for moment in schedule.next(4, after=START)]
    assert found == ["06 01", "13 01", "13 01", "15 01"]


def test_a_filter_that_nothing_passes_ends():
    never = Schedule([IntervalClock(timedelta(days=1), START)], filters=[lambda moment: False])
    assert never.next(1, after=START) == []


def test_json_round_trip():
    schedule = Schedule(
        [
            IntervalClock(
                timedelta(hours=5),
                pendulum.datetime(2020, 3, 7, 9, tz="America/New_York"),
                START.add(years=1),
                {"x": 1},
                ["a"],
            ),
            DatesClock([START.add(days=1)]),
            RRuleClock(rrule.rrule(rrule.DAILY, dtstart=START, until=START.add(days=400))),
        ],
        filters=[filters.is_weekday, filters.between_times(time(1), time(23))],
        not_filters=[filters.on_datetime(START)],
        adjustments=[adjustments.add(timedelta(hours=1))],
    )
    data = schedule_to_dict(schedule)
    text = json.dumps(data)
    assert data["clocks"][0]["start_date"] == {"dt": "2020-03-07T09:00:00", "tz": "America/New_York"}
    assert data["clocks"][0]["interval"] == 5 * 3600 * 10**6
    assert data["filters"][1]["kwargs"] == {"start": "//time:01:00:00", "end": "//time:23:00:00"}
    assert data["adjustments"][0]["kwargs"] == {"interval": "//timedelta:3600.0"}
    again = schedule_from_dict(json.loads(text))
    after = pendulum.datetime(2020, 3, 1)
    assert again.next(50, after=after, return_events=True) == schedule.next(50, after=after, return_events=True)
    assert schedule_to_dict(again) == data


def test_what_cannot_be_registered():
    with pytest.raises(
        ValueError, match=r"^Interval can not be less than one minute when deploying to Prefect Cloud\.$"
    ):
        schedule_to_dict(IntervalSchedule(interval=timedelta(seconds=5)))
    custom = Schedule([IntervalClock(timedelta(days=1))], filters=[lambda moment: True])
    with pytest.raises(ValueError, match=r"custom functions aren't supported for `Schedule\.filters`"):
        schedule_to_dict(custom)
    with pytest.raises(ValueError, match="'Clock'"):
        schedule_to_dict(Schedule([Clock()]))


def test_flows_run_on_their_schedule():
    now = pendulum.now("UTC")
    ran = []

    @task
    def record(p):
        ran.append((p, prefect.context.scheduled_start_time))

    dates = [now.add(seconds=1), now.add(seconds=2)]
    with Flow("f", schedule=Schedule([DatesClock(dates, parameter_defaults={"p": "clock"})])) as f:
        record(Parameter("p", default="default"))
    f.run(p="given", run_on_schedule=False)
    f.run(p="given")
    assert ran[0][0] == "given"
    assert ran[1:] == [("clock", dates[0]), ("clock", dates[1])]
    with pytest.raises(ValueError, match=r"^Flow has no more scheduled runs\.$"):
        f.run()


def test_events_compare():
    assert ClockEvent(START) == ClockEvent(START)
    assert ClockEvent(START) != ClockEvent(START, {"a": 1})
    assert ClockEvent(START) < ClockEvent(START.add(days=1))
