"""The reference programs of the 1.x API (§32), one test each: what they assert holds here too, on every executor.

What tasks record goes into a file instead of a list, because some run in other processes.
"""

import time
from datetime import timedelta

import pytest

import prefect
from prefect import Flow, Parameter, Task, apply_map, case, flatten, resource_manager, tags, task, unmapped
from prefect.engine import signals
from prefect.engine.results import LocalResult
from prefect.engine.state import Resume, Success
from prefect.tasks.control_flow import FilterTask, merge
from prefect.triggers import all_finished


@task
def ident(x):
    return x


@task
def add(x, y=1):
    return x + y


@task
def fail():
    raise ValueError("boom")


@task
def skip():
    raise signals.SKIP("no")


def test_g1_basic_run_result_lookup_parameters(executor):
    with Flow("g1", executor=executor) as f:
        p = Parameter("p", default=2)
        a = add(p, y=10)
    s = f.run(p=5)
    assert s.is_successful()
    assert s.message == "All reference tasks succeeded."
    assert s.result[a].result == 15
    assert s.result[p].result == 5
    assert s.result[a].message == "Task run succeeded."
    assert f.slugs[a] == "add-1"
    assert f.slugs[p] == "p"
    assert f.constants[a] == {"y": 10}
    assert len(f.tasks) == 2


def test_g2_failure_trigger_failure_reference_tasks_cleanup(executor):
    with Flow("g2", executor=executor) as f:
        x = fail()
        y = ident(x)
        z = ident(1, upstream_tasks=[x], task_args={"trigger": all_finished, "name": "cleanup"})
    s = f.run()
    assert s.is_failed()
    assert s.message == "Some reference tasks failed."
    assert repr(s.result[x]) == "<Failed: \"Error during execution of task: ValueError('boom')\">"
    assert isinstance(s.result[x].result, ValueError)
    assert type(s.result[y]).__name__ == "TriggerFailed"
    assert s.result[z].is_successful()
    f.set_reference_tasks([z])
    assert f.run().is_successful()


def test_g3_skip_propagation_and_opting_out(executor):
    with Flow("g3", executor=executor) as f:
        k = skip()
        d = ident(k)
        e = ident(5, upstream_tasks=[k], task_args={"skip_on_upstream_skip": False})
    s = f.run()
    assert s.is_successful()
    assert s.result[k].is_skipped()
    assert s.result[d].is_skipped()
    assert s.result[e].result == 5
    assert isinstance(s.result[k].result, signals.SKIP)
    assert s.result[d].result is None


def test_g4_retries_run_counts_and_history(executor, journal):
    seen = journal

    @task(
        max_retries=2,
        retry_delay=timedelta(seconds=0),
        state_handlers=[lambda t, o, n: seen.append(type(n).__name__)],
    )
    def flaky():
        if prefect.context.task_run_count < 2:
            raise RuntimeError("again")
        return prefect.context.task_run_count

    with Flow("g4", executor=executor) as f:
        r = flaky()
    s = f.run()
    assert s.result[r].result == 2
    assert seen == ["Running", "Failed", "Retrying", "Running", "Success"]


def test_g5_mapping(executor):
    @task
    def idx(x):
        return (prefect.context.map_index, x)

    with Flow("g5", executor=executor) as f:
        m = add.map([1, 2, 3], y=unmapped(10))
        n = idx.map(m)
        t = ident(n)
        q = add.map([1, 2, 3], [10, 20])
    s = f.run()
    assert s.result[m].is_mapped()
    assert s.result[m].result == [11, 12, 13]
    assert len(s.result[m].map_states) == 3
    assert s.result[t].result == [(0, 11), (1, 12), (2, 13)]
    assert s.result[q].result == [11, 22]


def test_g6_mapped_failure_isolation_reduce_triggers_filter(executor):
    @task
    def inv(x):
        return 1 / x

    with Flow("g6", executor=executor) as f:
        m = inv.map([1, 0, 2])
        c = ident.map(m)
        red = ident(m)
        good = FilterTask()(m)
    s = f.run()
    assert [type(i).__name__ for i in s.result[c].map_states] == ["Success", "TriggerFailed", "Success"]
    assert type(s.result[red]).__name__ == "TriggerFailed"
    assert s.result[good].result == [1.0, 0.5]
    assert s.is_failed()


def test_g7_flatten_and_empty_map(executor):
    with Flow("g7", executor=executor) as f:
        a = ident.map(flatten([[1], [2, 3]]))
        b = ident.map([])
        c = ident(b)
    s = f.run()
    assert s.result[a].result == [1, 2, 3]
    assert s.result[b].is_mapped()
    assert s.result[c].result == []


def test_g11_signals_with_results(executor, journal):
    @task
    def ok():
        raise signals.SUCCESS("done", result=3)

    @task
    def bad():
        raise signals.FAIL("nope", result={"a": 1})

    n = journal

    @task
    def again():
        n.append(1)
        if len(n) < 3:
            raise signals.RETRY("r")
        return len(n)

    with Flow("g11", executor=executor) as f:
        o = ok()
        b = bad()
        g = again()
    s = f.run()
    assert s.result[o].result == 3
    assert s.result[b].result == {"a": 1}
    assert s.result[g].result == 3


def test_g12_loop(executor):
    @task
    def loop():
        c = prefect.context.get("task_loop_count", 1)
        r = prefect.context.get("task_loop_result", 0)
        if c < 4:
            raise signals.LOOP(result=r + c)
        return r

    with Flow("g12", executor=executor) as f:
        r = loop()
    assert f.run().result[r].result == 6


def test_g13_handler_replaces_state_and_on_failure_fires_per_attempt(executor, journal):
    calls = journal

    @task(max_retries=1, retry_delay=timedelta(0), on_failure=lambda t, s: calls.append(s.message))
    def twice():
        raise ValueError("x")

    @task(
        max_retries=5,
        retry_delay=timedelta(0),
        state_handlers=[lambda t, o, n: Success("saved", result=9) if n.is_failed() else n],
    )
    def saved():
        raise ValueError("y")

    with Flow("g13", executor=executor) as f:
        twice()
        sv = saved()
    s = f.run()
    assert len(calls) == 2
    assert s.result[sv].message == "saved"
    assert s.result[sv].result == 9


def test_g14_targets_and_checkpointing(executor, tmp_path, journal):
    d = str(tmp_path)
    ran = journal

    @task(target="{flow_name}/{x}.txt", result=LocalResult(dir=d))
    def once(x):
        ran.append(x)
        return x * 2

    with Flow("g14", executor=executor) as f:
        r = once(4)
    with prefect.context(checkpointing=True):
        s1 = f.run()
        s2 = f.run()
    assert ran == [4]
    assert s2.result[r].is_cached()
    assert s2.result[r].result == 8
    assert s2.result[r].message == "Result found at task target g14/4.txt"
    assert s1.result[r]._result.location == d + "/g14/4.txt"


def test_g15_output_caching_across_runs(executor, journal):
    hits = journal

    @task(cache_for=timedelta(minutes=5))
    def slow(x):
        hits.append(x)
        return x

    with Flow("g15", executor=executor) as f:
        q = Parameter("q")
        r = slow(q)
    with prefect.context(caches={}):
        s1 = f.run(q=1)
        s2 = f.run(q=2)
    assert hits == [1]
    assert s2.result[r].result == 1
    assert s1.result[r].is_cached()
    assert s2.result[r].is_cached()


def test_g16_preset_states_resume_context(executor):
    @task(trigger=prefect.triggers.manual_only)
    def manual():
        return prefect.context.foo

    with Flow("g16", executor=executor) as f:
        i = ident(1)
        m = manual()
    s = f.run(task_states={i: Success(result=42), m: Resume()}, context={"foo": "bar"})
    assert s.result[i].result == 42
    assert s.result[m].result == "bar"


def test_g17_operators_indexing_unpacking_collections_tags(executor):
    @task(nout=2)
    def pair():
        return 1, 2

    with Flow("g17", executor=executor) as f:
        a, b = pair()
        e = (a + b) * 10
        dct = ident({"k": [a, b], "c": (1, 2)})
        item = dct["k"]
        with tags("t1"), tags("t2"):
            tg = ident(0)
    s = f.run()
    assert s.result[e].result == 30
    assert s.result[item].result == [1, 2]
    assert s.result[dct].result == {"k": [1, 2], "c": (1, 2)}
    assert a.name == "pair[0]"
    assert tg.tags == {"t1", "t2"}
    assert f.slugs[tg] == "ident-t1-t2-1"


def test_g18_class_tasks_imperative_api(executor):
    class Mul(Task):
        def __init__(self, k, **kw):
            self.k = k
            super().__init__(**kw)

        def run(self, x):
            return self.k * x

    f = Flow("g18", executor=executor)
    one = Mul(2, name="one")
    two = Mul(3, name="two")
    one.bind(x=5, flow=f)
    two.set_upstream(one, key="x", flow=f)
    assert f.run().result[two].result == 30
    assert f.edges_to(two) == {prefect.core.Edge(one, two, key="x")}


def test_g19_timeout_and_dates_in_context(executor):
    @task(timeout=1)
    def slowpoke():
        time.sleep(5)

    @task
    def dates():
        return prefect.context.today, prefect.context.tomorrow_nodash, prefect.context.flow_name

    with Flow("g19", executor=executor) as f:
        sp = slowpoke()
        dt = dates()
    s = f.run(context={"date": "2020-02-28"})
    assert type(s.result[sp]).__name__ == "TimedOut"
    assert s.result[sp].message == "Task timed out during execution."
    assert s.result[dt].result == ("2020-02-28", "20200229", "g19")


def test_g20_errors_raised_to_the_caller(executor):
    with Flow("g20", executor=executor) as f:
        ident(Parameter("p"))
    with pytest.raises(ValueError, match=r"^Flow.run did not receive the following required parameters: p$"):
        f.run()
    with pytest.raises(ValueError, match=r"^Flow.run received the following unexpected parameters: zz\b"):
        f.run(parameters={"zz": 1, "p": 1})
    with pytest.raises(
        ValueError, match=r"^Could not infer an active Flow context while creating edge to <Task: ident>"
    ):
        ident(1)
    message = "^A datetime.timedelta `retry_delay` must be provided if max_retries > 0$"
    with pytest.raises(ValueError, match=message):
        Task(max_retries=1)
    with pytest.raises(ValueError, match=r"^A name must be provided for the flow\.$"):
        Flow("")


def test_g8_case_and_merge(executor):
    with Flow("g8", executor=executor) as f:
        cond = ident("b")
        with case(cond, "a"):
            a = ident("A")
        with case(cond, "b"):
            b = ident("B")
        out = merge(a, b)
    s = f.run()
    assert s.result[out].result == "B"
    assert s.result[a].is_skipped()
    assert sorted(v for v in f.slugs.values() if v.startswith("case")) == ["case(a)-1", "case(b)-1"]


def test_g9_apply_map_with_case_inside(executor):
    def bump_even(x):
        with case(ident(x), 2):
            y = add(x)
        return merge(y, x)

    with Flow("g9", executor=executor) as f:
        out = apply_map(bump_even, [1, 2, 3])
    assert f.run().result[out].result == [1, 3, 3]


def test_g10_resource_manager(executor, journal):
    log = journal

    @resource_manager
    class RM:
        def __init__(self, n):
            self.n = n

        def setup(self):
            log.append("setup")
            return self.n

        def cleanup(self, r):
            log.append(("cleanup", r))

    with Flow("g10", executor=executor) as f, RM(7) as res:
        u = ident(res)
        bad = fail(upstream_tasks=[u])
    s = f.run()
    assert log == ["setup", ["cleanup", 7]]
    assert s.is_failed()
    assert f.reference_tasks() == {bad}
