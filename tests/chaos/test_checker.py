"""The checker of the fault test finds what is wrong: each kind of violation is planted into a history that is right."""

from dataclasses import replace
from uuid import UUID

import pytest
from checker import CHECKS, check, executions
from history import Event, History, Journal, Limit, Run, read_journals

FIRST, SECOND = (str(UUID(int=number)) for number in (1, 2))


def a_run(name="run", start=100.0, state="Success"):
    """Return a run that was executed twice: the first process died, the second one finished."""
    written = [
        ("run", "Scheduled", ""),
        ("run", "Submitted", ""),
        ("run", "Running", f"execution {FIRST}"),
        ("task", "Running", f"execution {FIRST}"),
        ("log", "", f"execution {FIRST} line 1"),
        ("task", "Retrying", "No heartbeat detected from the remote task; retrying the run."),
        ("run", "Running", f"execution {SECOND}"),
        ("task", "Running", f"execution {SECOND}"),
        ("log", "", f"execution {SECOND} line 1"),
        ("task", "Success", f"execution {SECOND}"),
        ("run", state, f"execution {SECOND}"),
    ]
    versions = {"run": 0, "task": 0, "log": -1}
    events = []
    for seq, (kind, of_kind, text) in enumerate(written, round(start)):
        versions[kind] += kind != "log"
        task_run_id = f"{name}-task" if kind == "task" else ""
        events.append(Event(seq, float(seq), kind, text, of_kind, max(0, versions[kind]), task_run_id))
    return Run(name, "flow", f"key of {name}", state, versions["run"], start, events)


def a_history():
    """Return two runs of which one began when the other one had ended, and a limit of one at a time."""
    runs = {"one": a_run("one"), "two": a_run("two", start=200.0)}
    return History(
        runs=runs,
        created=[("key of one", "one"), ("key of one", "one"), ("key of two", "two")],
        lines=[("one", f"execution {FIRST} line 1"), ("two", f"execution {SECOND} line 1")],
        cancelled=[("two", "Cancelling")],
        limits=[
            Limit("of runs", 1, run_ids=frozenset(runs)),
            Limit("of task runs", 1, task_run_ids=frozenset({"one-task", "two-task"})),
        ],
    )


def test_nothing_is_wrong_with_a_history_that_is_right():
    history = a_history()
    assert check(history) == []
    assert [token for token, _, _ in executions(history.runs["one"])] == [FIRST, SECOND]
    assert check(History()) == []


def lose_a_create(history):
    history.created.append(("key of three", "three"))


def answer_a_key_with_another_run(history):
    history.created.append(("key of one", "two"))


def store_a_key_twice(history):
    history.runs["two"].key = "key of one"
    history.created.pop()


def leave_a_run_waiting(history):
    history.runs["one"] = a_run("one", state="Submitted")


def leave_a_task_running(history):
    change(history, 9, state="Running")


def write_for_the_dead(history):
    run = history.runs["one"]
    run.events.append(Event(111, 111.0, "log", f"execution {FIRST} line 2"))


def begin_before_the_other_has_ended(history):
    change(history, 4, text=f"execution {SECOND} line 0")
    change(history, 5, text=f"execution {FIRST}: No heartbeat detected")
    history.lines.clear()


def lose_a_line(history):
    history.lines.append(("one", f"execution {FIRST} line 2"))


def lose_a_line_of_a_run_that_is_gone(history):
    history.lines.append(("three", "note"))


def store_a_line_twice(history):
    history.runs["one"].events.insert(5, history.runs["one"].events[4])


def skip_a_version(history):
    change(history, 10, version=6)
    history.runs["one"].version = 6


def fork_the_history(history):
    change(history, 6, version=3)


def skip_a_version_of_a_task(history):
    change(history, 9, version=5)


def forget_the_last_state(history):
    history.runs["one"].state = "Running"


def start_early(history):
    history.runs["one"].due = 102.5


def start_what_has_ended(history):
    change(history, 2, state="Failed")


def forget_a_cancellation(history):
    history.cancelled.append(("one", "Cancelled"))


def fail_for_nothing(history):
    history.runs["one"] = a_run("one", state="Failed")
    change(history, 5, text="")


def run_two_at_once(history):
    history.runs["two"] = a_run("two", start=107.0)
    history.limits.pop()


def run_two_tasks_at_once(history):
    history.runs["two"] = a_run("two", start=107.0)
    del history.limits[0]
    change(history, 9, seq=112)


def leave_a_process_behind(history):
    history.left.append("prefect execute flow-run")


def let_an_agent_fall(history):
    history.fallen.append("local agent 1")


def change(history, index, **members):
    events = history.runs["one"].events
    events[index] = replace(events[index], **members)


PLANTED = {
    lose_a_create: "acknowledged create lost",
    answer_a_key_with_another_run: "key of several runs",
    store_a_key_twice: "key of several runs",
    leave_a_run_waiting: "run did not end",
    leave_a_task_running: "task run did not end",
    write_for_the_dead: "executions overlap",
    begin_before_the_other_has_ended: "executions overlap",
    lose_a_line: "acknowledged log line lost",
    lose_a_line_of_a_run_that_is_gone: "acknowledged log line lost",
    store_a_line_twice: "log line stored twice",
    skip_a_version: "history broken",
    fork_the_history: "history broken",
    skip_a_version_of_a_task: "history broken",
    forget_the_last_state: "history broken",
    start_early: "run started early",
    start_what_has_ended: "run started after its end",
    forget_a_cancellation: "cancellation lost",
    fail_for_nothing: "run failed without a cause",
    run_two_at_once: "limit exceeded",
    run_two_tasks_at_once: "limit exceeded",
    leave_a_process_behind: "process left behind",
    let_an_agent_fall: "agent ended by itself",
}


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_violation_is_found(plant):
    history = a_history()
    plant(history)
    assert PLANTED[plant] in {violation.kind for violation in check(history)}


def test_every_check_has_a_planted_violation():
    found = set()
    for plant in PLANTED:
        history = a_history()
        plant(history)
        found |= {name for name, rule in CHECKS.items() if list(rule(history))}
    assert found == set(CHECKS)


def test_journals_keep_what_they_are_told(tmp_path):
    Journal(tmp_path / "journals").write("lines", run="one", texts=["a", "b"])
    assert list(read_journals(tmp_path / "journals")) == [{"kind": "lines", "run": "one", "texts": ["a", "b"]}]
