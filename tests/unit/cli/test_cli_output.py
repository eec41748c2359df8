"""Tables, ages, the lines of the tail, and the ticks between its pages."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

from flowstead_cli.output.lines import summary
from flowstead_cli.output.listings import as_json
from flowstead_cli.output.tables import age, render_table
from flowstead_cli.output.tail import (
    Line,
    PlainScreen,
    Progress,
    TaskRun,
    for_this_output,
    format_line,
    ticking,
    without_controls,
)

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("delta", "text"),
    [
        (timedelta(0), "0 seconds ago"),
        (timedelta(seconds=1), "1 second ago"),
        (timedelta(seconds=59), "59 seconds ago"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=23, minutes=59), "23 hours ago"),
        (timedelta(days=3), "3 days ago"),
        (timedelta(days=8), "1 week ago"),
        (timedelta(days=800), "2 years ago"),
        (timedelta(minutes=-5), "in 5 minutes"),
    ],
)
def test_ages_are_humanised(delta, text):
    assert age(NOON - delta, NOON) == text
    assert age((NOON - delta).isoformat(), NOON) == text


def test_no_moment_has_no_age():
    assert age(None) == ""


def test_a_table_has_left_aligned_columns_and_empty_cells_for_null():
    table = render_table(["NAME", "ID"], [("a", 1), ("longer\nname", None)])
    assert table == "NAME         ID\na            1\nlonger name"


def test_an_empty_table_is_its_header():
    assert render_table(["NAME", "ID"], []) == "NAME  ID"


def test_json_rows_have_iso_moments():
    assert json.loads(as_json([{"at": NOON}])) == [{"at": "2024-05-01T12:00:00+00:00"}]


def test_the_bar_is_centred():
    assert summary((1, "registered", None), (0, "skipped", None)) == f"{'=' * 24} 1 registered {'=' * 24}"
    assert summary((1, "registered", None), (2, "skipped", None)) == f"{'=' * 18} 1 registered, 2 skipped {'=' * 18}"
    assert summary((1, "x" * 80, None)).startswith("== ")


def test_a_line_shows_local_time_level_and_message():
    local = NOON.astimezone()
    assert format_line(Line(NOON, "INFO", "hello")) == f"└── {local:%H:%M:%S} | INFO    | hello"


@pytest.mark.parametrize(
    ("level", "style"),
    [
        ("CRITICAL", "red"),
        ("ERROR", "red"),
        ("WARNING", "yellow"),
        ("INFO", ""),
        ("DEBUG", "dim"),
        ("Level 15", ""),
        ("Level 45", "red"),
        ("odd", ""),
    ],
)
def test_lines_are_coloured_by_level(level, style):
    assert Line(NOON, level, "").style == style


def test_progress_counts_finished_task_runs():
    states = ["Success", "Running", "Failed", "Retrying"]
    runs = {name: TaskRun(name, name, -1, state) for name, state in zip("abcd", states, strict=True)}
    progress = Progress(state="Running", task_runs=runs)
    assert progress.finished_tasks == 2
    assert str(progress).startswith("Running · 0:00 · 2/4 task runs")


def test_the_plain_screen_writes_lines_at_once(capsys):
    with PlainScreen() as screen:
        screen.write([Line(NOON, "INFO", "one\ntwo"), Line(NOON, "ERROR", "three")])
        written = capsys.readouterr().out
    assert [line.rpartition("| ")[2] for line in written.splitlines()] == ["one", "two", "three"]
    assert "\x1b" not in written


def test_ticks_come_while_the_source_is_silent():
    go_on = threading.Event()

    def source():
        yield 1
        assert go_on.wait(30)
        yield 2

    seen = []
    for value in ticking(source, interval=0.01):
        seen.append(value)
        if value is None:
            go_on.set()
    assert [value for value in seen if value is not None] == [1, 2]
    assert None in seen


def test_errors_of_the_source_are_raised():
    def source():
        yield 1
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        list(ticking(source))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünï 🚀\n\ttwo", "plain ünï 🚀\n\ttwo"),
        ("\x1b[31mred\x07", "\ufffd[31mred\ufffd"),
        ("over\rwritten\n", "over\ufffdwritten\n"),
        ("", ""),
    ],
)
def test_what_a_flow_wrote_cannot_steer_the_terminal(text, shown):
    assert without_controls(text) == shown


def test_only_a_terminal_is_protected(monkeypatch):
    assert for_this_output("\x1b[31m") == "\x1b[31m"
    assert for_this_output(None) == ""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert for_this_output("\x1b[31m") == "\ufffd[31m"
