"""What a history must never show. Pure: records in, violations out; an empty list means that every promise was kept.

An execution is one process, or one launch, that worked on a run under one claim. What it wrote is known by the words
`execution <claim token>` in the message of a state or in a log line. Its life is the time from the first to the last of
its writes that were accepted, by the order in which they were stored.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from history import Event, History, Limit, Run

FINISHED = {"Success", "Failed", "Cancelled", "TimedOut", "Skipped", "Finished"}
LIVE = {"Running", "Cancelling"}
EXECUTION = re.compile(r"execution ([0-9a-f]{8}-[0-9a-f-]{27})")
# Lines that were sent with the id of their batch, so that a repeated request must not store them again.
ONCE = re.compile(r"^(execution|note) [0-9a-f]{8}-")
# The reasons for which a run of ours may fail: its process was killed, or was silent for too long.
CAUSES = re.compile(r"No heartbeat detected|SIGKILL|SIGTERM|A Lazarus process attempted|which was killed")
# How much sooner than its time a run may start, in seconds: the database's clock and the agent's timers have grains.
EARLY = 0.1


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken."""

    kind: str
    run_id: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.run_id}: {self.text}"


def check(history: History) -> list[Violation]:
    """Return everything that is wrong with a history."""
    return [violation for name in CHECKS for violation in CHECKS[name](history)]


def executions(run: Run) -> list[tuple[str, int, int]]:
    """The executions of a run with their first and last accepted write, by their first one."""
    lives: dict[str, tuple[int, int]] = {}
    for event in run.events:
        for token in EXECUTION.findall(event.text):
            first, last = lives.get(token, (event.seq, event.seq))
            lives[token] = (min(first, event.seq), max(last, event.seq))
    return sorted(((token, *life) for token, life in lives.items()), key=lambda life: life[1])


def _created(history: History) -> Iterator[Violation]:
    for key, run_id in history.created:
        if run_id not in history.runs:
            yield Violation("acknowledged create lost", run_id, f"the key {key} was answered with it")


def _keys(history: History) -> Iterator[Violation]:
    runs_of: dict[str, set[str]] = defaultdict(set)
    for key, run_id in history.created:
        runs_of[key].add(run_id)
    for run in history.runs.values():
        if run.key is not None:
            runs_of[run.key].add(run.id)
    for key, run_ids in runs_of.items():
        if len(run_ids) > 1:
            yield Violation("key of several runs", ", ".join(sorted(run_ids)), f"all have the key {key}")


def _ended(history: History) -> Iterator[Violation]:
    for run in history.runs.values():
        if run.state not in FINISHED:
            yield Violation("run did not end", run.id, f"{run.flow} is {run.state}: {_states(run)}")
            continue
        tasks: dict[str, Event] = {}
        for event in run.of("task"):
            tasks[event.task_run_id] = event
        for task_run_id, event in tasks.items():
            if event.state in LIVE:
                yield Violation("task run did not end", run.id, f"{task_run_id} is {event.state}, the run {run.state}")


def _overlaps(history: History) -> Iterator[Violation]:
    for run in history.runs.values():
        lives = executions(run)
        for (one, _, last), (other, first, _) in pairwise(lives):
            if first < last:
                yield Violation("executions overlap", run.id, f"{other} wrote at {first}, before {one} did at {last}")


def _lines(history: History) -> Iterator[Violation]:
    stored = {run.id: Counter(event.text for event in run.of("log")) for run in history.runs.values()}
    for run_id, text in history.lines:
        if not stored.get(run_id, Counter())[text]:
            yield Violation("acknowledged log line lost", run_id, text)
    for run_id, texts in stored.items():
        for text, count in texts.items():
            if count > 1 and ONCE.search(text):
                yield Violation("log line stored twice", run_id, f"{count} times: {text}")


def _versions(history: History) -> Iterator[Violation]:
    for run in history.runs.values():
        states = run.of("run")
        versions = [event.version for event in states]
        if versions != list(range(1, len(versions) + 1)):
            yield Violation("history broken", run.id, f"the versions of its states are {versions}")
        elif not states or (run.state, run.version) != (states[-1].state, states[-1].version):
            yield Violation("history broken", run.id, f"it is {run.state} ({run.version}): {_states(run)}")
        tasks: dict[str, list[int]] = defaultdict(list)
        for event in run.of("task"):
            tasks[event.task_run_id].append(event.version)
        for task_run_id, versions in tasks.items():
            if versions != list(range(1, len(versions) + 1)):
                yield Violation("history broken", run.id, f"the versions of the task run {task_run_id} are {versions}")


def _starts(history: History) -> Iterator[Violation]:
    for run in history.runs.values():
        ended = False
        for event in run.of("run"):
            if event.state == "Running":
                if event.at < run.due - EARLY:
                    yield Violation("run started early", run.id, f"by {run.due - event.at:.1f} s")
                if ended:
                    yield Violation("run started after its end", run.id, str(_states(run)))
            if event.state in FINISHED or event.state in {"Scheduled", "Retrying"}:
                ended = event.state in FINISHED


def _cancelled(history: History) -> Iterator[Violation]:
    for run_id, state in history.cancelled:
        run = history.runs.get(run_id)
        if run is None or (state == "Cancelled" and run.state != "Cancelled"):
            found = "gone" if run is None else run.state
            yield Violation("cancellation lost", run_id, f"it was answered to be {state}, and is {found}")


def _causes(history: History) -> Iterator[Violation]:
    for run in history.runs.values():
        failed = run.state in FINISHED - {"Success", "Cancelled"}
        if failed and not any(CAUSES.search(event.text) for event in run.events):
            yield Violation("run failed without a cause", run.id, f"{_states(run)}: {run.of('run')[-1].text}")


def _limits(history: History) -> Iterator[Violation]:
    for limit in history.limits:
        held = 0
        for _, change in sorted(change for run in history.runs.values() for change in _held(run, limit)):
            held += change
            if held > limit.most:
                yield Violation("limit exceeded", limit.name, f"{held} at once, and {limit.most} are allowed")
                break


def _held(run: Run, limit: Limit) -> Iterator[tuple[int, int]]:
    """Yield when slots of a limit were taken (1) and given back (-1).

    By the order in which things were stored: what gives a slot back is stored before what takes it.
    """
    holding: set[str] = set()
    for event in run.events:
        who = run.id if event.kind == "run" else event.task_run_id
        lives = event.state in LIVE
        if lives and who in limit.run_ids | limit.task_run_ids and who not in holding:
            holding.add(who)
            yield event.seq, 1
        # the end of a flow run gives back the slots of its task runs, too
        gone = set() if lives or event.kind == "log" else holding if event.kind == "run" else holding & {who}
        for _ in gone:
            yield event.seq, -1
        holding = holding - gone


def _left(history: History) -> Iterator[Violation]:
    for process in history.left:
        yield Violation("process left behind", process, "every run has ended, and it goes on")


def _fallen(history: History) -> Iterator[Violation]:
    for agent in history.fallen:
        yield Violation("agent ended by itself", agent, "nobody had killed it")


def _states(run: Run) -> list[str]:
    return [event.state for event in run.of("run")]


CHECKS: dict[str, Callable[[History], Iterator[Violation]]] = {
    "every acknowledged create exists": _created,
    "an idempotency key is of one run": _keys,
    "every run and its task runs end": _ended,
    "no two executions of a run overlap": _overlaps,
    "acknowledged log lines are stored, once": _lines,
    "histories have no gap and no fork": _versions,
    "no run starts early or after its end": _starts,
    "what is cancelled stays cancelled": _cancelled,
    "no run fails without a cause": _causes,
    "no limit is exceeded": _limits,
    "no process is left behind": _left,
    "no agent ends by itself": _fallen,
}
