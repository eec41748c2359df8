"""The engine's rules as properties: the final state of a run (§13.4), shapes of mapping (§13.7), sizes, and what goes
wrong (§13.2, §13.6, §15.3): whatever fails beside a task, its own outcome is not lost."""

import itertools
from datetime import timedelta

import cloudpickle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import prefect
from prefect import Flow, Parameter, Task, flatten, task, unmapped
from prefect.engine import TaskRunner, signals
from prefect.engine import task_runner as pipeline
from prefect.engine.result import Result
from prefect.engine.results import LocalResult
from prefect.engine.state import (
    Cached,
    Cancelled,
    Failed,
    Mapped,
    Paused,
    Pending,
    Retrying,
    Running,
    Scheduled,
    Skipped,
    Success,
    TimedOut,
    TriggerFailed,
)
from prefect.utilities.logging import temporary_logger_config


@task
def ident(x):
    return x


@task
def inc(x):
    return x + 1


@task(trigger=prefect.triggers.all_finished, skip_on_upstream_skip=False)
def count(xs):
    return len(xs)


@pytest.fixture(autouse=True)
def _quiet():
    with temporary_logger_config(level="CRITICAL"):
        yield


# -- §13.4: the state of the flow follows from terminal and reference tasks

FAILED = (Failed, TimedOut, TriggerFailed)
SUCCESSFUL = (Success, Cached, Skipped)
NEITHER = (Cancelled,)
UNFINISHED = (Pending, Running, Scheduled, Retrying, Paused)
KINDS = st.sampled_from([*FAILED, *SUCCESSFUL, *NEITHER, *UNFINISHED])
ENDS = st.one_of(
    KINDS.map(lambda kind: kind()),
    st.lists(KINDS.map(lambda kind: kind()), max_size=3).map(lambda children: Mapped(map_states=children)),
)


def expected(terminal, reference):
    """The table of §13.4, over states with mapped ones expanded."""
    if any(isinstance(end, UNFINISHED) for end in terminal):
        return Running, None
    if any(isinstance(end, FAILED) for end in reference):
        return Failed, "Some reference tasks failed."
    if all(isinstance(end, SUCCESSFUL) for end in reference):
        return Success, "All reference tasks succeeded."
    return Success, "No reference tasks failed."


def expand(states):
    return [child for state in states for child in (state.map_states if isinstance(state, Mapped) else [state])]


@given(st.lists(st.tuples(ENDS, st.booleans()), max_size=4))
@settings(max_examples=150, deadline=None)
def test_final_state(ends):
    tasks = [Task(str(number)) for number in range(len(ends))]
    chosen = [one for one, (_, is_reference) in zip(tasks, ends, strict=True) if is_reference]
    with Flow("f", tasks=tasks, reference_tasks=chosen) as flow:
        states = {one: end for one, (end, _) in zip(tasks, ends, strict=True)}
    reference = chosen or tasks
    kind, message = expected(expand(states.values()), expand(states[one] for one in reference))
    runner = prefect.engine.FlowRunner(flow)
    running = Running("as it was")
    final = runner.determine_final_state(running, dict(states), set(tasks))
    assert type(final) is kind
    assert final.result == states
    if kind is Running:
        assert final is running
    else:
        assert final.message == message


# -- §13.7: shapes of mapping

ROWS = st.lists(st.lists(st.integers(-5, 5), max_size=3), max_size=4)


@given(ROWS, st.lists(st.integers(), max_size=5))
@settings(max_examples=40, deadline=None)
def test_mapping_is_zip(rows, others):
    @task
    def pair(x, y, z):
        return (prefect.context.map_index, x, y, z)

    with Flow("f") as f:
        p = Parameter("rows")
        zipped = pair.map(p, others, unmapped("z"))
        again = pair.map(zipped, p, unmapped(p))
        flat = inc.map(flatten(p))
        flat_children = inc.map(flatten(ident.map(p)))
        joined = ident(flatten(ident.map(p)))
        gathered = ident(zipped)
    s = f.run(rows=rows).result
    first = [(i, x, y, "z") for i, (x, y) in enumerate(zip(rows, others, strict=False))]
    assert s[zipped].result == s[gathered].result == first
    assert s[again].result == [(i, x, y, rows) for i, (x, y) in enumerate(zip(first, rows, strict=False))]
    elements = list(itertools.chain(*rows))
    assert s[flat].result == s[flat_children].result == [x + 1 for x in elements]
    assert s[joined].result == elements
    for mapped_task, width in ((zipped, len(first)), (flat, len(elements)), (flat_children, len(elements))):
        assert s[mapped_task].is_mapped()
        assert s[mapped_task].n_map_states == len(s[mapped_task].map_states) == width


OUTCOMES = st.lists(st.sampled_from(["ok", "fail", "skip"]), max_size=5)


@given(OUTCOMES)
@settings(max_examples=40, deadline=None)
def test_children_are_isolated_and_reduced_together(outcomes):
    @task
    def become(outcome):
        if outcome == "fail":
            raise ValueError(outcome)
        if outcome == "skip":
            raise signals.SKIP(outcome)
        return outcome

    with Flow("f") as f:
        children = become.map(outcomes)
        following = ident.map(children)
        reduced = ident(children)
        everything = count(children)
    s = f.run().result
    kinds = {"ok": "Success", "fail": "TriggerFailed", "skip": "Skipped"}
    assert [type(child).__name__ for child in s[following].map_states] == [kinds[one] for one in outcomes]
    if "skip" in outcomes:
        assert s[reduced].is_skipped()
    elif "fail" in outcomes:
        assert isinstance(s[reduced], TriggerFailed)
    else:
        assert s[reduced].result == outcomes
    assert s[everything].result == len(outcomes)


# -- §13.6: the order of the pipeline


def test_the_pipeline_is_in_order():
    assert [step.take.__name__ for step in pipeline.PIPELINE] == [
        "check_task_is_ready",
        "check_start_time",
        "check_upstream_finished",
        "check_upstream_skipped",
        "load_results",
        "gather_inputs",
        "map_parent",
        "set_task_run_name",
        "check_target_or_cache",
        "check_trigger",
        "set_running",
        "run_task",
        "cache_result",
        "check_for_retry",
    ]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (Running(), "Task 't': task is already running."),
        (Success(), "Task 't': Task is already finished."),
        (Scheduled(start_time=prefect.utilities.datetimes.utcnow().add(hours=1)), "start_time has not been reached"),
        (Paused(), "Task 't' is scheduled without a known start_time; ending run."),
    ],
)
def test_states_that_a_run_does_not_begin_with_are_kept(state, message, caplog):
    """§13.6 steps 1 and 2, §14."""
    with temporary_logger_config(level="DEBUG"):
        assert TaskRunner(task(lambda: 1 / 0, name="t")).run(state=state) is state
    assert any(message in record.getMessage() for record in caplog.records)


# -- large flows


def test_a_chain_of_2000_is_built_copied_pickled_and_serialized():
    with Flow("long") as f:
        last = ident(0)
        for _ in range(1_999):
            last = inc(last)
    assert len(f.sorted_tasks()) == 2_000
    copy = f.copy()
    copy.update(Flow("nothing"))
    assert copy == f
    data = f.serialize()
    assert (len(data["tasks"]), len(data["edges"])) == (2_000, 1_999)
    loaded = cloudpickle.loads(cloudpickle.dumps(f))
    assert loaded.serialize()["edges"] == data["edges"]
    state = loaded.run()
    assert state.result[loaded.get_tasks(name="inc")[-1]].result == 1_999


# -- what is wrong with a flow is said at once (§4.3, §4.5, §5.3)


def test_flows_that_cannot_run_say_why():
    a, b = Task("a"), Task("b")
    cyclic = Flow("cyclic")
    cyclic.add_edge(a, b)
    cyclic.add_edge(b, a)
    for act in (cyclic.validate, cyclic.serialize, cyclic.sorted_tasks):
        with pytest.raises(ValueError, match=r"^Cycle found; flows must be acyclic!") as caught:
            act()
        assert "wait for each other" in caught.value.__notes__[0]
    assert "Cycle found" in cyclic.run().message
    with pytest.raises(ValueError, match=r"outside a `with Flow\(\.\.\.\)` block.*`ident\.run\(\.\.\.\)`"):
        ident(1)
    with Flow("f") as f:
        Parameter("size", default=1)()
    f.add_task(Task("c", slug="same"))
    with pytest.raises(ValueError, match='A task with the slug "same" already exists in this flow'):
        f.add_task(Task("d", slug="same"))
    with pytest.raises(ValueError, match=r"^Flow.run received the following unexpected parameters: sice"):
        f.run(parameters={"sice": 2})


# -- what fails beside a task does not lose its outcome


def test_a_state_handler_that_fails_after_the_run_names_the_state_that_it_was_called_for():
    """§12.2: the task fails without a retry, and what it came to is seen in the error of the handler."""

    def broken(obj, old, new):
        if new.is_successful():
            raise RuntimeError("handler")

    ran = []
    with Flow("f") as f:
        t = task(lambda: ran.append(1), name="t", state_handlers=[broken], max_retries=2, retry_delay=timedelta(0))()
        u = ident(5)
    s = f.run()
    assert ran == [1]
    assert type(s.result[t]) is Failed
    assert s.result[t].message == "Unexpected error while calling state handlers: RuntimeError('handler')"
    assert isinstance(s.result[t].result, RuntimeError)
    assert 'from <Running: "Starting task run."> to <Success: "Task run succeeded.">' in s.result[t].result.__notes__[0]
    assert s.result[u].result == 5


def test_a_result_that_cannot_be_written_fails_its_task_only(tmp_path):
    """§15.3."""

    class Full(LocalResult):
        def write(self, value_, **kwargs):
            raise OSError("no space left")

    with Flow("f", result=Full(dir=str(tmp_path))) as f:
        a = ident(1)
        b = task(lambda: 2, name="b", checkpoint=False)()
        failed = task(lambda: 1 / 0, name="failed", result=Full(dir=str(tmp_path)))()
    with prefect.context(checkpointing=True):
        s = f.run()
    assert s.result[a].message == "Unexpected error: OSError('no space left')"
    assert s.result[a].result.__notes__ == ["Task 'ident' itself succeeded; what it returned could not be written."]
    assert s.result[b].result == 2
    # Only values are written: an error is the state's own.
    assert isinstance(s.result[failed].result, ZeroDivisionError)


def test_a_flow_handler_that_fails_after_the_run_keeps_the_tasks():
    def broken(flow, old, new):
        if new.is_finished():
            raise RuntimeError("handler")

    with Flow("f", state_handlers=[broken]) as f:
        t = ident(3)
    s = f.run()
    assert s.is_failed()
    assert s.message == "Unexpected error while calling state handlers: RuntimeError('handler')"
    assert t in f.tasks


def test_a_terminal_state_handler_that_fails_fails_the_run():
    def broken(flow, state, references):
        raise RuntimeError("terminal")

    with Flow("f", terminal_state_handler=broken) as f:
        ident(3)
    s = f.run()
    assert s.is_failed()
    assert s.message == "Unexpected error: RuntimeError('terminal')"


def test_values_that_break_when_they_are_looked_at():
    """§13.7: elements that cannot be taken fail their child, not the run."""

    class Odd:
        def __len__(self):
            return 2

        def __getitem__(self, index):
            if index:
                raise LookupError("second")
            return "first"

    def odd():
        return Odd()

    with Flow("f") as f:
        m = ident.map(task(odd)())
    s = f.run()
    first, second = s.result[m].map_states
    assert first.result == "first"
    assert isinstance(second, TriggerFailed)


def test_the_result_of_a_task_is_not_changed_by_running_it(tmp_path):
    """§15.1: `write` returns a new object."""
    result = Result()
    kept = task(lambda: 1, name="t", result=result)
    with Flow("f") as f:
        kept()
    f.run()
    assert result.value is None


# -- §13.1, §13.10: a retry is waited for


def test_local_retries_wait_for_their_time_between_passes(monkeypatch):
    clock = prefect.utilities.datetimes.utcnow()
    waited = []

    def now():
        return clock.add(hours=len(waited))

    for module in ("local_run", "task_steps"):
        monkeypatch.setattr(f"prefect.engine.{module}.utcnow", now)
    monkeypatch.setattr("prefect.engine.local_run._sleep_until", waited.append)

    @task(max_retries=2, retry_delay=timedelta(hours=1))
    def flaky():
        if prefect.context.task_run_count < 3:
            raise ValueError
        return "done"

    with Flow("f") as f:
        t = flaky()
        u = ident(t)
    s = f.run()
    assert s.result[u].result == "done"
    assert waited == [clock.add(hours=1), clock.add(hours=2)]
