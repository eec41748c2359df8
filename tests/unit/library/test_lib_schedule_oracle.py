"""`Schedule.next` against dateutil's rules, over changes of clocks; filters and adjustments against plain counting.

library-api §19.1 to §19.4.
"""

import calendar
import itertools
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pendulum
from dateutil import rrule, tz
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect.schedules import CronSchedule, IntervalSchedule, RRuleSchedule, Schedule, adjustments, filters
from prefect.schedules.clocks import CronClock, IntervalClock

some = settings(max_examples=30, deadline=None)
# Clocks that go forward and back in both halves of the year, by half an hour, and not at all.
ZONES = ("UTC", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Kolkata", "America/Sao_Paulo")
zones = st.sampled_from(ZONES)
walls = st.datetimes(datetime(2023, 1, 1), datetime(2024, 12, 31)).map(lambda w: w.replace(second=0, microsecond=0))  # noqa: DTZ001 - the wall's time


def changes():
    """Yield zones and days on which their clocks change."""
    for zone in ZONES:
        for day in range(1, 366):
            noon = datetime(2024, 1, 1, 12, tzinfo=ZoneInfo(zone)) + timedelta(days=day)
            if noon.utcoffset() != (noon - timedelta(days=1)).utcoffset():
                yield zone, noon.replace(tzinfo=None)


# A zone, and a time on its walls that is near a change of its clocks.
near_changes = st.builds(
    lambda change, minutes: (change[0], change[1] + timedelta(minutes=minutes)),
    st.sampled_from(list(changes())),
    st.integers(-2160, 720),
)
places = near_changes | st.tuples(zones, walls)


def wall_of(moment, zone):
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)


def moments_of(wall, zone):
    """Return the moments, in order, at which clocks of a zone show a time; none if they skip it."""
    around = [wall.replace(tzinfo=UTC) + timedelta(hours=n) for n in (-36, 36)]
    offsets = {moment.astimezone(ZoneInfo(zone)).utcoffset() for moment in around}
    candidates = [wall.replace(tzinfo=UTC) - offset for offset in offsets]
    return sorted(moment for moment in candidates if wall_of(moment, zone) == wall)


def last_of(wall, zone):
    """Return when a time is shown for the last time; one that is skipped, as much later as the clock is put forward."""
    found = moments_of(wall, zone)
    return found[-1] if found else tz.resolve_imaginary(wall.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)


def put_forward(wall, zone):
    """Return the moment at which clocks are put forward past a time, or when they show it for the last time."""
    found = moments_of(wall, zone)
    if found:
        return found[-1]
    later = tz.resolve_imaginary(wall.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
    earlier = (later - timedelta(minutes=n) for n in range(150))
    return next(moment for moment in earlier if wall_of(moment - timedelta(minutes=1), zone) < wall)


def increasing(moments, after):
    """Yield what is later than everything before it."""
    for moment in moments:
        if moment > after:
            after = moment
            yield moment


def first(found, count=6):
    return list(itertools.islice(found, count))


def begin(wall, zone):
    """Return a start date on a wall, and what is on the wall then, which differs if the clock skips it."""
    start = pendulum.datetime(wall.year, wall.month, wall.day, wall.hour, wall.minute, tz=zone)
    return start, datetime.fromisoformat(start.naive().isoformat())


def plain(moment):
    """Return a moment as the standard library's datetime in UTC."""
    return datetime.fromtimestamp(moment.timestamp(), UTC)


def utc(moments):
    return [plain(moment) for moment in moments]


@some
@given(places, st.integers(1, 40), st.integers(-10, 500))
def test_intervals_of_days_keep_the_wall_clock(place, days, later):
    zone, wall = place
    start, anchor = begin(wall, zone)
    after = start.add(days=later).subtract(seconds=1)
    rule = rrule.rrule(rrule.DAILY, interval=days, dtstart=anchor)
    ticks = (tick for tick in rule if tick > wall_of(plain(after), zone) - timedelta(days=1))
    expected = increasing(
        (last_of(tick, zone) for tick in ticks), max(plain(after), plain(start) - timedelta(seconds=1))
    )
    assert utc(IntervalSchedule(start, timedelta(days=days)).next(6, after=after)) == first(expected)


@some
@given(near_changes, st.sampled_from([61, 90, 120, 180, 300, 720, 1500]), st.integers(0, 4))
def test_longer_intervals_keep_the_wall_clock_after_a_day(place, minutes, days_before):
    zone, wall = place
    start, anchor = begin(wall - timedelta(days=days_before), zone)
    rule = rrule.rrule(rrule.MINUTELY, interval=minutes, dtstart=anchor)
    day = timedelta(days=1)
    moments = (last_of(t, zone) if t - anchor >= day else plain(start) + (t - anchor) for t in rule)
    expected = increasing(moments, plain(start) - timedelta(seconds=1))
    found = IntervalSchedule(start, timedelta(minutes=minutes)).next(40, after=start.subtract(days=9))
    assert utc(found) == first(expected, 40)


@some
@given(near_changes, st.sampled_from([1, 5, 15, 20, 30, 45, 60]), st.integers(0, 99))
def test_shorter_intervals_tick_whenever_the_wall_clock_says_so(place, minutes, days_before):
    zone, wall = place
    start, anchor = begin(wall - timedelta(days=days_before), zone)
    after = start.add(days=days_before)
    every = (plain(after) + timedelta(minutes=n) for n in itertools.count(1))
    expected = (moment for moment in every if not (wall_of(moment, zone) - anchor) % timedelta(minutes=minutes))
    found = IntervalSchedule(start, timedelta(minutes=minutes)).next(30, after=after)
    assert utc(found) == first(expected, 30)


def test_hours_that_come_twice_tick_twice_for_what_is_hourly():
    """§19.2: hourly runs follow UTC.  Python compares times of one zone by the wall clock."""
    start = pendulum.datetime(2024, 11, 1, tz="America/New_York")
    after = start.add(days=2).subtract(seconds=1)
    found = IntervalSchedule(start, timedelta(hours=1)).next(26, after=after)
    assert [moment.strftime("%H%z") for moment in found[:4]] == ["00-0400", "01-0400", "01-0500", "02-0500"]
    assert {later - earlier for earlier, later in itertools.pairwise(utc(found))} == {timedelta(hours=1)}


crons = st.one_of(
    st.builds(
        lambda minute, hour: (f"{minute} {hour} * * *", {"freq": rrule.DAILY, "byhour": hour, "byminute": minute}),
        st.integers(0, 59),
        st.integers(0, 23),
    ),
    st.builds(
        lambda minute, hour, day: (
            f"{minute} {hour} * * {(day + 1) % 7}",
            {"freq": rrule.WEEKLY, "byhour": hour, "byminute": minute, "byweekday": day},
        ),
        st.integers(0, 59),
        st.integers(0, 4),
        st.integers(0, 6),
    ),
    st.builds(
        lambda day, month: (
            f"30 2 {day} {month} *",
            {"freq": rrule.YEARLY, "bymonth": month, "bymonthday": day, "byhour": 2, "byminute": 30},
        ),
        st.integers(1, 28),
        st.integers(1, 12),
    ),
    st.sampled_from([5, 20, 30]).map(
        lambda step: (f"*/{step} * * * *", {"freq": rrule.HOURLY, "byminute": range(0, 60, step)})
    ),
    st.integers(1, 6).map(
        # A day of the month or a day of the week.
        lambda day: (
            f"0 2 13 * {day}",
            {"freq": rrule.DAILY, "byhour": 2, "byminute": 0, "either": (13, day - 1)},
        )
    ),
)


@some
@given(crons, places)
def test_cron_keeps_the_wall_clock(cron, place):
    expression, rule = cron
    zone, wall = place
    rule = dict(rule)
    either = rule.pop("either", None)
    start, anchor = begin(wall, zone)
    ticks = iter(rrule.rrule(dtstart=anchor.replace(hour=0, minute=0) - timedelta(days=1), bysecond=0, **rule))
    if either is not None:
        ticks = (tick for tick in ticks if tick.day == either[0] or tick.weekday() == either[1])
    expected = increasing((put_forward(tick, zone) for tick in ticks), plain(start) - timedelta(seconds=1))
    found = CronSchedule(expression, start_date=start).next(9, after=start.subtract(years=1))
    assert utc(found) == first(expected, 9)


@some
@given(walls, zones, st.sampled_from([rrule.HOURLY, rrule.DAILY, rrule.WEEKLY]), st.integers(1, 5))
def test_rules_give_their_own_occurrences(wall, zone, freq, interval):
    rule = rrule.rrule(freq, interval=interval, dtstart=wall.replace(tzinfo=ZoneInfo(zone)))
    expected = [moment for moment in first(rule, 9) if moment > rule[0]]
    found = RRuleSchedule(rule).next(5, after=rule[0])
    assert utc(found) == utc(expected)[:5]


@some
@given(st.lists(st.integers(1, 300), min_size=1, max_size=4), walls)
def test_clocks_are_merged_in_order_without_doubles(minutes, wall):
    start = pendulum.instance(wall, tz="UTC")
    schedule = Schedule([IntervalClock(timedelta(minutes=n), start) for n in minutes])
    every = {start.add(minutes=n * k) for n in minutes for k in range(1, 41)}
    assert schedule.next(40, after=start) == sorted(every)[:40]


@some
@given(walls, st.integers(0, 9), st.integers(0, 9))
def test_start_and_end_are_inclusive(wall, before, length):
    start = pendulum.instance(wall.replace(minute=0), tz="UTC")
    end = start.add(hours=length)
    for clock in (IntervalClock(timedelta(hours=1), start, end), CronClock("0 * * * *", start, end)):
        found = Schedule([clock]).next(99, after=start.subtract(hours=before, seconds=1))
        assert found == [start.add(hours=n) for n in range(length + 1)]
        assert Schedule([clock]).next(99, after=end) == []


# -- filters and adjustments

days = st.dates(date(2024, 1, 1), date(2024, 12, 31))


@some
@given(days, days, days)
def test_days_between_days(first_day, last_day, day):
    """§19.3: inclusive, and round new year if the first is after the last."""
    walked = first_day
    seen = {(walked.month, walked.day)}
    while (walked.month, walked.day) != (last_day.month, last_day.day):
        walked += timedelta(days=1)
        seen.add((walked.month, walked.day))
        if (walked.year, walked.month, walked.day) == (2025, 3, 1) and (last_day.month, last_day.day) == (2, 29):
            return  # the year after has no such day to end at
    check = filters.between_dates(first_day.month, first_day.day, last_day.month, last_day.day)
    moment = pendulum.datetime(2024, day.month, day.day, 12)
    # Walking over new year meets no leap day, which is between all the same.
    if (day.month, day.day) == (2, 29):
        return
    assert check(moment) == ((day.month, day.day) in seen)


@some
@given(st.integers(0, 1439), st.integers(0, 1439), st.integers(0, 1439))
def test_times_between_times(start, end, minute):
    walked = {(start + n) % 1440 for n in range((end - start) % 1440 + 1)}
    check = filters.between_times(time(*divmod(start, 60)), time(*divmod(end, 60)))
    assert check(pendulum.datetime(2024, 1, 1, *divmod(minute, 60))) == (minute in walked)


@some
@given(places)
def test_filters_of_days(place):
    zone, wall = place
    moment = pendulum.instance(wall, tz=zone)
    weekday = moment.strftime("%a")
    assert filters.is_weekday(moment) == (weekday not in {"Sat", "Sun"})
    assert filters.is_weekend(moment) == (weekday in {"Sat", "Sun"})
    assert filters.is_month_start(moment) == (moment.day == 1)
    assert filters.is_month_end(moment) == (moment.day == calendar.monthrange(moment.year, moment.month)[1])
    names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    assert [filters.is_day_of_week(n)(moment) for n in range(7)] == [name == weekday for name in names]
    assert filters.on_date(moment.month, moment.day)(moment)
    assert filters.at_time(moment.time())(moment)
    assert filters.on_datetime(moment.in_timezone("UTC"))(moment)
    assert filters.between_datetimes(moment.subtract(minutes=1), moment)(moment)
    assert not filters.between_datetimes(moment.add(minutes=1), moment.add(minutes=2))(moment)


@some
@given(places, st.integers(0, 10**6))
def test_adjustments(place, seconds):
    zone, wall = place
    moment = pendulum.instance(wall, tz=zone)
    assert adjustments.add(timedelta(seconds=seconds))(moment) == moment + timedelta(seconds=seconds)
    moved = adjustments.next_weekday(moment)
    assert filters.is_weekday(moved)
    assert (moved.date() - moment.date()).days in {0, 1, 2}
    assert (moved == moment) == filters.is_weekday(moment)
    assert moved.time() == moment.time() or not moments_of(datetime.combine(moved.date(), moment.time()), zone)


def test_filters_see_the_zone_of_the_clock():
    """§19.1: noon in Auckland on Monday is still Sunday in UTC."""
    start = pendulum.datetime(2024, 7, 1, 9, tz="Pacific/Auckland")
    mondays = Schedule([IntervalClock(timedelta(days=1), start)], filters=[filters.is_day_of_week(0)])
    assert [str(moment.date()) for moment in mondays.next(2, after=start)] == ["2024-07-08", "2024-07-15"]


def test_moments_in_zones_that_are_not_those_of_pendulum():
    """pendulum 3 forgets such a zone when it adds to a moment."""
    for zone in (UTC, ZoneInfo("Europe/London")):
        start = pendulum.datetime(2024, 3, 30, 9).astimezone(zone)
        found = IntervalSchedule(start, timedelta(days=1)).next(2, after=start)
        assert utc(found) == [plain(start) + timedelta(days=1, hours=-1 if zone is not UTC else 0), *utc(found)[1:]]
        assert all(moment.timezone is not None for moment in found)
