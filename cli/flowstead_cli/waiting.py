"""Why a watched run does not go on, as the API explains it: said when it is known, and again when it changes.

A run that starts later, or that no agent may take, says so at once.  An agent that should take the run gets 15 seconds
before anything is said.  While the API is away nothing is said here: the tail itself does.
"""

import time
from typing import TYPE_CHECKING

from flowstead_cli.output.tail import FINISHED_STATES, Line, Progress, Screen, now

if TYPE_CHECKING:
    from prefect._generated.types import FlowRunExplanation
    from prefect.client.session import Session

__all__ = ["WaitReasons", "short_reason"]

_FIRST_LOOK = 1.0
_LOOK_INTERVAL = 5.0
_PATIENCE = 15.0
_WARNING_INTERVAL = 30.0
# Nobody can hurry these; they are said once.
_BY_ITSELF = frozenset({"STARTS_LATER", "PAUSED", "QUEUED", "CONCURRENCY_LIMIT", "TASKS_WAIT", "SILENT"})
_BY_AGENTS = frozenset({"NO_AGENT", "AGENT_EXPECTED", "CLAIMED"})


class WaitReasons:
    """Says why a run waits.  `tick` is called about every second while nothing else happens."""

    def __init__(self, session: "Session", flow_run_id: str) -> None:
        self._session = session
        self._flow_run_id = flow_run_id
        self._due_since = time.monotonic()
        self._next_look = self._due_since + _FIRST_LOOK
        self._next_warning = 0.0
        self._said: tuple[object, ...] | None = None

    def tick(self, progress: Progress, screen: Screen) -> None:
        """Ask and say why the run waits, if it is time to."""
        moment = time.monotonic()
        if progress.state in FINISHED_STATES or moment < self._next_look:
            return
        self._next_look = moment + _LOOK_INTERVAL
        explanation = self._ask()
        if explanation is None:
            return
        reason = explanation.reason.value
        progress.waits_for = short_reason(explanation)
        if reason not in _BY_AGENTS:
            self._due_since = moment
            self._next_warning = 0.0
        line = self._line(explanation, moment)
        if line is not None:
            screen.write([line])

    def _ask(self) -> "FlowRunExplanation | None":
        from prefect._generated import operations as ops
        from prefect.exceptions import ClientError

        try:
            return self._session.execute(ops.flow_run_explanation(flow_run_id=self._flow_run_id), retry_for=0)
        except ClientError:
            return None

    def _line(self, explanation: "FlowRunExplanation", moment: float) -> Line | None:
        reason = explanation.reason.value
        agents = tuple((agent.id, agent.is_live, agent.may_take) for agent in explanation.agents)
        held = explanation.message if reason == "CONCURRENCY_LIMIT" else None
        about = (reason, explanation.until, agents, held)
        waited = moment - self._due_since
        is_news = about != self._said and (reason in _BY_ITSELF or reason == "NO_AGENT")
        is_late = reason in _BY_AGENTS and waited >= _PATIENCE
        if not (is_news or (is_late and moment >= self._next_warning)):
            return None
        self._said = about
        if not is_late:
            level = "WARNING" if reason in {"NO_AGENT", "SILENT"} else "INFO"
            return Line(now(), level, _sentence(explanation))
        self._next_warning = moment + _WARNING_INTERVAL
        what = "started" if reason == "CLAIMED" else "submitted"
        text = f"It has been {int(waited)} seconds and your flow run has not been {what} by an agent."
        return Line(now(), "WARNING", f"{text} {explanation.message}")


def _sentence(explanation: "FlowRunExplanation") -> str:
    if explanation.reason.value not in {"NO_AGENT", "SILENT"} or explanation.since is None:
        return explanation.message
    return f"Waiting since {explanation.since.astimezone():%H:%M:%S}: {explanation.message}"


def short_reason(explanation: "FlowRunExplanation") -> str:
    """Return why a run waits in a few words for the status line; nothing while it does not wait."""
    reason = explanation.reason.value
    until = explanation.until
    at = f" {until.astimezone():%H:%M:%S}" if until is not None else ""
    labels = f" with labels {{{', '.join(map(repr, explanation.labels))}}}" if explanation.labels else " without labels"
    return {
        "STARTS_LATER": f"starts at{at}",
        "PAUSED": "paused",
        "QUEUED": "queued",
        "NO_AGENT": f"no agent{labels}",
        "AGENT_EXPECTED": "waits for its agent",
        "CONCURRENCY_LIMIT": "waits for a slot",
        "CLAIMED": "being started",
        "TASKS_WAIT": f"tasks wait until{at}",
        "SILENT": "no sign of life",
    }.get(reason, "")
