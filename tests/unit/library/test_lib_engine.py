"""§10 to §14, the engine: messages, handlers, retries, timeouts, mapping at size, and what leaves it."""

import threading
import time
import uuid
from datetime import timedelta

import pendulum
import pytest

import prefect
from prefect import Flow, Parameter, Task, flatten, mapped, task, unmapped
from prefect.engine import FlowRunner, TaskRunner, signals
from prefect.engine.runner import ENDRUN
from prefect.engine.state import Cancelled, Failed, Mapped, Paused, Pending, Scheduled, Skipped, Success, TimedOut
from prefect.engine.timeouts import run_with_timeout
from prefect.exceptions import TaskTimeoutSignal


@task
def ident(x):
    return x


@task
def inc(x):
    return x + 1


@task
def boom():
    raise ValueError("boom")


@pytest.fixture
def lines(caplog):
    caplog.set_level("DEBUG", logger="prefect")

    def found(level):
        return [r.getMessage() for r in caplog.records if r.levelname == level and r.name.startswith("prefect")]

    return found


def test_transcript_of_a_run(lines):
    with Flow("demo") as f:
        x = ident([1])
        inc.map(x)
    f.run()
    assert lines("INFO") == [
        "Beginning Flow run for 'demo'",
        "Task 'ident': Starting task run...",
        "Task 'ident': Finished task run for task with final state: 'Success'",
        "Task 'inc': Starting task run...",
        "Task 'inc': Finished task run for task with final state: 'Mapped'",
        "Task 'inc[0]': Starting task run...",
        "Task 'inc[0]': Finished task run for task with final state: 'Success'",
        "Flow run SUCCESS: all reference tasks succeeded",
    ]
    assert "Using executor type LocalExecutor" in lines("DEBUG")
    assert "Flow 'demo': Handling state change from Scheduled to Running" in lines("DEBUG")
    assert "Task 'inc[0]': Handling state change from Pending to Running" in lines("DEBUG")
    assert "Task 'ident': Calling task.run() method..." in lines("DEBUG")


def test_failures_are_logged_with_traceback(lines, caplog):
    with Flow("f") as f:
        boom()
    f.run()
    assert lines("ERROR") == ["Task 'boom': Exception encountered during task execution!"]
    record = next(r for r in caplog.records if r.levelname == "ERROR")
    assert isinstance(record.exc_info[1], ValueError)
    assert record.name == "prefect.TaskRunner"


def test_signals_are_logged_except_success_and_loop(lines):
    @task
    def raising(signal):
        if signal is signals.LOOP and prefect.context.get("task_loop_count", 1) > 1:
            return
        raise signal("m")

    with Flow("f") as f:
        for signal in (signals.FAIL, signals.SKIP, signals.SUCCESS, signals.LOOP):
            raising(signal)
    f.run()
    assert [line for line in lines("INFO") if "signal raised" in line] == [
        "FAIL signal raised: FAIL('m')",
        "SKIP signal raised: SKIP('m')",
    ]


@pytest.mark.parametrize("length", [2000])
def test_long_chains_do_not_recurse(length):
    with Flow("f") as f:
        x = ident(0)
        for _ in range(length):
            x = inc(x)
    with prefect.utilities.logging.temporary_logger_config(level="CRITICAL"):
        state = f.run()
    assert state.result[x].result == length


def test_wide_maps():
    @task
    def total(xs):
        return sum(xs)

    with Flow("f") as f:
        m = inc.map(list(range(10_000)))
        t = total(m)
    with prefect.utilities.logging.temporary_logger_config(level="CRITICAL"):
        state = f.run()
    assert state.result[t].result == sum(range(1, 10_001))


# -- mapping


@pytest.mark.parametrize("value", [{1, 2}, 5, {"a": 1}, None])
def test_unmappable_values(value):
    with Flow("f") as f:
        m = inc.map(ident(value))
    state = f.run().result[m]
    assert state.is_failed()
    assert state.message == "At least one upstream state has an unmappable result."


def test_mapping_over_failures():
    with Flow("f") as f:
        m = inc.map(boom())
    assert f.run().result[m].message == "No upstream states can be mapped over."


def test_skipped_elements():
    @task
    def odd(x):
        if x % 2 == 0:
            raise signals.SKIP
        return x

    with Flow("f") as f:
        m = odd.map([1, 2, 3])
        n = inc.map(m)
        r = ident(m)
    s = f.run()
    assert [type(c).__name__ for c in s.result[n].map_states] == ["Success", "Skipped", "Success"]
    assert s.result[r].is_skipped()
    assert s.is_successful()


def test_mapping_in_a_normal_call_and_over_upstream_tasks():
    with Flow("f") as f:
        xs = ident([1, 2])
        a = inc(mapped(xs))
        b = task(lambda: prefect.context.map_index, name="b").map(upstream_tasks=[xs])
        c = ident.map(xs, upstream_tasks=[unmapped(a)])
    s = f.run()
    assert s.result[a].result == [2, 3]
    assert s.result[b].result == [0, 1]
    assert s.result[c].result == [1, 2]


def test_all_unmapped_runs_once():
    with Flow("f") as f:
        a = inc.map(unmapped(1))
    s = f.run()
    assert s.result[a].result == 2
    assert not s.result[a].is_mapped()


def test_flatten_shapes(lines):
    with Flow("f") as f:
        nested = ident([[1, 2], [3]])
        reduced = ident(flatten(nested))
        rows = ident.map([[1, 2], [], [3]])
        split = inc.map(flatten(rows))
        joined = ident(flatten(rows))
        plain = ident(flatten([1, 2]))
        odd = ident.map(flatten(ident.map([1, [2]])))
    s = f.run()
    assert s.result[reduced].result == [1, 2, 3]
    assert s.result[split].result == [2, 3, 4]
    assert s.result[joined].result == [1, 2, 3]
    assert s.result[plain].result == [1, 2]
    assert s.result[odd].result == [1, 2]
    assert any("`flatten` was used on upstream task" in line for line in lines("WARNING"))


def test_mapped_children_retry_on_their_own():
    counts = {}

    @task(max_retries=1, retry_delay=timedelta(0))
    def flaky(x):
        counts[x] = counts.get(x, 0) + 1
        if x == 1 and counts[x] == 1:
            raise ValueError
        return x

    with Flow("f") as f:
        m = flaky.map([0, 1, 2])
        r = ident(m)
    s = f.run()
    assert counts == {0: 1, 1: 2, 2: 1}
    assert s.result[r].result == [0, 1, 2]


# -- the state of the run


def test_not_all_reference_tasks_successful_but_none_failed():
    with Flow("f") as f:
        t = ident(1)
    state = f.run(task_states={t: Cancelled()})
    assert state.is_successful()
    assert state.message == "No reference tasks failed."


def test_empty_flow():
    state = Flow("f").run()
    assert state.is_successful()
    assert state.result == {}


def test_terminal_state_handler_keeps_the_result():
    seen = []

    def handler(flow, state, references):
        seen.append((flow.name, type(state).__name__, len(references)))
        return Success("kept") if state.is_failed() else None

    with Flow("f", terminal_state_handler=handler) as f:
        b = boom()
    state = f.run()
    assert (state.message, seen) == ("kept", [("f", "Failed", 1)])
    assert state.result[b].is_failed()


def test_tasks_never_reached_are_pending():
    def refuse(flow, old, new):
        return Failed("no") if new.is_running() else new

    with Flow("f", state_handlers=[refuse]) as f:
        ident(1)
    state = f.run()
    assert state.is_failed()


# -- handlers


def test_handler_sequence_of_flow_and_task():
    seen = []

    def record(obj, old, new):
        seen.append((type(obj).__name__, type(old).__name__, type(new).__name__))

    with Flow("f", state_handlers=[record]) as f:
        task(lambda: 1, name="t", state_handlers=[record])()
    f.run()
    assert seen == [
        ("Flow", "Scheduled", "Running"),
        ("FunctionTask", "Pending", "Running"),
        ("FunctionTask", "Running", "Success"),
        ("Flow", "Running", "Success"),
    ]


def test_handler_errors_fail_the_run_without_retry(lines):
    def bad(obj, old, new):
        if new.is_running():
            raise RuntimeError("handler")

    with Flow("f") as f:
        t = task(lambda: 1, state_handlers=[bad], max_retries=3, retry_delay=timedelta(0))()
    state = f.run().result[t]
    assert type(state).__name__ == "Failed"
    assert state.message == "Unexpected error while calling state handlers: RuntimeError('handler')"
    assert isinstance(state.result, RuntimeError)
    assert lines("ERROR") == ["Unexpected error while calling state handlers: RuntimeError('handler')"]


def test_signals_in_handlers():
    def skip(obj, old, new):
        if new.is_running():
            raise signals.SKIP("handled")

    def end(obj, old, new):
        if new.is_running():
            raise ENDRUN(Failed("ended"))

    with Flow("f") as f:
        a = task(lambda: 1, name="a", state_handlers=[skip])()
        b = task(lambda: 1, name="b", state_handlers=[end])()
    s = f.run()
    assert (s.result[a].message, s.result[b].message) == ("handled", "ended")


def test_runner_handlers_come_after_the_targets():
    seen = []
    with Flow("f") as f:
        task(lambda: 1, state_handlers=[lambda o, a, b: seen.append("task")])()
    f.run(task_runner_state_handlers=[lambda o, a, b: seen.append(type(o).__name__)])
    assert seen == ["task", "TaskRunner", "task", "TaskRunner"]


def test_a_flow_handler_that_raises_a_signal_decides():
    def handler(flow, old, new):
        if new.is_finished():
            raise signals.SKIP("decided")

    with Flow("f", state_handlers=[handler]) as f:
        ident(1)
    state = f.run()
    assert isinstance(state, Skipped)
    assert state.message == "decided"


# -- retries


def test_retry_messages_and_exhaustion():
    seen = []

    @task(max_retries=2, retry_delay=timedelta(0), state_handlers=[lambda t, o, n: seen.append(n)])
    def never():
        raise ValueError(prefect.context.task_run_count)

    with Flow("f") as f:
        t = never()
    s = f.run()
    retries = [n for n in seen if n.is_retrying()]
    assert [n.message for n in retries] == [
        "Retrying Task (after attempt 1 of 3)",
        "Retrying Task (after attempt 2 of 3)",
    ]
    assert [n.run_count for n in retries] == [1, 2]
    assert s.result[t].message == "Error during execution of task: ValueError(3)"


def test_retry_on(lines):
    runs = []

    @task(max_retries=3, retry_delay=timedelta(0), retry_on=KeyError)
    def picky():
        runs.append(1)
        raise (KeyError if len(runs) == 1 else ValueError)("x")

    with Flow("f") as f:
        t = picky()
    assert f.run().result[t].is_failed()
    assert len(runs) == 2
    skipped = "Skipping retry. Exception of type 'ValueError' is not an instance of the retry on exception types."
    assert f"Task 'picky': {skipped}" in lines("INFO")


def test_callable_retry_delay():
    counts = []

    @task(max_retries=2, retry_delay=lambda count: counts.append(count) or timedelta(0))
    def never():
        raise ValueError

    with Flow("f") as f:
        never()
    f.run()
    assert counts == [1, 2]


def test_trigger_failures_and_unexpected_trigger_errors_are_not_retried(lines):
    def bad(upstream_states):
        raise RuntimeError("trigger")

    with Flow("f") as f:
        t = task(lambda: 1, name="t", trigger=bad, max_retries=3, retry_delay=timedelta(0))()
        u = task(lambda: 1, name="u", trigger=lambda states: False)()
    s = f.run()
    assert s.result[t].message == "Unexpected error while checking task trigger: RuntimeError('trigger')"
    assert type(s.result[t]).__name__ == type(s.result[u]).__name__ == "TriggerFailed"
    assert s.result[u].message == "Trigger failed"
    assert "Task 't': Unexpected error while evaluating task trigger: RuntimeError('trigger')" in lines("ERROR")


# -- pauses


def test_paused_tasks_are_asked_about(monkeypatch):
    asked = []

    def answer(prompt):
        asked.append(prompt)
        return "y"

    monkeypatch.setattr("builtins.input", answer)
    with Flow("f") as f:
        t = task(lambda: prefect.context.get("resume"), name="x", trigger=prefect.triggers.manual_only)()
    assert f.run().result[t].result is True
    assert asked == ["<Task: x> is currently Paused; enter 'y' to resume:\n"]


def test_paused_without_input_ends_the_run(monkeypatch, lines):
    def no_input(_prompt):
        raise EOFError

    monkeypatch.setattr("builtins.input", no_input)
    with Flow("f") as f:
        t = task(lambda: 1, name="x", trigger=prefect.triggers.manual_only)()
    state = f.run()
    assert state.is_running()
    assert isinstance(state.result[t], Paused)
    assert any("is Paused" in line for line in lines("WARNING"))


# -- what leaves the engine


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_steers_the_process_is_not_caught(error):
    @task
    def leave():
        raise error

    with Flow("f") as f:
        leave()
    with pytest.raises(error):
        f.run()
    assert "task_name" not in prefect.context


def test_raise_on_exception():
    with Flow("f") as f:
        boom()
    with prefect.context(raise_on_exception=True), pytest.raises(ValueError, match="boom"):
        f.run()


def test_unknown_arguments_reach_the_runner():
    with pytest.raises(TypeError, match="unexpected keyword argument 'q'"):
        Flow("f").run(q=1)
    with pytest.raises(ValueError, match=r"^The `return_tasks` keyword cannot be provided"):
        Flow("f").run(return_tasks=[])


def test_an_executor_that_cannot_start_fails_the_run(lines):
    class Broken(prefect.executors.LocalExecutor):
        def start(self):
            raise OSError("no room")

    with Flow("f") as f:
        ident(1)
    state = f.run(executor=Broken())
    assert state.is_failed()
    assert state.message == "Unexpected error: OSError('no room')"
    assert any(line.startswith("Unexpected error occured in FlowRunner: OSError") for line in lines("ERROR"))


def test_flow_runner_returns_what_it_is_asked_for():
    with Flow("f") as f:
        a, b = ident(1), ident(2)
    assert FlowRunner(f).run().result == {}
    assert FlowRunner(f).run(return_tasks=[a]).result.keys() == {a}
    state = FlowRunner(f).run(return_tasks=[Task("other")])
    assert "Some tasks in return_tasks were not found in the flow." in state.message
    assert b in f.tasks


def test_scheduled_flows_wait_for_their_time(lines):
    with Flow("f") as f:
        ident(1)
    later = Scheduled(start_time=pendulum.now("UTC").add(hours=1))
    assert FlowRunner(f).run(state=later) is later
    assert "Flow 'f': start_time has not been reached; ending run." in lines("DEBUG")
    done = Success()
    assert FlowRunner(f).run(state=done) is done
    assert "Flow run has already finished." in lines("INFO")


def test_task_runner_alone():
    assert (
        TaskRunner(ident).run().message
        == "Error during execution of task: TypeError(\"ident() missing 1 required positional argument: 'x'\")"
    )
    unfinished = Pending("waiting")
    edge = prefect.core.Edge(Task("up"), ident, key="x")
    assert TaskRunner(ident).run(state=unfinished, upstream_states={edge: Pending()}) is unfinished
    assert TaskRunner(ident).run(upstream_states={edge: Success(result=3)}).result == 3
    parent = TaskRunner(ident).run(
        upstream_states={prefect.core.Edge(Task("up"), ident, key="x", mapped=True): Success(result=[1, 2])},
        is_mapped_parent=True,
    )
    assert isinstance(parent, Mapped)
    assert parent.n_map_states == 2


# -- timeouts


def test_timeouts_keep_fast_tasks_and_fail_slow_ones():
    assert run_with_timeout(lambda x: x, 5, {"x": 1}, "t") == 1
    waiting = threading.Event()
    with pytest.raises(TaskTimeoutSignal, match=r"^Execution timed out\.$"):
        run_with_timeout(waiting.wait, 1, {}, "t")


def test_timeouts_off_the_main_thread_use_a_process():
    outcomes = []

    def call(function, seconds):
        try:
            outcomes.append(run_with_timeout(function, seconds, {}, "t"))
        except BaseException as error:
            outcomes.append(repr(error))

    def fail():
        raise ValueError("inside")

    for function, seconds in (
        (lambda: 5, 60),
        (fail, 60),
        (lambda: time.sleep(60), 1),
        (threading.Lock, 60),
    ):
        thread = threading.Thread(target=call, args=(function, seconds))
        thread.start()
        thread.join()
    assert outcomes[:2] == [5, "ValueError('inside')"]
    assert outcomes[2] == """TaskTimeoutSignal("Execution timed out for Task 't'.")"""
    assert "Failed to pickle result of type" in outcomes[3]


# -- context of a run


def test_context_during_a_run():
    seen = {}

    @task
    def look():
        c = prefect.context
        seen.update({key: c.get(key) for key in c.keys()})  # noqa: SIM118 - a context is no dict

    with Flow("f") as f:
        Parameter("p", default=1)()
        look(task_args={"tags": {"t"}})
    f.run()
    assert seen["flow_name"] == seen["flow_id"] == "f"
    assert seen["task_name"] == seen["task_full_name"] == "look"
    assert seen["task_slug"] == seen["task_id"] == "look-t-1"
    assert uuid.UUID(seen["task_run_id"])
    assert seen["parameters"] == {"p": 1}
    assert seen["task_run_count"] == 1
    assert seen["map_index"] is None
    assert seen["checkpointing"] is False
    assert seen["logger"].name == "prefect.look"
    assert seen["date"] == seen["date"].in_timezone("UTC")
    assert len(seen["flow_run_id"]) == len(seen["flow_run_name"]) == 36
    assert seen["scheduled_start_time"] is not None


def test_bad_dates_are_a_warning(lines):
    with Flow("f") as f:
        t = task(lambda: prefect.context.today, name="t")()
    s = f.run(context={"date": "no date", "tomorrow": "mine"})
    assert len(s.result[t].result) == 10
    assert lines("WARNING")[0].startswith("`date` was set in the context manually but could not be parsed")


def test_flows_inside_tasks_do_not_disturb_the_outer_context():
    @task
    def nested():
        with Flow("inner") as inner:
            i = ident(5)
        value = inner.run().result[i].result
        return value, prefect.context.flow_name, prefect.context.task_name

    with Flow("outer") as f:
        n = nested()
    assert f.run().result[n].result == (5, "outer", "nested")


def test_task_run_name_templates():
    names = []

    @task(task_run_name="{flow_name}-{x}-{date:%Y}")
    def named(x):
        names.append(prefect.context.task_run_name)

    @task(task_run_name="{nope}")
    def misnamed():
        return 1

    with Flow("f") as f:
        named(3)
        m = misnamed()
    s = f.run(context={"date": "2021-01-01"})
    assert names == ["f-3-2021"]
    assert s.result[m].message == "Task 'misnamed': Unexpected error while running task: KeyError('nope')"


def test_log_stdout(lines):
    @task(log_stdout=True)
    def talk():
        print("hello\nthere")

    with Flow("f") as f:
        talk()
    f.run()
    assert "hello\nthere" in lines("INFO")


def test_user_containers_are_not_changed():
    parameters = {"p": 1}
    handlers = []
    with Flow("f", state_handlers=handlers, on_failure=lambda f, s: None) as f:
        Parameter("p")()
        Parameter("q")()
    f.run(parameters=parameters, q=2)
    assert parameters == {"p": 1}
    assert handlers == []


# -- loops


def test_a_failed_iteration_is_the_one_that_is_retried(lines):
    seen = []

    @task(max_retries=1, retry_delay=timedelta(0))
    def loop():
        count = prefect.context.get("task_loop_count", 1)
        seen.append((count, prefect.context.get("task_loop_result"), prefect.context.task_run_count))
        if count < 3:
            raise signals.LOOP(message=f"try {count}", result=count * 10)
        if prefect.context.task_run_count == 1:
            raise ValueError
        return prefect.context.task_loop_result

    with Flow("f") as f:
        t = loop()
    assert f.run().result[t].result == 20
    assert seen == [(1, None, 1), (2, 10, 1), (3, 20, 1), (3, 20, 2)]
    assert lines("INFO").count("Task 'loop': Starting task run...") == 2


def test_long_loops_do_not_recurse():
    @task
    def loop():
        count = prefect.context.get("task_loop_count", 1)
        if count < 3000:
            raise signals.LOOP(result=count)
        return count

    with Flow("f") as f:
        t = loop()
    with prefect.utilities.logging.temporary_logger_config(level="CRITICAL"):
        assert f.run().result[t].result == 3000


# -- triggers


@pytest.mark.parametrize(
    ("trigger", "states", "outcome"),
    [
        (prefect.triggers.all_successful, ["s", "k"], True),
        (prefect.triggers.all_successful, ["s", "f"], "TriggerFailed"),
        (prefect.triggers.all_failed, ["f", "t"], True),
        (prefect.triggers.all_failed, ["f", "s"], "TriggerFailed"),
        (prefect.triggers.all_finished, ["s", "f", "k"], True),
        (prefect.triggers.any_successful, ["s", "f"], True),
        (prefect.triggers.any_successful, ["f"], "TriggerFailed"),
        (prefect.triggers.any_successful, [], True),
        (prefect.triggers.any_failed, ["s", "f"], True),
        (prefect.triggers.any_failed, ["s"], "TriggerFailed"),
        (prefect.triggers.not_all_skipped, ["k", "s"], True),
        (prefect.triggers.not_all_skipped, ["k", "k"], "Skipped"),
        (prefect.triggers.not_all_skipped, ["s", "f"], "TriggerFailed"),
        (prefect.triggers.not_all_skipped, [], "Skipped"),
        (prefect.triggers.manual_only, ["s"], "Paused"),
        (prefect.triggers.some_failed(at_least=2), ["f", "f", "s"], True),
        (prefect.triggers.some_failed(at_least=2), ["f", "s", "s"], "TriggerFailed"),
        (prefect.triggers.some_failed(at_most=0.5), ["f", "s"], True),
        (prefect.triggers.some_failed(at_most=0.4), ["f", "s"], "TriggerFailed"),
        (prefect.triggers.some_successful(at_least=0.5), ["f", "s"], True),
        (prefect.triggers.some_successful(at_least=1), [], True),
    ],
)
def test_triggers(trigger, states, outcome):
    kinds = {"s": Success, "f": Failed, "k": Skipped, "t": TimedOut}
    target = Task("t")
    upstream = {prefect.core.Edge(Task(str(i)), target): kinds[kind]() for i, kind in enumerate(states)}
    if outcome is True:
        assert trigger(upstream) is True
    else:
        with pytest.raises(signals.PrefectStateSignal) as caught:
            trigger(upstream)
        assert type(caught.value.state).__name__ == outcome


def test_always_run_is_an_alias():
    assert prefect.triggers.always_run is prefect.triggers.all_finished
