"""Following a flow run until it is finished: log lines and states live, and why nothing happens when nothing does.

A broken connection is said once and the tail goes on where it was.  Ctrl-C asks whether to cancel the run; the exit
code is 0 only if the run succeeded.
"""

import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import typer

from flowstead_cli.commands.run import report_outcome
from flowstead_cli.errors import CliError
from flowstead_cli.output.lines import GREEN, YELLOW, say
from flowstead_cli.output.tables import age, as_datetime
from flowstead_cli.output.tail import Line, Progress, Screen, now, open_screen, ticking
from flowstead_cli.processes import TerminationRequested, raise_on_termination

if TYPE_CHECKING:
    from prefect._generated.types import Agents, EventPage
    from prefect.client.session import Session

__all__ = ["agent_sentence", "lines_of", "watch"]

_FIRST_WARNING = 15
_WARNING_INTERVAL = 30
_HEALTHY_WITHIN = timedelta(minutes=1)
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
        from prefect.exceptions import ClientError

        try:
            run = self._session.execute(ops.flow_run_view(id=self._flow_run_id))
            agents = self._session.execute(ops.agents())
        except ClientError:
            # The tail itself says when the API is away.
            return
        if run is None or run.state in _TAKEN:
            return
        sentence = agent_sentence(list(run.labels or []), agents)
        screen.write(
            [
                Line(
                    now(),
                    "WARNING",
                    f"It has been {elapsed} seconds and your flow run has not been submitted by an agent. {sentence}",
                )
            ]
        )


def _matches(run_labels: set[str], agent: "Agents") -> bool:
    agent_labels = set(agent.labels or [])
    return run_labels <= agent_labels if run_labels else not agent_labels


def agent_sentence(labels: Sequence[str], agents: Sequence[Any]) -> str:
    """Return which agents could take a run with these labels, or what is missing."""
    wanted = set(labels)
    needed = f"labels {{{', '.join(repr(label) for label in sorted(wanted))}}}" if wanted else "empty labels"
    seen = [agent for agent in agents if agent.last_queried is not None]
    since = now() - _HEALTHY_WITHIN
    healthy = [agent for agent in seen if (as_datetime(agent.last_queried) or since) > since]
    matching = [agent for agent in healthy if _matches(wanted, agent)]
    asleep = [agent for agent in seen if agent not in healthy and _matches(wanted, agent)]

    def described(agent: Any) -> str:
        name = f" ({agent.name})" if agent.name else ""
        return f"Agent {agent.id}{name} has matching labels and last queried {age(agent.last_queried)}."

    if len(matching) == 1:
        return f"{described(matching[0])} It should deploy your flow run."
    if matching:
        return f"Found {len(matching)} healthy agents with matching labels. One of them should pick up your flow."
    if not healthy and not asleep:
        return (
            "There are no healthy agents in your tenant and it does not look like an agent with the required labels "
            f"has been run recently. Start an agent with {needed} to run your flow."
        )
    if len(asleep) == 1:
        return (
            f"{described(asleep[0])} Since it hasn't queried recently, it looks unhealthy. "
            f"Restart it or start a new agent with {needed} to deploy your flow run."
        )
    if asleep:
        return (
            f"Found {len(asleep)} agents with matching labels but they have not queried recently and look unhealthy. "
            f"Restart one of them or start a new agent with {needed} to deploy your flow run."
        )
    return (
        f"You have {len(healthy)} healthy agents in your tenant but do not have an agent with {needed}. "
        "Start an agent with matching labels to deploy your flow run."
    )
