"""Why a run is where it is: the one thing that it waits for, since when, and who could change that.

Pure.  The rules look at the run as the queue does, so that what is said is what is enforced.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final

from flowstead_server.domain.states import FINISHED_NAMES, SCHEDULED_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

# An agent that has not asked for longer is taken for gone, as 1.x does.
LIVE_FOR: Final = timedelta(minutes=1)
# Signs of life come every 30 seconds; after this long without one another process may take the run's waiting tasks.
_SILENT_AFTER: Final = timedelta(seconds=40)
_UNITS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


class Reason(Enum):
    """What a run waits for, or what it is doing."""

    STARTS_LATER = "STARTS_LATER"
    PAUSED = "PAUSED"
    QUEUED = "QUEUED"
    NOT_SCHEDULED = "NOT_SCHEDULED"
    NO_AGENT = "NO_AGENT"
    CONCURRENCY_LIMIT = "CONCURRENCY_LIMIT"
    AGENT_EXPECTED = "AGENT_EXPECTED"
    CLAIMED = "CLAIMED"
    RUNNING = "RUNNING"
    TASKS_WAIT = "TASKS_WAIT"
    SILENT = "SILENT"
    CANCELLING = "CANCELLING"
    FINISHED = "FINISHED"


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """An agent, compared with the labels of a run. `missing`: the run's labels that it lacks."""

    id: UUID
    name: str | None
    type: str | None
    labels: Sequence[str]
    last_queried: datetime
    is_live: bool
    fits: bool
    missing: Sequence[str]


@dataclass(frozen=True, slots=True)
class LimitFacts:
    """A concurrency limit that a run, or a task run of it, is under.

    `kind`: label, flow or tag. `reserved`: slots that are kept for other runs, whose processes wait. `holders`: id and
    name of runs that hold slots, up to five for a label or flow.
    """

    kind: str
    name: str
    places: int
    held: int
    reserved: int
    holders: Sequence[tuple[UUID, str | None]]


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run, the agents that fit best, and figures about all agents of the tenant; times are aware.

    `claimed_start_time`: of a Submitted run, when the state that was claimed is due.
    """

    id: UUID
    state: str | None
    state_message: str | None
    state_timestamp: datetime | None
    state_start_time: datetime | None
    queue_time: datetime | None
    claimed_start_time: datetime | None
    labels: Sequence[str]
    agent_id: UUID | None
    agent_name: str | None
    heartbeat: datetime | None
    now: datetime
    waiting_task_runs: int
    next_task_run: datetime | None
    live_agents: int
    live_fitting_agents: int
    last_fitting_query: datetime | None
    agents: Sequence[AgentFacts]
    limits: Sequence[LimitFacts] = ()
    queued_task_runs: int = 0


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer. `since`: from when on it has been so; `until`: when it ends by itself, null if nobody knows."""

    reason: Reason
    message: str
    since: datetime | None
    until: datetime | None = None
    agents: Sequence[AgentFacts] = ()


def explain(run: RunFacts) -> Explanation:
    """Say why a run is where it is."""
    state, since = run.state, run.state_timestamp
    if state in FINISHED_NAMES:
        return Explanation(Reason.FINISHED, f"The run is finished: {_state(run)}", since)
    if state == "Cancelling":
        whose = f"its process, started by {_claimer(run)}," if run.agent_id else "its process"
        return Explanation(Reason.CANCELLING, f"The run is being cancelled: {whose} has yet to end.", since)
    if state == "Running":
        return _running(run)
    if state == "Submitted":
        return _submitted(run)
    if state in SCHEDULED_NAMES:
        return _scheduled(run)
    return Explanation(
        Reason.NOT_SCHEDULED, f"No agent takes a run that is {_state(run)} It has to become Scheduled first.", since
    )


def _running(run: RunFacts) -> Explanation:
    full = _full_limit(run, "tag")
    if run.queued_task_runs and full is not None:
        several = run.queued_task_runs > 1
        wait = "task runs of the run wait" if several else "task run of the run waits"
        text = f"{run.queued_task_runs} {wait}: {full}"
        # as long as others run, the run does
        reason = Reason.CONCURRENCY_LIMIT if run.waiting_task_runs else Reason.RUNNING
        return Explanation(reason, text, run.state_timestamp)
    if run.waiting_task_runs and run.next_task_run is not None:
        number = _count(run.waiting_task_runs, "task run")
        if run.next_task_run > run.now:
            text = (
                f"No task of the run is running: {number} waiting, the next one {_ahead(run.next_task_run, run.now)}."
            )
            return Explanation(Reason.TASKS_WAIT, text, run.state_timestamp, run.next_task_run)
        if run.heartbeat is None or run.heartbeat <= run.now - _SILENT_AFTER:
            waits = _agents(run, run.next_task_run)
            text = f"The run goes on in a new process: {number} due. {waits.message}"
            return Explanation(waits.reason, text, waits.since, None, waits.agents)
    if run.heartbeat is not None and run.heartbeat < run.now - _SILENT_AFTER:
        text = f"The run is Running, but its process has given no sign of life for {_length(run.now - run.heartbeat)}."
        return Explanation(Reason.SILENT, text, run.heartbeat)
    by = f", started by {_claimer(run)}" if run.agent_id is not None else ""
    return Explanation(Reason.RUNNING, f"The run is running{by}.", run.state_timestamp)


def _submitted(run: RunFacts) -> Explanation:
    start = run.claimed_start_time
    if start is not None and start > run.now:
        text = f"The run starts {_ahead(start, run.now)}; {_claimer(run)} has it already."
        return Explanation(Reason.STARTS_LATER, text, run.state_timestamp, start)
    text = f"{_claimer(run)} has claimed the run, which is not yet running"
    text = f"{text[0].upper()}{text[1:]}"
    if run.state_timestamp is not None:
        text += f" after {_length(run.now - run.state_timestamp)}"
    lease = run.queue_time
    if lease is None:
        # an agent of 1.x has it, whose claims have no end
        return Explanation(Reason.CLAIMED, f"{text}.", run.state_timestamp)
    if lease > run.now:
        text += "; unless the agent keeps its claim or starts the run, it goes to another"
        return Explanation(Reason.CLAIMED, f"{text} {_ahead(lease, run.now)}.", run.state_timestamp, lease)
    waits = _agents(run, lease)
    return Explanation(waits.reason, f"{text}, and the claim has ended. {waits.message}", lease, None, waits.agents)


def _scheduled(run: RunFacts) -> Explanation:
    start = run.state_start_time
    if start is None:
        reason = Reason.QUEUED if run.state == "Queued" else Reason.PAUSED
        return Explanation(reason, f"The run waits until somebody resumes it: {_state(run)}", run.state_timestamp)
    full = _full_limit(run, "label", "flow")
    if run.state == "Queued" and full is not None:
        return Explanation(Reason.CONCURRENCY_LIMIT, full, run.state_timestamp)
    if start > run.now:
        reason = {"Queued": Reason.QUEUED, "Paused": Reason.PAUSED}.get(run.state or "", Reason.STARTS_LATER)
        what = f"is {run.state} and" if run.state in {"Queued", "Paused", "Retrying"} else ""
        text = f"The run {what} starts {_ahead(start, run.now)}.".replace("  ", " ")
        if run.state == "Queued" and run.state_message:
            text += f" {run.state_message}"
        return Explanation(reason, text, run.state_timestamp, start, run.agents)
    if run.queue_time is not None and run.queue_time > run.now:
        text = "An agent that polls has been handed the run and has yet to submit it"
        text += f"; unless it does, the run goes to another {_ahead(run.queue_time, run.now)}."
        return Explanation(Reason.AGENT_EXPECTED, text, start, run.queue_time, run.agents)
    return _agents(run, start)


def _full_limit(run: RunFacts, *kinds: str) -> str | None:
    """Say which limit has no slot for the run, and who has them; null if all have."""
    waits_inside = run.state == "Queued" and run.queue_time is not None and run.queue_time > run.now
    for limit in run.limits:
        kept = 0 if waits_inside else limit.reserved
        if limit.kind not in kinds or limit.held + kept < limit.places:
            continue
        what = "task tag limit" if limit.kind == "tag" else f"concurrency limit of the {limit.kind}"
        text = f"The {what} {limit.name!r} ({limit.places})"
        if limit.places == 0:
            return f"{text} lets nothing start. Raise it."
        parts = []
        if limit.holders:
            more = limit.held - len(limit.holders) if limit.kind != "tag" else 0
            named = ", ".join(repr(name) if name else str(ident) for ident, name in limit.holders)
            parts.append(f"held by {named}{f' and {more} more' if more > 0 else ''}")
        if kept:
            parts.append(f"{_count(kept, 'slot')} kept for waiting processes")
        return f"{text} is full: {'; '.join(parts)}."
    return None


def _agents(run: RunFacts, due: datetime) -> Explanation:
    """For a run that is due: a limit that is full, whether an agent is there to take it, or which ones come closest."""
    full = _full_limit(run, "label", "flow")
    if full is not None:
        if not run.live_fitting_agents:
            full += f" {_fitting(run, due).message}"
        return Explanation(Reason.CONCURRENCY_LIMIT, full, due, None, run.agents)
    return _fitting(run, due)


def _fitting(run: RunFacts, due: datetime) -> Explanation:
    if run.live_fitting_agents:
        if run.live_fitting_agents == 1:
            text = f"{_named(run.agents[0])} may take the run, and should as soon as it has room."
        else:
            text = f"{run.live_fitting_agents} live agents may take the run; one of them should as soon as it has room."
        return Explanation(Reason.AGENT_EXPECTED, text, due, None, run.agents)
    since = due if run.last_fitting_query is None else max(due, run.last_fitting_query + LIVE_FOR)
    wanted = f"the labels {_set(run.labels)}" if run.labels else "no labels"
    if not run.live_agents:
        text = "No agent has asked for runs within the last minute."
    elif run.labels:
        text = f"None of the live agents ({run.live_agents}) has all the labels {_set(run.labels)} of the run."
    else:
        text = (
            f"The run has no labels, but all live agents ({run.live_agents}) have some, and take only runs with labels."
        )
    for agent in run.agents:
        if agent.fits:
            text += f" {_named(agent)} fits, but was last seen {_length(run.now - agent.last_queried)} ago."
    closest = [agent for agent in run.agents if agent.is_live and not agent.fits][:3]
    if closest:
        parts = [
            f"{_named(agent)} lacks {_set(agent.missing)}"
            if run.labels
            else f"{_named(agent)} has {_set(agent.labels)}"
            for agent in closest
        ]
        text += f" Closest: {'; '.join(parts)}."
    return Explanation(Reason.NO_AGENT, f"{text} Start an agent with {wanted}.", since, None, run.agents)


def _state(run: RunFacts) -> str:
    message = (run.state_message or "").strip()
    return f"{run.state}: {message}" if message else f"{run.state}."


def _claimer(run: RunFacts) -> str:
    if run.agent_id is None:
        return "an agent"
    return f"agent {run.agent_name!r}" if run.agent_name else f"agent {run.agent_id}"


def _named(agent: AgentFacts) -> str:
    return f"Agent {agent.name!r}" if agent.name else f"Agent {agent.id}"


def _set(labels: Sequence[str]) -> str:
    return f"{{{', '.join(map(repr, labels))}}}"


def _count(number: int, what: str) -> str:
    return f"{number} {what} is" if number == 1 else f"{number} {what}s are"


def _length(length: timedelta) -> str:
    seconds = max(int(length.total_seconds()), 0)
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= size), (1, "second"))
    number = seconds // size
    return f"{number} {unit}{'' if number == 1 else 's'}"


def _ahead(moment: datetime, now: datetime) -> str:
    # rounded up, so that a start in ten minutes is not one in nine
    ahead = moment - now + timedelta(milliseconds=999)
    return f"in {_length(ahead)} ({moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC)"
