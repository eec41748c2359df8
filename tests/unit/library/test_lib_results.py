"""When values are kept, where, and what happens if that fails: library-api §13.6 steps 8 and 11, §15.1 to §15.3."""

import base64
import os
import pickle
import threading
from datetime import timedelta
from types import SimpleNamespace

import pytest

import prefect
from prefect import Flow, Parameter, task
from prefect.engine import signals
from prefect.engine.result import Result
from prefect.engine.results import ConstantResult, LocalResult, PrefectResult
from prefect.engine.serializers import (
    CompressedSerializer,
    DateTimeSerializer,
    JSONSerializer,
    PickleSerializer,
    UnpicklableError,
)
from prefect.exceptions import FlowStorageError
from prefect.serialization.result import result_to_dict
from prefect.storage import Local
from prefect.tasks.secrets import PrefectSecret


@pytest.fixture
def place(tmp_path):
    return tmp_path / "kept"


def files(place):
    return sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())


def run(flow, **options):
    with prefect.context(checkpointing=True):
        return flow.run(**options)


def test_names_in_a_location_are_inputs_then_context_then_parameters(place):
    """§15.3: format specifications and attributes work as in any format string."""
    kept = LocalResult(str(place), location="{x}-{y}-{p}-{date:%Y}-{who.name}-{task_full_name}.json")

    @task(result=kept)
    def one(x, who):
        return x

    with Flow("f") as flow:
        Parameter("x", default="parameter")()
        Parameter("y", default="parameter")()
        p = Parameter("p", default="parameter")
        one("input", SimpleNamespace(name="me"), upstream_tasks=[p])
        one.map(["a", "b"], prefect.unmapped(SimpleNamespace(name="us")), upstream_tasks=[p])
    run(flow, context={"y": "context", "date": "2031-05-06"})
    assert files(place) == [
        "a-context-parameter-2031-us-one[0].json",
        "b-context-parameter-2031-us-one[1].json",
        "input-context-parameter-2031-me-one.json",
    ]


def test_whose_result_is_used(place):
    """§13.6: the task's own, else a copy of the flow's; the location may be a function."""
    with Flow("f", result=LocalResult(str(place), location="of-flow")) as flow:
        a = task(lambda: 1, name="a")()
        b = task(lambda: 2, name="b", result=LocalResult(str(place), location=lambda **names: names["task_name"]))()
        c = task(lambda: 3, name="c", result=Result())()
        d = Parameter("d", default={"x": 1})()
    state = run(flow)
    locations = [state.result[one]._result.location for one in (a, b, c, d)]
    assert locations == [str(place / "of-flow"), str(place / "b"), None, '{"x": 1}']
    assert isinstance(state.result[d]._result, PrefectResult)
    assert flow.result.location == "of-flow"


def test_only_what_succeeded_is_kept(place):
    """§15.3: success and loops; neither None nor failures, skips, or tasks that opted out."""
    kept = LocalResult(str(place), location="{task_name}-{task_loop_count}")

    @task(result=kept)
    def looping():
        if prefect.context.get("task_loop_count", 1) < 2:
            raise signals.LOOP(result=1)
        return 2

    def raising(error):
        def call():
            raise error

        return call

    with prefect.context(task_loop_count=1), Flow("f") as flow:
        looping()
        task(raising(ValueError()), name="failed", result=kept)()
        task(raising(signals.SKIP(result=1)), name="skipped", result=kept)()
        task(raising(signals.SUCCESS(result=1)), name="success", result=kept)()
        task(lambda: None, name="none", result=kept)()
        task(lambda: 1, name="opted", result=kept, checkpoint=False)()
    with prefect.context(task_loop_count=1):
        run(flow)
    assert files(place) == ["looping-1", "looping-2", "success-1"]
    with prefect.context(checkpointing=False, task_loop_count=7):
        flow.run()
    assert len(files(place)) == 3


def test_targets_are_looked_for_even_without_checkpointing(place):
    """§13.6 step 8: inputs are in the name, `self` is not; a function may give it."""
    calls = []

    @task(result=LocalResult(str(place)), target=lambda **names: "{}-{}".format(names["x"], "self" in names))
    def one(x):
        calls.append(x)
        return x

    with Flow("f") as flow:
        first = one(1)
    with prefect.context(checkpointing=False):
        assert not flow.run().result[first].is_cached()
    assert run(flow).result[first].result == 1
    with prefect.context(checkpointing=False):
        state = flow.run().result[first]
    assert calls == [1, 1]
    assert (state.is_cached(), state.result, state.message) == (True, 1, "Result found at task target 1-False")
    assert state.cached_result_expiration is None
    assert files(place) == ["1-False"]


def test_a_target_that_cannot_be_named_fails_the_task(place):
    with Flow("f") as flow:
        bad = task(lambda: 1, name="t", result=LocalResult(str(place)), target="{nope}")()
        none = task(lambda: 1, name="t", result=LocalResult(str(place)), target="")()
        worse = task(lambda: 1, name="t", result=LocalResult(str(place)), target=lambda **names: 1 / 0)()
    state = run(flow)
    assert state.result[bad].message == "Unexpected error: KeyError('nope')"
    assert state.result[worse].message.startswith("Unexpected error: ZeroDivisionError")
    assert state.result[none].is_successful()


# -- the protocol (§15.1)


class InMemory(Result):
    """A result as users write it."""

    kept = {}  # noqa: RUF012 - shared on purpose

    def read(self, location):
        new = self.copy()
        new.value, new.location = self.kept[location], location
        return new

    def write(self, value_, **kwargs):
        new = self.format(**kwargs)
        new.value = value_
        self.kept[new.location] = value_
        return new

    def exists(self, location, **kwargs):
        return location.format(**kwargs) in self.kept


def test_results_that_users_write():
    InMemory.kept.clear()
    result = InMemory(location="{value}-{task_name}")

    @task(result=result, target="{value}-{task_name}")
    def one(value):
        return [value]

    with Flow("f") as flow:
        first = one(5)
    states = [run(flow).result[first] for _ in range(2)]
    assert [state.result for state in states] == [[5], [5]]
    assert [state.is_cached() for state in states] == [False, True]
    assert InMemory.kept == {"5-one": [5]}
    assert result.location == "{value}-{task_name}"


def test_results_are_values():
    a, b = InMemory(1, location="x"), InMemory(1, location="x")
    assert a == b
    assert a != InMemory(2, location="x")
    assert a != Result(1, location="x")
    assert a != InMemory(1, location="x", serializer=JSONSerializer())
    assert a.copy() == a
    assert a.copy() is not a
    assert (a.from_value(3).value, a.from_value(3).location, a.value) == (3, None, 1)
    assert repr(a) == "<InMemory: 1>"
    assert a.logger.name == "prefect.InMemory"
    assert Result().serializer == PickleSerializer()


def test_results_of_secrets_and_constants():
    """§15.2: neither is ever written; a secret is fetched again where it is read."""
    secret = PrefectSecret("TOKEN")
    with prefect.context(secrets={"TOKEN": "now", "OTHER": "else"}):
        read = secret.result.read("OTHER")
    assert (read.value, read.location, secret.result.location) == ("else", "OTHER", "TOKEN")
    assert secret.result.exists("TOKEN")
    with pytest.raises(ValueError, match=r"^SecretResults cannot be written to\.$"):
        secret.result.write(1)
    assert result_to_dict(secret.result)["secret_type"] == "prefect.tasks.secrets.base.PrefectSecret"
    with pytest.raises(ValueError, match="serializer"):
        ConstantResult(value=1, serializer=PickleSerializer())
    with Flow("f") as flow:
        uses = task(lambda x: x, name="uses", checkpoint=False)(secret)
    with prefect.context(secrets={"TOKEN": "now"}):
        state = run(flow)
    assert state.result[uses].result == "now"
    assert "now" not in str(state.result[secret].serialize())


def test_serializers_that_cannot_be_made_or_used():
    """§15.4."""
    for options, kind, message in (
        ({"format": "no_such_module"}, ImportError, "There is no compression module 'no_such_module'; use bz2, gzip"),
        ({"format": "json"}, ValueError, "The module 'json' has no functions `compress` and `decompress`; use bz2"),
    ):
        with pytest.raises(kind, match=message):
            CompressedSerializer(PickleSerializer(), **options)
    with pytest.raises(ValueError, match="takes a datetime, or the text of one; got 3"):
        DateTimeSerializer().serialize(3)
    assert DateTimeSerializer().serialize("2020-01-02") == b"2020-01-02T00:00:00Z"


def test_pickles_in_base64_are_read_as_well():
    """§15.4."""
    serializer = PickleSerializer()
    assert serializer.deserialize(base64.b64encode(serializer.serialize({"a": 1}))) == {"a": 1}
    with pytest.raises(pickle.UnpicklingError):
        serializer.deserialize(b"no pickle!")


# -- failures to keep a value


def test_what_cannot_be_pickled_fails_its_task_in_a_sentence(place):
    with Flow("f", result=LocalResult(str(place))) as flow:
        bad, good = task(lambda: [threading.Lock()], name="bad")(), task(lambda: 1, name="good")()
    state = run(flow)
    message = state.result[bad].message
    assert message.startswith("Unexpected error: UnpicklableError(")
    assert "A value of type 'list' cannot be pickled: cannot pickle '_thread.lock' object. Return something" in message
    assert "`checkpoint=False`" in message
    assert state.result[good].result == 1
    assert [name for name in files(place) if "tmp" in name] == []
    with pytest.raises(TypeError):
        PickleSerializer().serialize(threading.Lock())
    assert isinstance(state.result[bad].result, UnpicklableError)
    assert flow.run().is_successful(), "nothing is pickled where nothing is kept"


def test_a_write_that_failed_is_tried_again_with_its_task(place):
    """The failure is the task's, so its retries apply."""
    (place / "x").mkdir(parents=True)

    @task(max_retries=1, retry_delay=timedelta(0), result=LocalResult(str(place), location="x"))
    def one():
        if prefect.context.task_run_count == 2:
            (place / "x").rmdir()
        return 1

    with Flow("f") as flow:
        first = one()
    assert run(flow).result[first].is_successful()
    assert files(place) == ["x"]


def test_paths_that_cannot_be_used_are_named(place):
    place.mkdir()
    (place / "file").write_text("")
    result = LocalResult(str(place), location="file/x")
    with pytest.raises(OSError, match=rf"^\[Errno \d+\] The result could not be written to {place}/file/x: ") as caught:
        result.write(1)
    assert str(place / "file/x") in repr(caught.value)
    with pytest.raises(
        FileNotFoundError, match=rf"^\[Errno 2\] No result could be read from {place}/none: No such file"
    ):
        result.read("none")
    with Flow("f", result=result) as flow:
        one = task(lambda: 1, name="one")()
    assert f"could not be written to {place}/file/x" in run(flow).result[one].message
    with pytest.raises(TypeError, match="not JSON serializable"):
        LocalResult(str(place), location="y", serializer=JSONSerializer()).write({1j})
    assert files(place) == ["file"]


def test_storage_paths_that_cannot_be_used_are_named(place):
    place.mkdir()
    (place / "file").write_text("nothing that was pickled")
    flow = Flow("f")
    with pytest.raises(OSError, match=str(place / "file")):
        Local(str(place / "file" / "below"))
    storage = Local(str(place), path=str(place / "file" / "x.prefect"))
    with pytest.raises(FlowStorageError, match=rf"^The flow 'f' could not be written to '{place}/file/x\.prefect': .*"):
        storage.add_flow(flow)
    assert "f" not in storage
    stored = Local(str(place))
    location = stored.add_flow(flow)
    with open(location, "wb") as file:  # noqa: PTH123 - the location is text
        file.write(b"nothing that was pickled")
    with pytest.raises(FlowStorageError, match=r"^An error occurred while unpickling the flow:"):
        stored.get_flow("f")
    if os.geteuid():
        os.chmod(location, 0)  # noqa: PTH101 - as above
        with pytest.raises(FlowStorageError, match="could not be read"):
            stored.get_flow("f")
