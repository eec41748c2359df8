"""What the engine says (§11, §14), what handlers see (§12.1), and when a cached value is used (§16), to the letter."""

from datetime import timedelta

import pytest

import prefect
from prefect import Flow, Task, task, triggers
from prefect.core import Edge
from prefect.engine import FlowRunner, TaskRunner, cache_validators, signals
from prefect.engine.state import Cached, Failed, Mapped, Paused, Pending, Running, Skipped, Submitted, Success
from prefect.utilities.datetimes import utcnow


@task
def ident(x):
    return x


@pytest.fixture
def records(caplog):
    caplog.set_level("DEBUG", logger="prefect")

    def found(level):
        return [(r.name, r.getMessage()) for r in caplog.records if r.levelname == level]

    return found


# -- §11


@pytest.mark.parametrize(
    ("trigger", "states", "message"),
    [
        ("all_successful", [Failed], 'Trigger was "all_successful" but some of the upstream tasks failed.'),
        ("all_finished", [Pending], 'Trigger was "all_finished" but some of the upstream tasks were not finished.'),
        ("all_failed", [Success], 'Trigger was "all_failed" but some of the upstream tasks succeeded.'),
        ("any_successful", [Failed], 'Trigger was "any_successful" but none of the upstream tasks succeeded.'),
        ("any_failed", [Success], 'Trigger was "any_failed" but none of the upstream tasks failed.'),
        ("manual_only", [], 'Trigger function is "manual_only"'),
        ("not_all_skipped", [Skipped], "All upstreams were skipped"),
        ("not_all_skipped", [Failed], 'Trigger was "not_all_skipped" but some of the upstream tasks failed.'),
    ],
)
def test_messages_of_triggers(trigger, states, message):
    target = Task("t")
    upstream = {Edge(Task(str(i)), target): kind() for i, kind in enumerate(states)}
    with pytest.raises(signals.PrefectStateSignal) as caught:
        getattr(triggers, trigger)(upstream)
    assert caught.value.state.message == message


@pytest.mark.parametrize("trigger", [triggers.some_failed(at_least=2), triggers.some_successful(at_least=2)])
def test_messages_of_thresholds(trigger):
    target = Task("t")
    upstream = {Edge(Task("a"), target): Success(), Edge(Task("b"), target): Failed()}
    with pytest.raises(signals.TRIGGERFAIL, match=r'^Trigger was "some_\w+" but thresholds were not met\.$'):
        trigger(upstream)


# -- §12.1


def seen_by_a_handler(make, **kwargs):
    seen = []

    def handler(obj, old, new):
        seen.append((type(old).__name__, type(new).__name__))

    with Flow("f") as f:
        make(handler)
    f.run(**kwargs)
    return [old for old, _ in seen[:1]] + [new for _, new in seen]


@pytest.mark.parametrize(
    ("options", "sequence"),
    [
        ({}, ["Pending", "Running", "Success"]),
        ({"cache_for": timedelta(hours=1)}, ["Pending", "Running", "Success", "Cached"]),
        ({"trigger": triggers.any_failed}, ["Pending", "TriggerFailed"]),
    ],
)
def test_changes_that_handlers_see(options, sequence):
    def make(handler):
        before = ident(1)
        task(lambda: 1, name="t", state_handlers=[handler], **options)(upstream_tasks=[before])

    with prefect.context(caches={}):
        assert seen_by_a_handler(make) == sequence


def test_changes_that_handlers_of_skipped_looped_and_mapped_tasks_see():
    @task
    def skip():
        raise signals.SKIP

    def skipping(handler):
        ident(skip(), task_args={"state_handlers": [handler]})

    def looping(handler):
        @task(state_handlers=[handler])
        def loop():
            if prefect.context.get("task_loop_count", 1) == 1:
                raise signals.LOOP

        loop()

    def mapping(handler):
        ident.map([1], task_args={"state_handlers": [handler]})

    assert seen_by_a_handler(skipping) == ["Pending", "Skipped"]
    assert seen_by_a_handler(looping) == ["Pending", "Running", "Looped", "Running", "Success"]
    assert seen_by_a_handler(mapping) == ["Pending", "Mapped", "Running", "Success"]


# -- §14


def test_flows_that_do_not_run_say_why(records):
    with Flow("f") as f:
        ident(1)
    runner = FlowRunner(f)
    for state in (Success(), Failed()):
        assert runner.run(state=state) is state
    odd = prefect.engine.state.State("odd")
    assert runner.run(state=odd) is odd
    assert ("prefect.FlowRunner", "Flow run has already finished.") in records("INFO")
    assert ("prefect.FlowRunner", "Flow is not ready to run.") in records("INFO")
    assert runner.run(state=Submitted(state=Pending())).is_successful()


def test_a_flow_that_is_stopped_before_its_tasks_says_so(records):
    with Flow("f", state_handlers=[lambda f, old, new: Paused("later") if new.is_running() else new]) as f:
        ident(1)
    assert isinstance(FlowRunner(f).run(), Paused)
    assert ("prefect.FlowRunner", "Flow is not in a Running state.") in records("INFO")


def test_errors_outside_the_steps_of_a_flow(records, monkeypatch):
    monkeypatch.setattr(FlowRunner, "initialize_run", lambda *args: 1 / 0)
    state = FlowRunner(Flow("f")).run()
    text = "Unexpected error while running flow: ZeroDivisionError('division by zero')"
    assert (state.message, type(state.result)) == (text, ZeroDivisionError)
    assert ("prefect.FlowRunner", text) in records("ERROR")


def test_ends_of_flow_runs_are_logged(records):
    with Flow("f") as f:
        t = ident(1)
    for given in (None, Failed(), prefect.engine.state.Cancelled()):
        f.run(task_states={} if given is None else {t: given})
    FlowRunner(f).run(task_states={t: Running()})
    assert [line for name, line in records("INFO") if line.startswith("Flow run ")] == [
        "Flow run SUCCESS: all reference tasks succeeded",
        "Flow run FAILED: some reference tasks failed.",
        "Flow run SUCCESS: no reference tasks failed",
        "Flow run RUNNING: terminal tasks are incomplete.",
    ]


def test_task_runs_that_end_early_say_why(records):
    edge = Edge(Task("up"), ident, key="x")
    runner = TaskRunner(ident)
    runner.run(upstream_states={edge: Pending()})
    runner.run(upstream_states={edge: Skipped()})
    runner.run(upstream_states={edge: Failed()})
    runner.run(state=Mapped(n_map_states=1), is_mapped_parent=True)
    cached = Cached(result=1, cached_result_expiration=utcnow().add(hours=1))
    TaskRunner(task(lambda: 1, name="c", cache_for=timedelta(hours=1))).run(state=cached)
    for line in (
        "Task 'ident': Not all upstream states are finished; ending run.",
        "Task 'ident': Upstream states were skipped; ending run.",
        "Task 'ident': TRIGGERFAIL signal raised during execution.",
        "Task 'ident': task is already mapped, but run will proceed so children are generated.",
        "Task 'c': Can't set state to Running because it isn't Pending; ending run.",
    ):
        assert ("prefect.TaskRunner", line) in records("DEBUG")


def test_loggers_of_tasks_are_named_after_them(records):
    @task
    def talk(x):
        prefect.context.logger.info("said %s", x)
        talk.logger.info("as itself")

    with Flow("f") as f:
        talk.map([7])
    f.run()
    assert ("prefect.talk[0]", "said 7") in records("INFO")
    assert ("prefect.talk", "as itself") in records("INFO")


def test_waits_are_announced_by_the_logger_of_the_flow(records, monkeypatch):
    monkeypatch.setattr("prefect.engine.local_run._sleep_until", lambda moment: None)
    later = prefect.engine.state.Scheduled(start_time=utcnow().add(hours=1))

    class Once(FlowRunner):
        def run(self, **kwargs):
            return Success(result={})

    Flow("slow").run(state=later, runner_cls=Once)
    assert ("prefect.slow", f"Waiting for next scheduled run at {later.start_time}") in records("INFO")


# -- §16

SOON, PAST = utcnow().add(hours=1), utcnow().add(hours=-1)


@pytest.mark.parametrize(
    ("validator", "valid"),
    [
        (cache_validators.never_use, []),
        (cache_validators.duration_only, ["same", "other input", "other parameter", "forever"]),
        (cache_validators.all_inputs, ["same", "other parameter", "forever"]),
        (cache_validators.all_parameters, ["same", "other input", "forever"]),
        (cache_validators.partial_inputs_only(["y"]), ["same", "other input", "other parameter", "forever"]),
        (cache_validators.partial_inputs_only(["x"]), ["same", "other parameter", "forever"]),
        (cache_validators.partial_inputs_only(), ["same", "other input", "other parameter", "forever"]),
        (cache_validators.partial_parameters_only(["p"]), ["same", "other input", "forever"]),
        (cache_validators.partial_parameters_only(["q"]), ["same", "other input", "other parameter", "forever"]),
    ],
)
def test_validators(validator, valid):
    inputs, parameters = {"x": 1, "y": [2]}, {"p": 1, "q": 2}
    hashes = {name: cache_validators.hash_input(value) for name, value in inputs.items()}

    def cached(expiration):
        return Cached(hashed_inputs=hashes, cached_parameters=parameters, cached_result_expiration=expiration)

    cases = {
        "same": (cached(SOON), inputs, parameters),
        "forever": (cached(None), inputs, parameters),
        "expired": (cached(PAST), inputs, parameters),
        "other input": (cached(SOON), {**inputs, "x": 2}, parameters),
        "other parameter": (cached(SOON), inputs, {**parameters, "p": 2}),
    }
    assert {name for name, case in cases.items() if validator(*case)} == set(valid)


def test_caches_are_shared_by_key_and_forgotten_when_they_expire(records):
    ran = []

    def cached(key, hours=1):
        return task(lambda: ran.append(key) or key, name=key, cache_for=timedelta(hours=hours), cache_key="shared")

    with prefect.context(caches={}):
        for name in ("first", "second"):
            with Flow(name) as f:
                t = cached(name)()
            s = f.run()
            assert s.result[t].result == "first"
            assert s.result[t].is_cached()
        assert ran == ["first"]
        prefect.context.caches["shared"][0].cached_result_expiration = PAST
        f.run()
        assert ran == ["first", "second"]
        assert len(prefect.context.caches["shared"]) == 1
    lines = [line for _, line in records("WARNING")]
    assert lines == [f"Task '{name}': Can't use cache because it is now invalid" for name in ("first", "second")]
