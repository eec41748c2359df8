"""When a flow run counts as dead, and what becomes of it. All times are the database's; the clock is in the facts.

Dead means: no heartbeat for longer than the limit, while the servers received heartbeats all that time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

# An agent says three times per lease, usually every ten seconds, that it looks after a run.
FOLLOWED_FOR: Final = timedelta(seconds=90)
_RECEPTION_GAP: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class LivenessRules:
    """`limit`: how long a run may be silent. `attempts`: how often a lost run is put back before it is failed."""

    limit: timedelta = timedelta(seconds=600)
    attempts: int = 10

    @property
    def reception_gap(self) -> timedelta:
        """How long no server may have said that it receives heartbeats before the limit starts anew."""
        return min(self.limit / 4, _RECEPTION_GAP)


@dataclass(frozen=True, slots=True)
class Reception:
    """Since when the servers receive heartbeats without a break, and when one of them last said so."""

    since: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class RunningTask:
    """A task run in state Running. `retries`: how often it was Retrying. `cached_inputs` is JSON text or null."""

    id: UUID
    version: int
    name: str | None
    retries: int
    max_retries: int
    retry_delay: timedelta
    cached_inputs: str | None


@dataclass(frozen=True, slots=True)
class RunSigns:
    """All that is known of the life of a flow run, at the moment `now`.

    `lease_until`: when an agent is next needed, for a claimed run that is not yet started the end of its lease.
    `waiting_task_runs`: how many of its task runs wait for a time or run, without those in `running_tasks`.
    """

    id: UUID
    tenant_id: UUID
    state: str
    version: int
    claim_token: UUID | None
    label_set_id: int
    agent_name: str | None
    lease_until: datetime | None
    heartbeat: datetime | None
    beats: bool
    followed: datetime | None
    heartbeat_enabled: bool
    lazarus_enabled: bool
    times_resurrected: int
    waiting_task_runs: int
    running_tasks: Sequence[RunningTask]
    reception: Reception | None
    now: datetime


@dataclass(frozen=True, slots=True)
class TaskVerdict:
    """What becomes of a task run whose process is dead; `start_time` and `run_count` are for Retrying."""

    task: RunningTask
    state: str
    message: str
    start_time: datetime | None = None
    run_count: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a dead run: a state for some of its tasks, for itself (null: it stays as it is), and what to log.

    The claim ends in any case.
    """

    tasks: Sequence[TaskVerdict] = ()
    state: str | None = None
    message: str | None = None
    resurrects: bool = False


def is_silent(run: RunSigns, rules: LivenessRules) -> bool:
    """Say whether a run was silent for the whole limit, all of which somebody would have heard it."""
    if run.heartbeat is None or not run.heartbeat_enabled or run.heartbeat > run.now - rules.limit:
        return False
    heard = run.reception
    if heard is None or heard.last_seen < run.now - rules.reception_gap or heard.since > run.now - rules.limit:
        return False
    # A process with its heartbeats off is known by its agent only.
    return run.beats or not is_followed(run)


def is_followed(run: RunSigns) -> bool:
    """Say whether the agent that has the run's claim looks after its process."""
    return run.claim_token is not None and run.followed is not None and run.followed > run.now - FOLLOWED_FOR


def reap(run: RunSigns, rules: LivenessRules) -> Verdict | None:
    """Decide about a run whose tasks run, or which is being cancelled, while its process is silent; null: it lives."""
    if not is_silent(run, rules):
        return None
    if run.state == "Cancelling":
        message = "No heartbeat detected from the flow run; marking the run as cancelled."
        return Verdict(state="Cancelled", message=message)
    if not run.running_tasks or run.state in {"Scheduled", "Submitted"}:
        return None
    return Verdict([_task_verdict(run, task) for task in run.running_tasks])


def _task_verdict(run: RunSigns, task: RunningTask) -> TaskVerdict:
    if run.state == "Running" and task.retries < task.max_retries:
        count = task.retries + 1
        # the missing space is what 1.x writes
        message = (
            "No heartbeat detected from the remote task; retrying the run."
            f"This will be retry {count} of {task.max_retries}."
        )
        return TaskVerdict(task, "Retrying", message, run.now + task.retry_delay, count)
    name = "" if task.name is None else f" ({task.name})"
    message = f"No heartbeat detected from the remote task; marking the task run {task.id}{name} as failed."
    return TaskVerdict(task, "Failed", message)


def resurrect(run: RunSigns, rules: LivenessRules) -> Verdict | None:
    """Decide about a run that should go on but has nothing that would make it; null: it does, or may not be revived."""
    if run.state not in {"Submitted", "Running"} or not run.lazarus_enabled or not is_silent(run, rules):
        return None
    if run.running_tasks or run.waiting_task_runs or is_followed(run):
        return None
    if run.state == "Submitted" and run.lease_until is not None and run.lease_until > run.now:
        return None
    if run.times_resurrected < rules.attempts:
        return Verdict(state="Scheduled", message="Rescheduled by a Lazarus process.", resurrects=True)
    message = (
        f"A Lazarus process attempted to reschedule this run {run.times_resurrected} times without success. Marking as "
        "failed."
    )
    return Verdict(state="Failed", message=message)


def what_was_seen(run: RunSigns, rules: LivenessRules) -> str:
    """Return the sentence that says why a run counts as dead, for its log."""
    assert run.heartbeat is not None
    who = "" if run.agent_name is None else f", started by the agent '{run.agent_name}',"
    silent = round((run.now - run.heartbeat).total_seconds())
    heard, now = (f"{moment:%Y-%m-%d %H:%M:%S} UTC" for moment in (run.heartbeat, run.now))
    return (
        f"The process of this flow run{who} was last heard of at {heard}, {silent} s before {now}; the limit is "
        f"{rules.limit.total_seconds():g} s."
    )
