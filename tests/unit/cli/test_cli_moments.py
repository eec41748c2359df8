"""`--start`: ISO times and `in 10 minutes`, always in the future."""

from datetime import UTC, datetime, timedelta

import pytest

from flowstead_cli.errors import CliError
from flowstead_cli.moments import parse_start

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "ahead"),
    [
        ("in 10 minutes", timedelta(minutes=10)),
        ("in 1 minute", timedelta(minutes=1)),
        ("In 90s", timedelta(seconds=90)),
        ("in 1h 30m", timedelta(minutes=90)),
        ("in 1h30m", timedelta(minutes=90)),
        ("in 1 day and 2 hours", timedelta(hours=26)),
        ("in 1.5 hours", timedelta(minutes=90)),
        ("in 2 weeks, 1 day", timedelta(days=15)),
        (" 2026-01-01T12:00:05Z ", timedelta(seconds=5)),
        ("2026-01-01 14:00:00+01:00", timedelta(hours=1)),
        ("2026-01-01T12:30+00:00", timedelta(minutes=30)),
    ],
)
def test_a_start_time_is_understood(text, ahead):
    moment = parse_start(text, NOW)
    assert moment - NOW == ahead
    assert moment.tzinfo is not None


@pytest.mark.parametrize("text", ["2026-06-01T10:00", "2026-06-01", "20260601T100000"])
def test_a_time_without_zone_is_of_this_machine(text):
    assert parse_start(text, NOW) == datetime.fromisoformat(text).astimezone()


@pytest.mark.parametrize("text", ["2025-12-31T23:00Z", "2026-01-01T12:00:00+00:00", "in 0 minutes", "1999-01-01"])
def test_a_time_that_is_not_ahead_is_refused_with_both_times(text):
    with pytest.raises(CliError) as raised:
        parse_start(text, NOW)
    assert raised.value.message.startswith(f"The start time {text!r} is in the past: it is ")
    assert "and now it is 20" in raised.value.message


@pytest.mark.parametrize(
    "text",
    ["", "soon", "in", "in ten minutes", "in 10", "in 5 parsecs", "in 5 minutes or so", "2026-13-01", "12:30", "1"],
)
def test_nonsense_is_refused_and_says_what_can_be_written(text):
    with pytest.raises(CliError) as raised:
        parse_start(text, NOW)
    assert raised.value.message.startswith(f"{text!r} is no start time. Write a time in ISO form, such as ")


@pytest.mark.parametrize("text", ["in 99999999999 weeks", "in 999999999999999999999999 days"])
def test_a_start_that_no_calendar_has(text):
    with pytest.raises(CliError, match="is too far away"):
        parse_start(text, NOW)
