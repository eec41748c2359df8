"""The server's schedules give the library's times (§5.6.3, §6.5, library §19), and what they make of bad ones."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time, timedelta
from itertools import islice

import pytest
from croniter import croniter
from dateutil import rrule
from hypothesis import given, settings
from hypothesis import strategies as st

from flowstead_server.domain.cron import cron_walls
from flowstead_server.domain.errors import BadInputError
from flowstead_server.domain.schedules import read_schedule
from prefect.schedules import Schedule, adjustments, clocks, filters
from prefect.serialization.schedule import schedule_from_dict, schedule_to_dict
from prefect.utilities.datetimes import as_datetime, plain

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Sao_Paulo"]
CRONS = [
    "* * * * *", "*/7 * * * *", "30 2 * * *", "0 */5 * * *", "0 9 * * 1-5", "15 3 13 * 5", "0 0 1 * *",
    "59 23 31 12 *", "*/30 1-3 * 3,10 0", "0 0 L * *", "0 0 30 2 *", "* * * * * */20", "@daily",
]  # fmt: skip


def utc(*numbers: int) -> datetime:
    return datetime(*numbers, tzinfo=UTC)


def wall(*numbers: int) -> datetime:
    return utc(*numbers).replace(tzinfo=None)


# Close to changes of clocks, where times are hard.
moments = st.one_of(
    st.datetimes(utc(2018, 6, 1).replace(tzinfo=None), utc(2027, 1, 1).replace(tzinfo=None), timezones=st.just(UTC)),
    st.builds(
        lambda day, minutes: day + timedelta(minutes=minutes),
        st.sampled_from([utc(2021, 3, 28), utc(2021, 10, 31), utc(2021, 3, 14), utc(2021, 11, 7)]),
        st.integers(-3000, 3000),
    ),
)
dates = st.builds(lambda moment, zone: as_datetime(moment).in_timezone(zone), moments, st.sampled_from(ZONES))
some_dates = st.none() | dates
common = {
    "parameter_defaults": st.sampled_from([{}, {"x": 1}]),
    "labels": st.sampled_from([None, [], ["a"]]),
}
intervals = st.sampled_from([1, 5, 7, 15, 30, 45, 60, 61, 90, 360, 720, 1440, 2000, 10_080]).map(
    lambda minutes: timedelta(minutes=minutes)
)
rules = st.builds(
    lambda freq, start, interval, count: rrule.rrule(freq, dtstart=plain(start), interval=interval, count=count),
    st.sampled_from([rrule.HOURLY, rrule.DAILY, rrule.WEEKLY, rrule.MONTHLY]),
    dates,
    st.integers(1, 5),
    st.integers(1, 60),
)
some_clocks = st.one_of(
    st.builds(clocks.IntervalClock, intervals, start_date=some_dates, end_date=some_dates, **common),
    st.builds(
        clocks.CronClock,
        st.sampled_from(CRONS),
        start_date=some_dates,
        end_date=some_dates,
        day_or=st.sampled_from([None, True, False]),
        **common,
    ),
    st.builds(clocks.DatesClock, st.lists(dates, min_size=1, max_size=5), **common),
    st.builds(clocks.RRuleClock, rules, start_date=some_dates, end_date=some_dates, **common),
)
some_filters = st.sampled_from(
    [
        filters.is_weekday,
        filters.is_weekend,
        filters.is_month_end,
        filters.is_month_start,
        filters.is_day_of_week(2),
        filters.on_date(3, 28),
        filters.at_time(time(0, 0)),
        filters.between_dates(11, 1, 2, 1),
        filters.between_times(time(22), time(4, 30)),
        filters.between_datetimes(utc(2021, 3, 1), utc(2021, 11, 30)),
        filters.on_datetime(utc(2021, 3, 28, 1)),
    ]
)
few = st.lists(some_filters, max_size=1)
filtered = st.builds(
    Schedule,
    # Days rather than minutes, so that the library need not look at thousands of times.
    st.lists(
        st.builds(
            clocks.CronClock,
            st.sampled_from(["0 0 * * *", "0 2,23 * * *"]),
            start_date=some_dates,
            parameter_defaults=st.sampled_from([{}, {"x": 1}]),
        ),
        min_size=1,
        max_size=2,
    ),
    filters=few,
    or_filters=st.lists(some_filters, max_size=2),
    not_filters=few,
    adjustments=st.lists(
        st.sampled_from(
            [adjustments.next_weekday, adjustments.add(timedelta(hours=5)), adjustments.add(-timedelta(1))]
        ),
        max_size=2,
    ),
)


def check_same_events(schedule: Schedule, after: datetime) -> None:
    data = schedule_to_dict(schedule)
    wanted = schedule_from_dict(data).next(12, after=as_datetime(after), return_events=True)
    got = list(itertools.islice(read_schedule(data).events(after), 12))
    times = [plain(event.start_time).astimezone(UTC) for event in wanted]
    assert [event.start for event in got] == times
    # The library leaves open which of two at one time comes first, and the last time may be cut in half.
    open_time = times[-1] if len(times) == 12 else None
    theirs = [
        (moment, str(event.parameter_defaults), str(event.labels))
        for moment, event in zip(times, wanted, strict=True)
        if moment != open_time
    ]
    ours = [
        (event.start, str(event.parameter_defaults), str(event.labels)) for event in got if event.start != open_time
    ]
    assert sorted(ours) == sorted(theirs)


@settings(max_examples=200, deadline=None)
@given(some=st.lists(some_clocks, min_size=1, max_size=3), after=moments)
def test_clocks_tick_as_those_of_the_library(some: list[clocks.Clock], after: datetime) -> None:
    check_same_events(Schedule(some), after)


@settings(max_examples=20, deadline=None)
@given(schedule=filtered, after=moments)
def test_filters_and_adjustments_do_as_those_of_the_library(schedule: Schedule, after: datetime) -> None:
    check_same_events(schedule, after)


@pytest.mark.parametrize("tz", ["Mars/Olympus", "../../etc/passwd", "+99:00", "\0"])
def test_unknown_zones_are_named(tz: str) -> None:
    clock = {"type": "CronClock", "cron": "* * * * *", "start_date": {"dt": "2020-01-01T00:00:00", "tz": tz}}
    with pytest.raises(BadInputError, match="A date of a schedule cannot be read"):
        read_schedule({"clocks": [clock]})


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"clocks": {}},
        {"clocks": ["x"]},
        {"clocks": [{"type": "SunClock"}]},
        {"clocks": [{"type": ["IntervalClock"]}]},
        {"clocks": [{"type": "IntervalClock"}]},
        {"clocks": [{"type": "IntervalClock", "interval": 0}]},
        {"clocks": [{"type": "IntervalClock", "interval": 1e300}]},
        {"clocks": [{"type": "CronClock", "cron": "every day"}]},
        {"clocks": [{"type": "CronClock", "cron": 5}]},
        {"clocks": [{"type": "CronClock", "cron": "R R * * *"}]},
        {"clocks": [{"type": "CronClock", "cron": "* * * * *", "labels": "a"}]},
        {"clocks": [{"type": "CronClock", "cron": "* * * * *", "parameter_defaults": [1]}]},
        {"clocks": [{"type": "DatesClock", "dates": []}]},
        {"clocks": [{"type": "DatesClock", "dates": ["tomorrow"]}]},
        {"clocks": [{"type": "RRuleClock", "rrule_obj": {"rr": "FREQ=NEVER"}}]},
        {"clocks": [{"type": "RRuleClock", "rrule_obj": None}]},
        {"clocks": [], "filters": ["my.own.filter"]},
        {"clocks": [], "filters": [{"fn": "prefect.schedules.filters.on_date", "kwargs": {"day": 1}}]},
        {"clocks": [], "adjustments": [{"fn": "prefect.schedules.adjustments.add", "kwargs": {"interval": "x"}}]},
        {"clocks": [], "or_filters": 5},
    ],
)
def test_what_is_no_schedule_is_refused_in_a_sentence(data: object) -> None:
    with pytest.raises(BadInputError) as raised:
        read_schedule(data)
    assert raised.value.message.endswith((".", ").", "?"))


def test_a_rule_that_began_too_long_ago_is_refused() -> None:
    rule = {"rr": "DTSTART:20000101T000000\nRRULE:FREQ=SECONDLY"}
    schedule = read_schedule({"clocks": [{"type": "RRuleClock", "rrule_obj": rule}]})
    with pytest.raises(BadInputError, match="let it start later"):
        next(schedule.events(utc(2026, 1, 1)))


@given(
    st.sampled_from(["*/7 3-5 * * *", "0 0 29 2 *", "@hourly", "*/5 * * * * */20", "30 12 1 * mon"]),
    st.datetimes(wall(2024, 1, 1), wall(2026, 1, 1)),
    st.integers(1, 30),
)
def test_remembered_times_are_those_of_croniter(expression: str, begin: datetime, count: int) -> None:
    """Also when somebody else has asked for fewer or more of them, from another second of the same minute."""
    fresh = croniter(expression, begin)
    expected = [fresh.get_next(datetime) for _ in range(count)]
    assert list(islice(cron_walls(expression, begin, True), count // 2)) == expected[: count // 2]
    assert list(islice(cron_walls(expression, begin, True), count)) == expected


def test_threads_share_remembered_times() -> None:
    def ask(_number: int) -> list[datetime]:
        return list(islice(cron_walls("*/3 * * * *", wall(2031, 5, 5), True), 300))

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(16)))
    assert answers == [[wall(2031, 5, 5) + timedelta(minutes=3 * number) for number in range(1, 301)]] * 16


def test_an_expression_that_never_fires_ends() -> None:
    assert list(cron_walls("0 0 30 2 *", wall(2031, 5, 5), True)) == []
    assert list(cron_walls("0 0 30 2 *", wall(2031, 5, 5), True)) == []
