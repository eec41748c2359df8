"""What the tail says while a run waits, and what it says at the end."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from flowstead_cli import waiting
from flowstead_cli.output.summary import duration, render_summary, summary_as_json
from flowstead_cli.output.tail import Progress, TaskRun
from flowstead_cli.waiting import WaitReasons
from prefect._generated.enums import FlowRunReason
from prefect.exceptions import ClientError

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


class World:
    """An API that explains, a clock, and a screen that remembers."""

    def __init__(self):
        self.clock = Clock()
        self.reason = "NO_AGENT"
        self.agents = []
        self.until = None
        self.lines = []
        self.away = False

    def execute(self, _request, **_options):
        if self.away:
            raise ClientError("away")
        return SimpleNamespace(
            reason=FlowRunReason(self.reason),
            message=f"because {self.reason}",
            since=NOON,
            until=self.until,
            labels=["x"],
            agents=self.agents,
        )

    def write(self, lines):
        self.lines += [(line.level, line.message) for line in lines]


@pytest.fixture
def world(monkeypatch):
    world = World()
    monkeypatch.setattr(waiting, "time", world.clock)
    return world


def said(world, reasons, progress, *seconds):
    """Tick at these seconds after the beginning; return what was said by the second."""
    found = {}
    for second in seconds:
        world.clock.now = 1000.0 + second
        before = len(world.lines)
        reasons.tick(progress, world)
        if world.lines[before:]:
            found[second] = world.lines[before:]
    return found


def test_a_run_that_no_agent_may_take_says_so_soon_and_then_every_30_seconds(world):
    reasons, progress = WaitReasons(world, "id"), Progress()
    found = said(world, reasons, progress, *range(1, 80))
    local = NOON.astimezone()
    assert found[1] == [("WARNING", f"Waiting since {local:%H:%M:%S}: because NO_AGENT")]
    assert progress.waits_for == "no agent with labels {'x'}"
    (first, second, third) = list(found)[1:]
    assert found[first] == [
        (
            "WARNING",
            f"It has been {first} seconds and your flow run has not been submitted by an agent. because NO_AGENT",
        )
    ]
    assert 15 <= first <= 20
    assert 30 <= second - first <= 35
    assert 30 <= third - second <= 35


def test_an_agent_that_should_take_the_run_gets_15_seconds(world):
    world.reason = "AGENT_EXPECTED"
    found = said(world, WaitReasons(world, "id"), Progress(), *range(1, 25))
    assert [15 <= second <= 20 for second in found] == [True]
    world.reason = "CLAIMED"
    late = said(world, WaitReasons(world, "id"), Progress(), *range(25, 50))
    ((_, text),) = next(iter(late.values()))
    assert "has not been started by an agent" in text


def test_a_run_that_starts_later_says_it_once_and_its_agents_have_their_time_from_then_on(world):
    world.reason, world.until = "STARTS_LATER", NOON
    reasons, progress = WaitReasons(world, "id"), Progress()
    found = said(world, reasons, progress, *range(1, 100))
    assert found == {1: [("INFO", "because STARTS_LATER")]}
    assert progress.waits_for == f"starts at {NOON.astimezone():%H:%M:%S}"
    world.reason = "AGENT_EXPECTED"
    assert said(world, reasons, progress, *range(100, 110)) == {}
    assert len(said(world, reasons, progress, *range(110, 125))) == 1


def test_news_about_agents_is_said_at_once(world):
    reasons, progress = WaitReasons(world, "id"), Progress()
    said(world, reasons, progress, *range(1, 20))
    world.agents = [SimpleNamespace(id="a", is_live=True, may_take=False)]
    assert len(said(world, reasons, progress, *range(20, 27))) == 1


def test_nothing_is_said_of_runs_that_go_on_or_are_over_or_while_the_api_is_away(world):
    world.reason = "RUNNING"
    reasons = WaitReasons(world, "id")
    assert said(world, reasons, Progress(), *range(1, 60)) == {}
    world.reason = "NO_AGENT"
    assert said(world, reasons, Progress(state="Success"), *range(60, 90)) == {}
    world.away = True
    assert said(world, reasons, Progress(), *range(90, 120)) == {}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 seconds"), (0.34, "0.3 seconds"), (12.4, "12 seconds"), (307, "5:07 minutes"), (3603, "1:00:03 hours")],
)
def test_durations(seconds, text):
    assert duration(timedelta(seconds=seconds)) == text


def runs(*states):
    return {
        str(number): TaskRun(str(number), name, index, state, message)
        for number, (name, index, state, message) in enumerate(states)
    }


def test_the_summary_counts_and_names_what_failed():
    progress = Progress(
        task_runs=runs(
            ("after", -1, "TriggerFailed", "a trigger"),
            ("load", 3, "Failed", "ValueError('no')\nsecond line " + "x" * 300),
            ("load", 0, "Success", "fine"),
            ("load[1]", 1, "Success", "fine"),
        )
    )
    text = render_summary(progress, NOON, NOON + timedelta(seconds=2))
    head, failed, took = text.split("\n\n")
    assert head.splitlines()[0] == "STATE          TASK RUNS"
    assert sorted(head.splitlines()[1:]) == ["Failed         1", "Success        2", "TriggerFailed  1"]
    first, second = failed.splitlines()[1:]
    assert first.startswith("load[3]          Failed         ValueError('no') second line xxx")
    assert first.endswith("…")
    assert second == "after            TriggerFailed  a trigger"
    assert took == "Duration: 2.0 seconds"
    (one, _) = summary_as_json(progress)["failed_task_runs"]
    assert (one["name"], one["state"]) == ("load[3]", "Failed")
    assert summary_as_json(progress)["task_runs"] == {"Success": 2, "TriggerFailed": 1, "Failed": 1}


def test_the_summary_of_a_run_that_never_ran_is_empty_and_a_long_one_is_cut():
    assert render_summary(Progress(), None, NOON) == ""
    many = Progress(task_runs=runs(*(("t", number, "Failed", "no") for number in range(30))))
    assert "... and 10 more failed task runs." in render_summary(many, None, None)
