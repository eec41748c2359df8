"""Following a flow run until it is finished: log lines and states live, and why nothing happens when nothing does.

A broken connection is said once and the tail goes on where it was.  Ctrl-C leaves the run alone, unless its user wants
it cancelled; the exit code is 0 only if the run succeeded.
"""

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

import typer

from flowstead_cli.commands.run import report_outcome
from flowstead_cli.created import run_as_json
from flowstead_cli.errors import CliError
from flowstead_cli.output.lines import GREEN, YELLOW, say
from flowstead_cli.output.summary import render_summary, summary_as_json
from flowstead_cli.output.tail import (
    FINISHED_STATES,
    Line,
    Progress,
    TaskRun,
    now,
    open_screen,
    ticking,
    without_controls,
)
from flowstead_cli.processes import TerminationRequested, raise_on_termination
from flowstead_cli.waiting import WaitReasons

if TYPE_CHECKING:
    from prefect._generated.types import EventPage
    from prefect.client.session import Session

__all__ = ["how_to_cancel", "lines_of", "watch"]


def watch(
    session: "Session",
    flow_run_id: str,
    *,
    logs: bool = True,
    quiet: bool = False,
    as_json: bool = False,
    after: str | None = None,
) -> int:
    """Show a run until it is finished, then how it ended; returns the exit code.

    Args:
        session: to the API that has the run.
        flow_run_id: the run.
        logs: whether to show log lines; states are always shown.
        quiet: print neither headline nor summary and outcome.
        as_json: print the run as a JSON object when it is finished; lines go to standard error.
        after: cursor of the events to begin after; all of them are shown by default.

    Raises:
        prefect.exceptions.ClientError: the API does not know the run, or cannot be reached for good.
    """
    if not (quiet or as_json):
        say("Watching flow run execution...")
    progress = Progress()
    try:
        with raise_on_termination():
            stream = sys.stderr if as_json else sys.stdout
            _follow(session, flow_run_id, progress, logs=logs, stream=stream, after=after)
    except TerminationRequested:
        # Nobody is there to be asked; the terminal is restored already.
        raise
    except KeyboardInterrupt:
        return _interrupted(session, flow_run_id, sys.stderr if as_json else sys.stdout)
    from prefect._generated import operations as ops

    end = session.execute(ops.flow_run_progress(id=flow_run_id))
    if end is None:
        raise CliError(f"Flow run {flow_run_id} does not exist any more.")
    if as_json:
        say(json.dumps({**run_as_json(session, flow_run_id), **summary_as_json(progress)}, indent=2))
    elif not quiet:
        summary = render_summary(progress, end.start_time, end.end_time)
        if summary:
            say(f"\n{without_controls(summary)}\n")
    return report_outcome(end.state or "unknown", end.state_message, quiet=quiet or as_json)


def _follow(
    session: "Session", flow_run_id: str, progress: Progress, *, logs: bool, stream: TextIO, after: str | None
) -> None:
    from prefect.client.live import Reconnecting, follow_flow_run

    reasons = WaitReasons(session, flow_run_id)
    with open_screen(progress, stream) as screen:
        for page in ticking(lambda: follow_flow_run(session, flow_run_id, after)):
            if page is None:
                if not progress.note:
                    reasons.tick(progress, screen)
            elif isinstance(page, Reconnecting):
                progress.note = "connection lost, reconnecting"
                screen.write([Line(now(), "WARNING", f"Lost the connection to the API ({page}); reconnecting.")])
            else:
                progress.note = progress.waits_for = ""
                lines = list(lines_of(page, progress, logs=logs))
                if lines:
                    screen.write(lines)


def lines_of(page: "EventPage", progress: Progress, *, logs: bool) -> Iterator[Line]:
    """Yield the lines that a page of events shows, and bring the progress up to date."""
    for event in page.events:
        if event.kind == "LOG":
            if logs:
                yield Line(event.timestamp, event.level or "INFO", event.message or "")
        elif event.kind == "TASK_RUN_STATE":
            if event.task_run_id is not None:
                progress.task_runs[event.task_run_id] = TaskRun(
                    id=event.task_run_id,
                    name=event.task_name or "task",
                    map_index=-1 if event.map_index is None else event.map_index,
                    state=event.state or "Pending",
                    message=event.message,
                )
        else:
            progress.state = event.state or progress.state
            yield Line(event.timestamp, "INFO", f"Entered state <{event.state}>: {event.message or ''}")


def how_to_cancel(flow_run_id: str) -> str:
    """Return what to say to somebody who stops watching a run."""
    return f"The flow run goes on. Cancel it with `prefect cancel {flow_run_id}`."


def _interrupted(session: "Session", flow_run_id: str, stream: TextIO) -> int:
    from prefect._generated import operations as ops
    from prefect.exceptions import ClientError

    print("\nKeyboard interrupt detected!", file=stream, flush=True)
    cancel = False
    if sys.stdin.isatty():
        try:
            cancel = typer.confirm(
                "The flow run goes on executing when you exit now. Do you want to cancel this flow run?",
                default=False,
                err=stream is sys.stderr,
            )
        except (typer.Abort, KeyboardInterrupt):
            print(file=stream)
    if not cancel:
        say("Exiting without cancelling flow run!", YELLOW, stream=stream)
        say(how_to_cancel(flow_run_id), stream=stream)
        raise typer.Abort
    try:
        answer = session.execute(ops.cancel_flow_run(flow_run_id=flow_run_id))
    except ClientError as error:
        raise CliError(f"The flow run could not be cancelled: {error}") from error
    if answer.state in FINISHED_STATES - {"Cancelled"}:
        raise CliError(f"The flow run was finished already: it is {answer.state}.")
    say("Cancelled flow run.", GREEN, stream=stream)
    return 0
