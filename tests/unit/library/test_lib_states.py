"""§9, §10, §28.2, states and signals: their families, fields and JSON."""

import json

import cloudpickle
import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

import prefect
from prefect.engine import signals, state
from prefect.engine.result import NoResult, NoResultType, Result
from prefect.engine.results import LocalResult, PrefectResult
from prefect.engine.state import State
from prefect.exceptions import PrefectSignal, TaskTimeoutSignal

ALL = [getattr(state, name) for name in state.__all__]

PREDICATES = {
    "is_pending": {"Pending", "Scheduled", "Paused", "Resume", "Retrying"},
    "is_scheduled": {"Scheduled", "Paused", "Resume", "Retrying", "Queued"},
    "is_retrying": {"Retrying"},
    "is_queued": {"Queued"},
    "is_submitted": {"Submitted"},
    "is_running": {"Running", "Cancelling"},
    "is_looped": {"Looped"},
    "is_mapped": {"Mapped"},
    "is_cached": {"Cached"},
    "is_skipped": {"Skipped"},
    "is_successful": {"Success", "Cached", "Mapped", "Skipped"},
    "is_failed": {"Failed", "TimedOut", "TriggerFailed", "ValidationFailed"},
    "is_meta_state": {"ClientFailed", "Submitted", "Queued"},
    "is_finished": {
        "Finished",
        "Looped",
        "Success",
        "Cached",
        "Mapped",
        "Skipped",
        "Cancelled",
        "Failed",
        "TimedOut",
        "TriggerFailed",
        "ValidationFailed",
    },
}


@pytest.mark.parametrize("predicate", PREDICATES)
def test_predicates(predicate):
    assert {cls.__name__ for cls in ALL if getattr(cls(), predicate)()} == PREDICATES[predicate]


def test_repr_equality_and_hash():
    assert repr(state.Success("m")) == '<Success: "m">'
    assert repr(state.Success()) == "<Success>"
    assert state.Pending() == state.Pending("x")
    assert state.Success(result=1) != state.Success(result=2)
    assert state.Success() != state.Finished()
    assert state.Mapped(map_states=[state.Success()]) != state.Mapped(map_states=[state.Failed()])
    assert len({state.Success(), state.Success()}) == 2


def test_results_are_wrapped():
    assert state.Success()._result is NoResult
    assert state.Success().result is None
    success = state.Success(result=5)
    assert isinstance(success._result, Result)
    assert success.result == 5
    success.result = PrefectResult(value=6)
    assert success.result == 6


def test_positional_order():
    assert state.Retrying("m", 1, pendulum.datetime(2020, 1, 1), None, {"a": 1}, 4).run_count == 4
    assert state.Mapped("m", None, [state.Success()]).n_map_states == 1
    assert state.Looped("m", 1, 3).loop_count == 3
    assert state.Failed("m", 1, {"x": Result()}).cached_inputs["x"] == Result()
    assert state.Queued("m", None, state.Pending("p")).state == state.Pending()


def test_context_of_the_run_is_recorded():
    with prefect.context(task_tags={"a"}, task_run_count=3, task_loop_count=2):
        assert state.Success().context == {"tags": ["a"]}
        assert state.Scheduled().context["task_run_count"] == 3
        assert state.Retrying().run_count == 3
        assert state.Looped().loop_count == 2


def test_start_times():
    assert state.Scheduled().start_time.timezone_name == "UTC"
    assert state.Paused().start_time is None
    assert state.Queued().start_time is not None
    naive = pendulum.naive(2020, 1, 1)
    assert state.Scheduled(start_time=naive).start_time == pendulum.datetime(2020, 1, 1)


def test_meta_states_wrap_the_innermost():
    inner = state.Scheduled("s")
    outer = state.Queued(state=state.Submitted(state=state.ClientFailed(state=inner)))
    assert outer.state is inner


def test_families():
    assert "TimedOut" in state.Failed.children(names_only=True)
    assert not any(name.startswith("_") for name in State.children(names_only=True))
    assert state.Retrying.parents(names_only=True) == ["Scheduled", "Pending", "State"]
    assert State.children(include_self=True)[0] is State


def test_unpicklable_exceptions_become_text():
    class Odd(Exception):
        def __reduce__(self):
            raise RuntimeError("no")

    loaded = cloudpickle.loads(cloudpickle.dumps(state.Failed("m", result=Odd("x"))))
    assert "could not be pickled due to RuntimeError('no')" in loaded.result
    again = cloudpickle.loads(cloudpickle.dumps(state.Failed("m", result=ValueError("x"))))
    assert isinstance(again.result, ValueError)


TIMES = st.datetimes(timezones=st.just(pendulum.UTC)).map(pendulum.instance)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
RESULTS = st.one_of(
    st.just(NoResult),
    st.builds(Result, location=st.none() | st.text()),
    st.builds(PrefectResult, location=st.text()),
    st.builds(lambda location: LocalResult(dir="/d", validate_dir=False, location=location), st.text()),
)
COMMON = {
    "message": st.none() | st.text(),
    "context": st.dictionaries(st.text(), JSON),
    "cached_inputs": st.dictionaries(st.text(), RESULTS),
}
SIMPLE = st.sampled_from(
    [
        state.Pending,
        state.Running,
        state.Cancelling,
        state.Finished,
        state.Success,
        state.Skipped,
        state.Cancelled,
        state.Failed,
        state.TimedOut,
        state.TriggerFailed,
        state.ValidationFailed,
    ]
)
STATES = st.one_of(
    SIMPLE.flatmap(lambda cls: st.builds(cls, result=RESULTS, **COMMON)),
    st.sampled_from([state.Scheduled, state.Resume, state.Paused]).flatmap(
        lambda cls: st.builds(cls, result=RESULTS, start_time=TIMES, **COMMON)
    ),
    st.builds(state.Paused, **COMMON),
    st.builds(state.Retrying, result=RESULTS, start_time=TIMES, run_count=st.integers(1, 100), **COMMON),
    st.builds(state.Looped, result=RESULTS, loop_count=st.integers(1, 100), **COMMON),
    st.builds(state.Mapped, n_map_states=st.integers(0, 20), **COMMON),
    st.builds(
        state.Cached,
        result=RESULTS,
        cached_parameters=st.none() | st.dictionaries(st.text(), JSON),
        cached_result_expiration=st.none() | TIMES,
        hashed_inputs=st.none() | st.dictionaries(st.text(), st.text()),
        **COMMON,
    ),
)
META = st.one_of(
    STATES,
    st.sampled_from([state.Submitted, state.ClientFailed]).flatmap(
        lambda cls: st.builds(cls, state=st.none() | STATES, **COMMON)
    ),
    st.builds(state.Queued, state=st.none() | STATES, start_time=TIMES, **COMMON),
)


@given(META)
def test_json_round_trip(original):
    data = original.serialize()
    loaded = State.deserialize({**data, "unknown": 1})
    assert type(loaded) is type(original)
    assert loaded.serialize() == data
    # Children are not part of the JSON: what stands for them is not equal to them.
    if '"Mapped"' not in json.dumps(data):
        assert loaded == original
    assert (loaded.message, loaded.context) == (original.message, original.context)


def test_json_leaves_values_out():
    data = state.Success(
        "Task run succeeded.", result=LocalResult(dir="/r", validate_dir=False, location="/r/x")
    ).serialize()
    assert data["_result"]["type"] == "LocalResult"
    assert (data["_result"]["dir"], data["_result"]["location"]) == ("/r", "/r/x")
    assert "value" not in data["_result"]
    assert set(data) == {"type", "message", "context", "cached_inputs", "_result", "__version__"}
    assert state.Success(result=object()).serialize()["_result"]["type"] == "Result"


def test_json_of_mapped_and_minimal_states():
    data = state.Mapped(n_map_states=3).serialize()
    assert "_result" not in data
    assert State.deserialize(data).map_states == [None, None, None]
    assert State.deserialize({"type": "Success", "message": "m"}) == state.Success()
    assert State.deserialize({"type": "Scheduled"}).start_time is not None
    assert State.deserialize({"type": "Paused", "start_time": None}).start_time is None
    with pytest.raises(ValueError, match="'Nope'"):
        State.deserialize({"type": "Nope"})


def test_custom_results_keep_their_location():
    class Mine(Result):
        pass

    data = state.Success(result=Mine(location="loc")).serialize()
    assert data["_result"]["type"] == "CustomResult"
    assert State.deserialize(data)._result == Result(location="loc")


def test_load_result(tmp_path):
    written = LocalResult(dir=str(tmp_path)).write({"a": 1})
    loaded = State.deserialize(state.Success(result=written).serialize())
    assert loaded.result is None
    assert loaded.load_result(LocalResult(dir=str(tmp_path))).result == {"a": 1}
    mapped = state.Mapped(map_states=[State.deserialize(state.Success(result=written).serialize())])
    assert mapped.load_result(LocalResult(dir=str(tmp_path))).result == [{"a": 1}]


def test_values_that_are_written_at_the_same_moment_share_no_file(tmp_path):
    result = LocalResult(dir=str(tmp_path))
    assert len({result.default_location for _ in range(2000)}) == 2000


def test_no_result_is_one():
    assert cloudpickle.loads(cloudpickle.dumps(NoResult)) is NoResult
    assert NoResult == NoResultType()


# -- signals


@pytest.mark.parametrize(
    ("signal", "cls"),
    [
        (signals.FAIL, state.Failed),
        (signals.SUCCESS, state.Success),
        (signals.SKIP, state.Skipped),
        (signals.RETRY, state.Retrying),
        (signals.PAUSE, state.Paused),
        (signals.TRIGGERFAIL, state.TriggerFailed),
        (signals.VALIDATIONFAIL, state.ValidationFailed),
        (signals.LOOP, state.Looped),
    ],
)
def test_signals_and_their_states(signal, cls):
    raised = signal("msg")
    assert type(raised.state) is cls
    assert raised.state.message == "msg"
    assert repr(raised) == f"{signal.__name__}('msg')"
    assert signals.signal_from_state(cls()) is signal
    assert not isinstance(raised, Exception)
    assert isinstance(raised, PrefectSignal)
    again = cloudpickle.loads(cloudpickle.dumps(raised))
    assert (type(again), type(again.state)) == (signal, cls)


def test_default_result_of_signals():
    raised = signals.FAIL()
    assert raised.state.result is raised
    assert repr(raised) == "FAIL(None)"
    assert signals.LOOP().state.result == "LOOP()"
    assert signals.SKIP("x", result=None).state.result is None
    assert signals.FAIL("x", result=3).state.result == 3


def test_states_without_a_signal():
    with pytest.raises(ValueError, match=r"^No signal matches the provided state: <Cancelled>$"):
        signals.signal_from_state(state.Cancelled())
    assert issubclass(TaskTimeoutSignal, BaseException)
    assert not issubclass(TaskTimeoutSignal, Exception)
