"""Following a flow run until it is finished: log lines and states live, and why nothing happens when nothing does.

A broken connection is said once and the tail goes on where it was.  Ctrl-C asks whether to cancel the run; the exit
code is 0 only if the run succeeded.
"""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from flowstead_cli.commands.run import report_outcome
from flowstead_cli.errors import CliError
from flowstead_cli.output.lines import GREEN, YELLOW, say
from flowstead_cli.output.tail import Line, Progress, Screen, now, open_screen, ticking
from flowstead_cli.processes import TerminationRequested, raise_on_termination

if TYPE_CHECKING:
    from prefect._generated.types import EventPage
    from prefect.client.session import Session

__all__ = ["lines_of", "watch"]

_FIRST_WARNING = 15
_WARNING_INTERVAL = 30
_TAKEN = frozenset({"Submitted", "Running", "Cancelling"})


def watch(session: "Session", flow_run_id: str, *, logs: bool = True, quiet: bool = False) -> int:
    """Show a run until it is finished, then how it ended; returns the exit code.

    Args:
        session: to the API that has the run.
        flow_run_id: the run.
        logs: whether to show log lines; states are always shown.
        quiet: print neither headline nor outcome.

    Raises:
        prefect.exceptions.ClientError: the API does not know the run, or cannot be reached for good.
    """
    if not quiet:
        say("Watching flow run execution...")
    try:
        with raise_on_termination():
            _follow(session, flow_run_id, logs=logs)
    except TerminationRequested:
        # Nobody is there to be asked; the terminal is restored already.
        raise
    except KeyboardInterrupt:
        return _interrupted(session, flow_run_id)
    from prefect._generated import operations as ops

    end = session.execute(ops.flow_run_progress(id=flow_run_id))
    if end is None:
        raise CliError(f"Flow run {flow_run_id} does not exist any more.")
    return report_outcome(end.state or "unknown", end.state_message, quiet=quiet)


def _follow(session: "Session", flow_run_id: str, *, logs: bool) -> None:
    from prefect.client.live import Reconnecting, follow_flow_run

    progress = Progress()
    warnings = _AgentWarnings(session, flow_run_id)
    with open_screen(progress) as screen:
        for page in ticking(lambda: follow_flow_run(session, flow_run_id)):
            if page is None:
                warnings.tick(progress, screen)
            elif isinstance(page, Reconnecting):
                progress.note = "connection lost, reconnecting"
                screen.write([Line(now(), "WARNING", f"Lost the connection to the API ({page}); reconnecting.")])
            else:
                progress.note = ""
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
                progress.task_states[event.task_run_id] = event.state or "Pending"
        else:
            progress.state = event.state or progress.state
            yield Line(event.timestamp, "INFO", f"Entered state <{event.state}>: {event.message or ''}")


def _interrupted(session: "Session", flow_run_id: str) -> int:
    from prefect._generated import operations as ops

    say("\nKeyboard interrupt detected!")
    cancel = False
    if sys.stdin.isatty():
        try:
            cancel = typer.confirm(
                "The flow run goes on executing when you exit now. Do you want to cancel this flow run?", default=True
            )
        except (typer.Abort, KeyboardInterrupt):
            say()
    if not cancel:
        say("Exiting without cancelling flow run!", YELLOW)
        raise typer.Abort
    session.execute(ops.cancel_flow_run(flow_run_id=flow_run_id))
    say("Cancelled flow run.", GREEN)
    return 0


class _AgentWarnings:
    """Says why a run waits when no agent takes it: after 15 seconds, and every 30 seconds from then on."""

    def __init__(self, session: "Session", flow_run_id: str) -> None:
        self._session = session
        self._flow_run_id = flow_run_id
        self._next = _FIRST_WARNING

    def tick(self, progress: Progress, screen: Screen) -> None:
        """Warn if it is time to."""
        if progress.state in _TAKEN or progress.elapsed < self._next:
            return
        elapsed = progress.elapsed
        self._next = elapsed + _WARNING_INTERVAL
        from prefect._generated import operations as ops
        from prefect.backend.agents import agent_hint
        from prefect.exceptions import ClientError

        try:
            run = self._session.execute(ops.flow_run_view(id=self._flow_run_id))
            agents = self._session.execute(ops.agents())
        except ClientError:
            # The tail itself says when the API is away.
            return
        if run is None or run.state in _TAKEN:
            return
        sentence = agent_hint(run.labels or [], agents)
        screen.write(
            [
                Line(
                    now(),
                    "WARNING",
                    f"It has been {elapsed} seconds and your flow run has not been submitted by an agent. {sentence}",
                )
            ]
        )
