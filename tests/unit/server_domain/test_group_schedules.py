"""The schedules of flow groups, and what counts as a cron expression."""

from datetime import UTC, datetime

import pytest

from flowstead_server.domain.cron import is_cron
from flowstead_server.domain.errors import BadInputError
from flowstead_server.domain.group_schedules import CronClock, IntervalClock, group_schedule
from flowstead_server.domain.states import STATE_NAMES, state_colors, state_hierarchy

NOW = datetime(2030, 1, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "* * * * *",
        "0 0 * * 1-5",
        "*/15 9-17 1,15 jan,JUN mon-fri",
        "0 0 L * *",
        "5 4 ? * sun#2",
        "0 0 * * L5",
        "0 12 * * 7",
        "1-59/2 * * * * 30",
        " @daily ",
        "22-2 * * * *",
    ],
)
def test_cron_expressions(text: str) -> None:
    assert is_cron(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "* * * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "*/0 * * * *",
        "a * * * *",
        "1- * * * *",
        "*-3 * * * *",
        "1,,2 * * * *",
        "? * * * *",
        "* * * * mon#6",
        "@sometimes",
        "9" * 100_000 + " * * * *",
        "\0 * * * *",
        "٣ * * * *",
    ],
)
def test_other_texts(text: str) -> None:
    assert not is_cron(text)


def test_clocks_are_written_as_the_library_reads_them() -> None:
    made = group_schedule([CronClock("0 9 * * *", {"x": 1})], [IntervalClock(90)], None, NOW)
    assert made == {
        "type": "Schedule",
        "clocks": [
            {"type": "CronClock", "cron": "0 9 * * *", "parameter_defaults": {"x": 1}, "start_date": None},
            {"type": "IntervalClock", "interval": 90_000_000, "start_date": None},
        ],
    }


def test_clocks_start_on_the_wall_clock_of_their_zone() -> None:
    made = group_schedule([], [IntervalClock(60)], "Europe/Berlin", NOW)
    assert made["clocks"][0]["start_date"] == {"dt": "2030-01-31T13:00:00", "tz": "Europe/Berlin"}


@pytest.mark.parametrize("zone", ["Nowhere/Land", "", "../../etc/passwd", "/etc", "\0", "z" * 10_000, "Europe"])
def test_unknown_zones(zone: str) -> None:
    with pytest.raises(BadInputError, match="Invalid timezone provided for schedule"):
        group_schedule([], [], zone, NOW)


@pytest.mark.parametrize(
    ("crons", "intervals"),
    [
        ([CronClock("nonsense")], []),
        ([CronClock("* * * * *", [1])], []),
        ([], [IntervalClock(59)]),
        ([], [IntervalClock(-60)]),
        ([], [IntervalClock(60, "x")]),
    ],
)
def test_unusable_clocks(crons: list[CronClock], intervals: list[IntervalClock]) -> None:
    with pytest.raises(BadInputError, match="Invalid clock provided for schedule: "):
        group_schedule(crons, intervals, None, NOW)


def test_the_hierarchy_of_states() -> None:
    below = state_hierarchy()
    assert sorted(below["Success"]) == ["Cached", "Mapped", "Skipped", "Success"]
    assert sorted(below["Pending"]) == ["Paused", "Pending", "Resume", "Retrying", "Scheduled"]
    assert set(below["State"]) == STATE_NAMES | {"State"}
    assert below["Cancelled"] == ["Cancelled"]
    assert state_colors().keys() == STATE_NAMES
