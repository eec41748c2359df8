"""The end of a watched run in a few lines: its task runs by state, what failed and why, and how long it took."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from flowstead_cli.output.tables import render_table
from flowstead_cli.output.tail import Progress, TaskRun

__all__ = ["FAILED_STATES", "duration", "render_summary", "summary_as_json"]

FAILED_STATES = frozenset({"Failed", "TimedOut", "TriggerFailed", "ValidationFailed"})
_MOST_FAILED = 20
_MOST_TEXT = 200
_WITH_TENTHS = 10


def duration(length: timedelta) -> str:
    """Return a length of time such as `0.3 seconds`, `12 seconds`, `5:07 minutes` or `1:00:03 hours`."""
    seconds = max(length.total_seconds(), 0)
    if seconds < _WITH_TENTHS:
        return f"{seconds:.1f} seconds"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02} hours"
    return f"{minutes}:{rest:02} minutes" if minutes else f"{rest} seconds"


def render_summary(progress: Progress, start: datetime | None, end: datetime | None) -> str:
    """Return the summary of a run that is over.

    Args:
        progress: all that was seen of the run.
        start: when it began to run, None if it never did.
        end: when it ended.
    """
    parts = []
    if progress.task_runs:
        counts = Counter(run.state for run in progress.task_runs.values())
        parts.append(render_table(["STATE", "TASK RUNS"], counts.most_common()))
    failed = _failed(progress.task_runs.values())
    if failed:
        rows = [(run.label, run.state, _short(run.message)) for run in failed[:_MOST_FAILED]]
        parts.append(render_table(["FAILED TASK RUN", "STATE", "MESSAGE"], rows))
        if len(failed) > _MOST_FAILED:
            parts.append(f"... and {len(failed) - _MOST_FAILED} more failed task runs.")
    if start is not None and end is not None:
        parts.append(f"Duration: {duration(end - start)}")
    return "\n\n".join(parts)


def summary_as_json(progress: Progress) -> dict[str, Any]:
    """Return what `--json` says about the task runs of a run that is over."""
    return {
        "task_runs": dict(Counter(run.state for run in progress.task_runs.values()).most_common()),
        "failed_task_runs": [
            {"id": run.id, "name": run.label, "state": run.state, "message": run.message}
            for run in _failed(progress.task_runs.values())
        ],
    }


def _failed(runs: Iterable[TaskRun]) -> list[TaskRun]:
    # what failed by itself before what failed in consequence
    found = [run for run in runs if run.state in FAILED_STATES]
    return sorted(found, key=lambda run: run.state == "TriggerFailed")


def _short(message: str | None) -> str:
    text = " ".join((message or "").split())
    return text if len(text) <= _MOST_TEXT else f"{text[: _MOST_TEXT - 1]}…"
