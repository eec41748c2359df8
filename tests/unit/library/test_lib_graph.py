"""§4.1 to §4.4, §6.2, §7, building flows: tasks, edges, constants, slugs and questions about the graph."""

import cloudpickle
import pytest
from hypothesis import given
from hypothesis import strategies as st

import prefect
from prefect import Flow, Parameter, Task, tags, task
from prefect.core import Edge
from prefect.tasks.core.constants import Constant
from prefect.utilities.tasks import as_task


@task
def ident(x):
    return x


@task
def nop():
    return None


@task
def add(x, y=1):
    return x + y


def test_edges_are_values_and_checked():
    a, b = Task("a"), Task("b")
    assert Edge(a, b, key="x") == Edge(a, b, key="x")
    assert len({Edge(a, b), Edge(a, b)}) == 1
    assert Edge(a, b) != Edge(a, b, mapped=True)
    assert repr(Edge(a, b, key="x")) == "<Edge(key=x, mapped=False, flattened=False): a to b>"
    assert Edge(prefect.flatten(a), b).flattened
    assert not Edge(prefect.unmapped(a), b, mapped=True).mapped
    with pytest.raises(ValueError, match=r"^Edges can not connect a task to itself\.$"):
        Edge(a, a)
    with pytest.raises(ValueError, match=r"^Key must be a valid identifier"):
        Edge(a, b, key="not valid")


def test_annotations_compose():
    wrapped = prefect.unmapped(prefect.flatten([1]))
    assert wrapped.value == [1]
    assert wrapped.annotations == {"mapped": False, "flattened": True}
    assert prefect.flatten(prefect.unmapped([1])).annotations == wrapped.annotations


def test_constants_are_kept_aside():
    with Flow("f") as f:
        a = add(1, y=2)
        m = add.map([1, 2])
    assert f.constants == {a: {"x": 1, "y": 2}}
    assert {t.name for t in f.tasks} == {"add", "[1, 2]"}
    assert f.upstream_tasks(m) == {next(iter(f.get_tasks(task_type=Constant)))}


def test_slugs():
    with Flow("f") as f:
        a = nop()
        b = nop()
        with tags("b", "a"):
            c = nop()
        d = nop(task_args={"slug": "nop-3"})
        e = nop()
    assert [f.slugs[t] for t in (a, b, c, d, e)] == ["nop-1", "nop-2", "nop-a-b-1", "nop-3", "nop-4"]


def test_explicit_slugs():
    @task(slug="abc")
    def f1():
        return 1

    with Flow("f") as f:
        called = f1()
        added = f.add_task(f1)
    assert f.slugs[called] == "abc-copy"
    assert f.slugs[added] == "abc"
    with pytest.raises(ValueError, match=r'^A task with the slug "abc" already exists in this flow\.') as caught:
        f.add_task(f1.copy(slug="abc"))
    assert str(caught.value).endswith("in this flow.")
    assert caught.value.__notes__[0].startswith("Give one of the two another slug: ")


def test_two_parameters_of_one_name():
    f = Flow("f")
    f.add_task(Parameter("p"))
    with pytest.raises(ValueError, match=r'"p" already exists'):
        f.add_task(Parameter("p"))


def test_refused_tasks_and_edges():
    f = Flow("f")
    with pytest.raises(TypeError, match=r"^Tasks must be Task instances \(received <class 'int'>\)$"):
        f.add_task(1)
    with pytest.raises(ValueError, match=r"^Parameters must be root tasks and can not have upstream dependencies\.$"):
        f.add_edge(Task("a"), Parameter("p"))
    with pytest.raises(ValueError, match="was not found in Flow"):
        f.edges_to(Task("x"))
    with pytest.raises(ValueError, match=r"^reference tasks must be part of the flow\.$"):
        f.set_reference_tasks([Task("x")])


def test_cycles_are_found():
    f = Flow("f")
    before, a, b, c, after = (Task(name) for name in ("before", "a", "b", "c", "after"))
    f.chain(before, a, b, c, a)
    f.add_edge(b, after)
    with pytest.raises(ValueError, match=r"^Cycle found; flows must be acyclic!") as caught:
        f.validate()
    assert caught.value.__notes__ == ["These tasks wait for each other: a-1 -> b-1 -> c-1 -> a-1."]


def test_eager_validation():
    f = Flow("f")
    one, two, target = Task("one"), Task("two"), ident.copy()
    f.add_edge(one, target, key="x", validate=True)
    with pytest.raises(ValueError, match=r'^Argument "x" for task <Task: ident> has already been assigned'):
        f.add_edge(two, target, key="x", validate=True)
    with pytest.raises(TypeError):
        f.add_edge(two, target, key="nope", validate=True)


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=40))
def test_sorting_respects_every_edge(pairs):
    f = Flow("f")
    nodes = [f.add_task(Task(str(i))) for i in range(13)]
    for a, b in pairs:
        if a < b:
            f.add_edge(nodes[a], nodes[b])
    position = {t: i for i, t in enumerate(f.sorted_tasks())}
    assert set(position) == f.tasks
    assert all(position[e.upstream_task] < position[e.downstream_task] for e in f.edges)
    assert f.root_tasks() == {t for t in nodes if not f.edges_to(t)}
    assert f.terminal_tasks() == {t for t in nodes if not f.edges_from(t)}
    assert list(f) == list(f.sorted_tasks())


def test_sorting_from_roots_and_changes_after_questions():
    f = Flow("f")
    a, b, c = (Task(n) for n in "abc")
    f.chain(a, b)
    assert f.sorted_tasks() == (a, b)
    f.chain(b, c)
    assert f.sorted_tasks([b]) == (b, c)
    assert f.terminal_tasks() == {c}


def test_get_tasks():
    with Flow("f") as f:
        with tags("t"):
            a = nop()
        b = ident(a)
    assert f.get_tasks(name="nop") == [a]
    assert f.get_tasks(tags=["t"]) == [a]
    assert f.get_tasks(name="ident", tags=["t"]) == []
    assert set(f.get_tasks()) == {a, b}


def test_copy_is_independent():
    with Flow("f") as f:
        a = nop()
    g = f.copy()
    g.add_edge(a, Task("x"))
    assert len(f.tasks) == 1
    assert len(g.tasks) == 2
    assert f != g
    assert f == f.copy()


def test_update_and_merge_parameters():
    with Flow("a") as a:
        p = Parameter("p", default=1)
        x = ident(p)
    with Flow("b") as b:
        q = Parameter("p", default=2)
        y = ident(q)
    with pytest.raises(ValueError, match='"p" already exists'):
        a.copy().update(b)
    a.update(b, merge_parameters=True)
    assert a.parameters() == {q}
    state = a.run()
    assert (state.result[x].result, state.result[y].result) == (2, 2)


def test_replace():
    with Flow("f") as f:
        a = nop()
        b = ident(a)
    new = Constant(7)
    f.replace(a, new)
    assert f.run().result[b].result == 7
    assert a not in f.tasks
    with pytest.raises(ValueError, match="was not found in Flow"):
        f.replace(a, new)


def test_unused_tasks_warn_once():
    with pytest.warns(UserWarning, match=r"^Tasks were created but not added to the flow: "), Flow("f"):
        Parameter("unused")


def test_used_tasks_do_not_warn():
    with Flow("f"):
        p = Parameter("p")
        t = Task("x")
        ident(p, upstream_tasks=[t])


def test_context_manager_restores():
    with Flow("a") as a:
        assert prefect.context.flow is a
        with Flow("b") as b:
            assert prefect.context.flow is b
        assert prefect.context.flow is a
        with pytest.raises(RuntimeError, match=r"^Don't call `flow.run\(\)` from within a `Flow` context manager\."):
            a.run()
        with pytest.raises(ValueError, match=r"^Don't call `flow.register\(\)` from within"):
            a.register("p")
    assert "flow" not in prefect.context


def test_loading_flow_guards_run_and_register():
    f = Flow("f")
    with prefect.context(loading_flow=True):
        with pytest.warns(UserWarning, match=r"^Attempting to call `flow.run` during execution of flow file"):
            assert f.run() is None
        with pytest.warns(UserWarning, match=r"^Attempting to call `flow.register` during execution of flow file"):
            assert f.register("p") is None


def test_flows_are_not_hashable_and_show_their_name():
    with pytest.raises(TypeError):
        hash(Flow("f"))
    assert repr(Flow("f")) == '<Flow: name="f">'
    with pytest.raises(TypeError, match=r"^state_handlers should be iterable\.$"):
        Flow("f", state_handlers=lambda *_: None)


def test_as_task():
    with Flow("f") as f:
        t = nop()
        assert as_task(t) is t
        assert as_task([1, {"a": 2}]).value == [1, {"a": 2}]
        nested = as_task({"k": [t, 1], "s": (t,)})
    assert type(nested).__name__ == "Dict"
    assert nested.auto_generated
    assert f.run().result[nested].result == {"k": [None, 1], "s": (None,)}


def test_constant_names():
    assert Constant([1, 2]).name == "[1, 2]"
    assert Constant(list(range(10))).name == "Constant[list]"


def test_flows_pickle():
    with Flow("f") as f:
        p = Parameter("p", default=3)
        add(ident(p), 4)
    g = cloudpickle.loads(cloudpickle.dumps(f))
    state = g.run()
    assert sorted(s.result for s in state.result.values()) == [3, 3, 7]
    assert sorted(g.slugs.values()) == sorted(f.slugs.values())
