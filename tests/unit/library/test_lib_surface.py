"""What scripts call and read of flows, operators, branches, parameters and secrets, row by row of §33."""

import tempfile
from datetime import timedelta

import pytest

import prefect
from prefect import Flow, Parameter, Task, apply_map, case, task
from prefect.client import Secret
from prefect.engine import FlowRunner, signals
from prefect.engine.results import LocalResult, PrefectResult, SecretResult
from prefect.engine.state import Failed, Finished, State, Success
from prefect.tasks.control_flow import FilterTask, ifelse, merge, switch
from prefect.tasks.control_flow.conditional import Merge
from prefect.tasks.core.operators import GetAttr
from prefect.tasks.secrets import EnvVarSecret, PrefectSecret
from prefect.utilities.configuration import set_temporary_config


@task
def inc(x=1):
    return x + 1


def test_registries_take_what_plugins_hang_into_them():
    """§1.1."""
    prefect.plugins.mine = {"deep": {"value": 1}}
    assert prefect.plugins.mine.deep.value == 1
    del prefect.plugins.mine


def test_constructing_a_flow():
    """§4.1."""
    with pytest.raises(ValueError, match=r"^A name must be provided for the flow\.$"):
        Flow("")
    with pytest.raises(TypeError, match=r"^state_handlers should be iterable\.$"):
        Flow("x", state_handlers=lambda flow, old, new: new)
    handlers = []
    assert Flow("x", state_handlers=handlers).state_handlers is handlers
    failures = []
    flow = Flow("x", tasks=[inc], reference_tasks=[inc], on_failure=lambda flow, state: failures.append((flow, state)))
    assert flow.reference_tasks() == {inc}
    with flow:
        flow.set_reference_tasks([task(lambda: 1 / 0)()])
    state = flow.run()
    assert failures == [(flow, state)]
    assert flow.logger.name == "prefect.x"


def test_methods_of_the_graph():
    """§4.3."""
    flow = Flow("graph")
    a, b, c = (Task(name=name) for name in "abc")
    assert [(edge.upstream_task, edge.downstream_task) for edge in flow.chain(a, b, c)] == [(a, b), (b, c)]
    assert flow.sorted_tasks() == tuple(flow) == (a, b, c)
    flow.set_reference_tasks([a])
    other = Flow("other", tasks=[d := Task("d")], reference_tasks=[d])
    flow.update(other, merge_reference_tasks=True)
    assert flow.reference_tasks() == {a, d}
    flow.set_reference_tasks([])
    assert flow.reference_tasks() == {c, d}
    with pytest.raises(ValueError, match=r"^reference tasks must be part of the flow\.$"):
        flow.set_reference_tasks([Task()])


def test_arguments_of_run():
    """§4.5."""
    with Flow("arguments") as flow:
        result = inc(Parameter("x"))
    with pytest.raises(ValueError, match=r"^Flow\.run did not receive the following required parameters: x$"):
        flow.run()
    with pytest.raises(
        ValueError, match=r"^Flow\.run received the following unexpected parameters: a, b\nThe flow has"
    ):
        flow.run(parameters={"x": 1, "b": 1, "a": 1})
    with pytest.raises(ValueError, match=r"^The `return_tasks` keyword cannot be provided to `flow\.run\(\)`;"):
        flow.run(x=1, return_tasks=[])
    known = flow.run(x=1, task_states={result: Success(result=50)}, flow_run_id="id", context={"k": 1})
    assert known.result[result].result == 50
    with flow, pytest.raises(RuntimeError, match=r"^Don't call `flow\.run\(\)` from within a `Flow` context manager\."):
        flow.run(x=1)
    with flow, pytest.raises(ValueError, match=r"^Don't call `flow\.register\(\)` from within a `Flow` context"):
        flow.register("x")


def test_saving_and_hashing():
    """§4.6."""
    with Flow("saved flow") as flow:
        inc(Parameter("x", default=1))
    assert flow.serialized_hash() == flow.copy().serialized_hash()
    with tempfile.TemporaryDirectory() as home, set_temporary_config({"home_dir": home}):
        assert flow.save() == f"{home}/flows/saved-flow.prefect"
        for name in ("saved flow", "saved-flow.prefect", f"{home}/flows/saved-flow.prefect"):
            assert Flow.load(name).run().is_successful()
    with pytest.raises(ValueError, match=r"^This flow has no storage to build$"):
        flow.serialize(build=True)


def test_operators():
    """§5.5."""
    with Flow("operators") as flow:
        a = Parameter("a", default=7)
        computed = [
            *(a + 1, 1 + a, a - 1, 10 - a, a * 2, 2 * a, a / 2, 14 / a, a // 2, 15 // a, a % 4, 9 % a, a**2, 2**a),
            *(a > 3, a >= 7, a < 3, a <= 7, a & 5, 0 & a),
            *(a.is_equal(7), a.is_not_equal(7), a.not_(), a.or_(1), GetAttr()(task_result=a, attr="real.imag")),
        ]
        named = Parameter("pair", default={"x": [3]})["x"][0]
    state = flow.run()
    x = 7
    assert [state.result[one].result for one in computed] == [
        *(x + 1, 1 + x, x - 1, 10 - x, x * 2, 2 * x, x / 2, 14 / x, x // 2, 15 // x, x % 4, 9 % x, x**2, 2**x),
        *(True, True, False, True, 5, 0),
        *(True, False, False, 7, 0),
    ]
    assert state.result[named].result == 3
    assert named.name == "pair['x'][0]"


def test_parameters():
    """§6.1."""
    given = Parameter("x", default=3)
    assert (given.required, given.slug, repr(given), given.checkpoint) == (False, "x", "<Parameter: x>", True)
    assert Parameter("x", default=3, required=True).required
    assert isinstance(given.result, PrefectResult)
    with Flow("one") as flow:
        missing = Parameter("missing")
        assert given() is given
        inc(missing)
    assert given.copy("y").slug == "y"
    state = FlowRunner(flow).run(return_tasks=[missing])
    assert state.result[missing].message == 'Parameter "missing" was required but not provided.'


def test_mistakes_with_apply_map():
    """§7.4."""
    with pytest.raises(ValueError, match=r"^Couldn't infer a flow in the current context$"):
        apply_map(inc, [1])
    with Flow("mapping"):
        with pytest.raises(TypeError, match=r"^Cannot map over non-sequence object of type `int`$"):
            apply_map(inc, 5)
        with pytest.raises(ValueError, match=r"^Cannot set `mapped=True` when running from inside a mapped context$"):
            apply_map(inc.map, [1, 2])


def test_branches():
    """§8.1 to §8.5."""
    with Flow("branches") as flow:
        choice = Parameter("choice", default="b")
        a, b, c = inc(1), inc(2), inc(3)
        switch(choice, {"a": a, "b": b})
        ifelse(choice, c, None)
        merged = merge(a, b)
        with case(choice, "z"):
            skipped = inc(4)
        kept = FilterTask(log_func=len)([1, None, ValueError(), 2])
    results = flow.run().result
    assert results[a].is_skipped()
    assert (results[merged].result, results[c].result, results[kept].result) == (3, 4, [1, 2])
    (compared,) = flow.get_tasks(name="case(z)")
    assert results[compared].message == 'Provided value "b" did not match "z"'
    assert results[skipped].is_skipped()
    assert len(flow.get_tasks(name='CompareValue: "a"', tags={"switch"})) == 1
    assert len(flow.get_tasks(name="as_bool")) == 1
    with pytest.raises(TypeError, match=r"^`value` cannot be a task$"):
        case(choice, inc)
    with pytest.raises(ValueError, match=r"^Merge tasks must have `skip_on_upstream_skip=False`\.$"):
        Merge(skip_on_upstream_skip=True)


def test_families_and_faces_of_states_and_signals():
    """§9.3, §10."""
    assert Failed in Finished.children()
    assert "Failed" in Finished.children(names_only=True)
    assert {State, Finished} <= set(Failed.parents())
    assert (repr(signals.FAIL("m")), repr(signals.FAIL())) == ("FAIL('m')", "FAIL(None)")


def test_local_secrets(monkeypatch):
    """§22."""
    values = {"number": "42", "text": "x", "json": '{"a": 1}', "mapping": {"b": 2}}
    with prefect.context(secrets=values):
        assert [Secret(name).get() for name in values] == [42, "x", {"a": 1}, {"b": 2}]
        assert Secret("text").exists()
        assert not Secret("nothing").exists()
        assert PrefectSecret("number").run() == 42
        with Flow("building"), pytest.raises(ValueError, match=r"^Secrets should only be retrieved during a Flow run,"):
            Secret("text").get()
    with pytest.raises(ValueError, match=r'^Local Secret "nothing" was not found\.$'):
        Secret("nothing").get()
    secret = PrefectSecret("text")
    assert (secret.name, secret.checkpoint, type(secret.result)) == ("text", False, SecretResult)
    with pytest.raises(ValueError, match=r"^A secret name must be provided\.$"):
        PrefectSecret().run()
    with pytest.raises(ValueError, match=r"^Result types for Secrets are not configurable\.$"):
        PrefectSecret("text", result=LocalResult())
    monkeypatch.setenv("MINUTES", "5")
    assert EnvVarSecret("MINUTES", cast=lambda text: timedelta(minutes=int(text))).run() == timedelta(minutes=5)
    assert EnvVarSecret("NOTHING").run() is None
    with pytest.raises(ValueError, match=r"^Environment variable not set: NOTHING$"):
        EnvVarSecret("NOTHING", raise_if_missing=True).run()
