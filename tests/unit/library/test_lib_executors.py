"""Executors (§17), and what holds of runs on all of them: mapping (§13.7), timeouts (§13.8), results, interruptions."""

import itertools
import logging
import os
import signal
import sys
import threading
import time
from datetime import timedelta

import cloudpickle
import distributed
import pytest
from interruptions import interrupt_main, run_until_stopped, stopping

import prefect
from prefect import Flow, Parameter, flatten, task, unmapped
from prefect.engine import FlowRunner, signals
from prefect.engine.state import Mapped, Success, TimedOut
from prefect.exceptions import UnpicklableError
from prefect.executors import DaskExecutor, Executor, LocalDaskExecutor, LocalExecutor
from prefect.utilities.configuration import set_temporary_config


@task
def ident(x):
    return x


@task
def inc(x):
    return x + 1


@pytest.fixture
def lines(caplog):
    caplog.set_level("DEBUG", logger="prefect")

    def found(name):
        return [r.getMessage() for r in caplog.records if r.name == f"prefect.{name}"]

    return found


def in_process(**kwargs):
    """A temporary cluster whose workers are threads of this process."""
    settings = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": ":0"}
    return DaskExecutor(cluster_kwargs=settings, **kwargs)


# -- §17: arguments


@pytest.mark.parametrize(
    ("name", "scheduler"),
    [
        ("threads", "threads"),
        ("Threading", "threads"),
        ("PROCESSES", "processes"),
        ("multiprocessing", "processes"),
        ("sync", "sync"),
        ("Synchronous", "sync"),
        ("single-threaded", "sync"),
    ],
)
def test_names_of_schedulers(name, scheduler):
    assert LocalDaskExecutor(scheduler=name).scheduler == scheduler


def test_arguments_that_are_wrong():
    with pytest.raises(ValueError, match=r"^Unknown scheduler 'gpu'$"):
        LocalDaskExecutor("gpu")
    for cluster in ({"cluster_class": "distributed.LocalCluster"}, {"cluster_kwargs": {}}):
        with pytest.raises(ValueError, match=r"^Cannot specify `address` and `cluster_class`/`cluster_kwargs`$"):
            DaskExecutor(address="tcp://x:1", **cluster)
    for call in (lambda e: e.submit(len, []), lambda e: e.wait([])):
        with pytest.raises(ValueError, match=r"^This executor has not been started\.$"):
            call(DaskExecutor())
    with pytest.raises(ValueError, match="performance_report_path"):
        DaskExecutor().performance_report  # noqa: B018 - the property raises


def test_settings_name_the_cluster():
    assert DaskExecutor().cluster_class == "distributed.deploy.local.LocalCluster"
    with set_temporary_config({"engine.executor.dask.address": "tcp://somewhere:1"}):
        assert DaskExecutor().address == "tcp://somewhere:1"
        assert DaskExecutor(cluster_kwargs={"n_workers": 1}).address is None
    assert DaskExecutor(adapt_kwargs={"maximum": 2}).watch_worker_status is False
    assert DaskExecutor().watch_worker_status is True
    assert DaskExecutor().client_kwargs == {"set_as_default": False}


def test_they_are_named_and_survive_pickling(executor):
    assert repr(executor) == f"<Executor: {type(executor).__name__}>"
    with executor.start():
        copy = cloudpickle.loads(cloudpickle.dumps(executor))
        assert type(copy) is type(executor)
        for name in ("scheduler", "dask_config", "address", "cluster_kwargs", "client_kwargs"):
            assert getattr(copy, name, None) == getattr(executor, name, None)
        assert getattr(copy, "client", None) is None
        with copy.start():
            assert copy.wait([copy.submit(abs, -1)]) == [1]


@pytest.mark.parametrize("make", [LocalDaskExecutor, DaskExecutor])
def test_a_missing_extra_is_named(make, monkeypatch):
    executor = make()
    for module in ("dask", "distributed"):
        monkeypatch.setitem(sys.modules, module, None)
    with Flow("f", executor=executor) as f:
        ident(1)
    state = f.run()
    assert state.is_failed()
    assert "Install it with `pip install 'flowstead[dask]'`." in state.message


def test_the_old_import_path_warns():
    import prefect.engine.executors as old

    for name in ("LocalExecutor", "LocalDaskExecutor", "DaskExecutor"):
        with pytest.warns(UserWarning, match=rf"has been moved to `prefect.executors.{name}`"):
            assert getattr(old, name) is getattr(prefect.executors, name)


# -- §17: the protocol


def test_submit_and_wait_keep_structures(executor):
    with executor.start():
        one = executor.submit(abs, -1)
        total = executor.submit(sum, [one, executor.submit(abs, -2)])
        named = executor.submit(dict, a=one, extra_context={"task_name": "n", "task_tags": set(), "task_index": 3})
        assert executor.wait({"x": [one, {"y": total}], "z": 5, "n": named}) == {
            "x": [1, {"y": 3}],
            "z": 5,
            "n": {"a": 1},
        }
        assert executor.wait(total) == 3


def test_what_a_call_raises_is_raised_by_wait(executor):
    if isinstance(executor, LocalExecutor):
        pytest.skip("it runs calls as they are submitted")
    with executor.start():
        broken = executor.submit(int, "x")
        with pytest.raises(ValueError, match="invalid literal"):
            executor.wait([broken])


@pytest.mark.parametrize("scheduler", ["threads", "sync"])
def test_lazy_calls_run_once(scheduler, journal):
    executor = LocalDaskExecutor(scheduler)
    with executor.start():
        first = executor.submit(journal.append, "first")
        second = executor.submit(lambda _: journal.append("second"), first)
        assert journal == []
        executor.wait(second)
        executor.wait([first, second])
    assert journal == ["first", "second"]


def test_custom_executors():
    class Counting(LocalExecutor):
        calls = 0

        def submit(self, fn, *args, extra_context=None, **kwargs):
            type(self).calls += extra_context is not None
            return super().submit(fn, *args, **kwargs)

    assert issubclass(Counting, Executor)
    with Flow("f", executor=Counting()) as f:
        inc.map([1, 2])
    assert f.run().is_successful()
    assert Counting.calls == 3


# -- §17: clusters


def test_a_temporary_cluster(lines):
    with Flow("f", executor=in_process(cluster_class="distributed.LocalCluster")) as f:
        xs = inc.map([1, 2, 3])
        total = ident(xs)
    assert f.run().result[total].result == [2, 3, 4]
    assert f.executor.client is None
    assert "Creating a new Dask cluster with `distributed.deploy.local.LocalCluster`..." in lines("DaskExecutor")


def test_a_temporary_cluster_of_processes():
    kwargs = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": ":0", "worker_dashboard_address": None}
    with Flow("f", executor=DaskExecutor(cluster_kwargs=kwargs)) as f:
        pid = task(lambda: (os.getpid(),), name="pid")()
    state = f.run()
    (worker,) = state.result[pid].result
    assert worker != os.getpid()
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_clusters_made_by_functions_adapt_and_have_resources(lines):
    def make(**kwargs):
        return distributed.LocalCluster(
            processes=False, dashboard_address=":0", silence_logs=50, resources={"GPU": 1}, **kwargs
        )

    executor = DaskExecutor(cluster_class=make, cluster_kwargs={"n_workers": 0}, adapt_kwargs={"maximum": 1})
    with Flow("f", executor=executor) as f:
        x = ident(1, task_args={"tags": {"dask-resource:GPU=1"}})
        y = ident(1, task_args={"tags": {"dask-resource:GPU=many"}, "name": "y"})
    state = f.run()
    assert "dask-resource:GPU=many" in state.message
    f.replace(y, ident(x, flow=f))
    assert f.run().is_successful()


def test_a_report_that_cannot_be_written_does_not_fail_the_run(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bokeh", None)
    path = tmp_path / "report.html"
    with Flow("f", executor=in_process(performance_report_path=str(path))) as f:
        x = ident(1)
    with pytest.warns(UserWarning, match="Dask could not write its performance report"):
        assert f.run().result[x].result == 1
    path.write_text("a report")
    assert f.executor.performance_report == "a report"


def test_an_existing_cluster_is_connected_to(dask_cluster, lines):
    address = dask_cluster.scheduler_address
    with Flow("f", executor=DaskExecutor(address)) as f:
        ident(1)
    assert f.run().is_successful()
    assert f"Connecting to an existing Dask cluster at {address}" in lines("DaskExecutor")


# -- §13.7: mapping on parallel executors


@pytest.fixture
def gate(tmp_path):
    """Returns when somebody, in whatever thread or process, is at the other side of the gate."""
    path = str(tmp_path / "gate")
    os.mkfifo(path)

    def meet(mode):
        os.close(os.open(path, os.O_RDONLY if mode == "r" else os.O_WRONLY))

    return meet


@pytest.mark.parametrize("executor", ["threads", "dask"], indirect=True)
def test_children_go_ahead_of_their_siblings(executor, gate):
    @task
    def first(x):
        if x == 1:
            gate("r")
        return x

    @task
    def second(x):
        if x == 0:
            gate("w")
        return x

    with Flow("f", executor=executor) as f:
        s = second.map(first.map([0, 1]))
    assert f.run().result[s].result == [0, 1]


def test_shapes_of_mapping(executor):
    @task
    def total(xs, offset):
        return sum(xs) + offset

    @task(skip_on_upstream_skip=False)
    def picky(x):
        if x == 2:
            raise signals.SKIP("two")
        return x

    with Flow("f", executor=executor) as f:
        p = Parameter("p", default=10)
        rows = ident.map([[1, 2], [3]])
        flat = inc.map(flatten(rows))
        joined = ident(flatten(rows))
        t = total(flat, p)
        with_whole = total.map(rows, offset=unmapped(t))
        against_all = task(lambda x, xs: (x, xs), name="against")
        a = against_all.map(flat, xs=unmapped(flat))
        k = picky.map([1, 2, 3])
        empty = inc.map(inc.map([]))
        after_skip = ident(k)
    s = f.run(p=100).result
    assert s[flat].result == [2, 3, 4]
    assert s[joined].result == [1, 2, 3]
    assert s[t].result == 109
    assert s[with_whole].result == [112, 112]
    assert s[a].result == [(2, [2, 3, 4]), (3, [2, 3, 4]), (4, [2, 3, 4])]
    assert [type(c).__name__ for c in s[k].map_states] == ["Success", "Skipped", "Success"]
    assert s[after_skip].is_skipped()
    assert s[empty].result == []


def test_retries_of_mapped_children_and_reruns(executor, journal):
    @task(max_retries=1, retry_delay=timedelta(0))
    def flaky(x):
        journal.append(x)
        if x == 1 and prefect.context.task_run_count == 1:
            raise ValueError
        return x

    with Flow("f", executor=executor) as f:
        m = flaky.map([0, 1, 2])
        r = ident(m)
    s = f.run()
    assert s.result[r].result == [0, 1, 2]
    assert sorted(journal.read()) == [0, 1, 1, 2]
    assert isinstance(s.result[m], Mapped)


@pytest.mark.parametrize(
    ("make", "most"),
    [
        (lambda: LocalDaskExecutor(num_workers=1), 1),
        (lambda: LocalDaskExecutor("sync"), 1),
        # A cluster begins with the first task while the second one is submitted.
        (in_process, 60),
    ],
)
def test_pipelines_go_depth_first(make, most, journal):
    @task
    def first(x):
        journal.append(["first", x])
        return x

    @task
    def second(x):
        journal.append(["second", x])

    with Flow("f", executor=make()) as f:
        second.map(first.map(list(range(100))))
    assert f.run().is_successful()
    # Never more than a few values wait for the task that takes them.
    changes = [1 if name == "first" else -1 for name, _ in journal.read()]
    assert max(itertools.accumulate(changes)) <= most


@pytest.mark.parametrize("executor", ["threads", "dask"], indirect=True)
def test_values_that_nobody_asks_for_are_let_go(executor):
    """§13.7: a pipeline over many elements does not hold what its middle made."""
    with Flow("f") as f:
        a = inc.map(list(range(20)))
        b = inc.map(a)
        ident(b)
    seen = {}

    class Spy(FlowRunner):
        def execute(self, state, flow_pass, return_tasks):
            try:
                return super().execute(state, flow_pass, return_tasks)
            finally:
                seen.update(states=set(flow_pass.states), children=set(flow_pass.children))

    assert Spy(f).run(executor=executor).is_successful()
    assert seen["children"] == set()
    assert a not in seen["states"]
    assert b not in seen["states"]


# -- context (§3.4, §17) and stdout (§18.2)


def test_context_travels(executor):
    @task
    def look(x):
        c = prefect.context
        return (c.flow_name, c.parameters, c.map_index, c.task_full_name, c.mine, c.secrets["S"], c.logger.name, x)

    with Flow("f", executor=executor) as f:
        p = Parameter("p", default=1)
        seen = look.map([p, 7])
    with prefect.context(secrets={"S": "s"}):
        s = f.run(context={"mine": {"a": 1}})
    assert s.result[seen].result == [
        ("f", {"p": 1}, 0, "look[0]", {"a": 1}, "s", "prefect.look[0]", 1),
        ("f", {"p": 1}, 1, "look[1]", {"a": 1}, "s", "prefect.look[1]", 7),
    ]
    assert "mine" not in prefect.context


def test_stdout_of_parallel_tasks_is_kept_apart(lines):
    barrier = threading.Barrier(2)

    @task(log_stdout=True)
    def talk(x):
        barrier.wait(10)
        print(f"said {x}")
        barrier.wait(10)

    @task
    def silent(_):
        print("to the terminal")

    before = sys.stdout
    with Flow("f", executor=LocalDaskExecutor(num_workers=2)) as f:
        silent(talk.map([1, 2]), task_args={"trigger": prefect.triggers.all_finished})
    assert f.run().is_successful()
    assert sys.stdout is before
    assert sorted(line for line in lines("TaskRunner") if line.startswith("said")) == ["said 1", "said 2"]
    assert "to the terminal" not in lines("TaskRunner")


# -- §13.8: timeouts


def test_processes_time_out_by_signal_and_run_apart(journal):
    @task(timeout=1)
    def slow(x):
        if x:
            time.sleep(30)
        return os.getpid()

    with Flow("f", executor=LocalDaskExecutor("processes", num_workers=1)) as f:
        m = slow.map([0, 1])
    before = time.monotonic()
    quick, late = f.run().result[m].map_states
    assert time.monotonic() - before < 25
    assert quick.result != os.getpid()
    assert isinstance(late, TimedOut)
    assert str(late.result) == "Execution timed out."


@pytest.mark.parametrize(
    ("executor", "text"),
    [
        ("local", "Execution timed out."),
        ("threads", "Execution timed out for Task 'slow'."),
        (
            "dask",
            "Execution timed out but was executed in a daemonic subprocess and will continue to run in the background.",
        ),
    ],
    indirect=["executor"],
)
def test_how_tasks_time_out(executor, text, lines):
    @task(timeout=1, max_retries=1, retry_delay=timedelta(0))
    def slow():
        if prefect.context.task_run_count == 1:
            time.sleep(3)
        return prefect.context.task_run_count

    seen = []
    with Flow("f", executor=executor) as f:
        s = slow()
    runner_class = prefect.engine.FlowRunner

    class Spy(runner_class):
        def run(self, **kwargs):
            end = super().run(**kwargs)
            seen.append(end.result[s])
            return end

    assert f.run(runner_cls=Spy).result[s].result == 2
    assert seen[0].is_retrying()


# -- results that cannot travel


@pytest.mark.parametrize("executor", ["dask", "processes"], indirect=True)
def test_an_unpicklable_result_is_named_and_does_not_take_the_state_along(executor):
    @task
    def lock():
        return threading.Lock()

    with Flow("f", executor=executor) as f:
        a = lock()
        b = ident(a, upstream_tasks=[ident(1)])
        m = task(lambda x: threading.Lock(), name="m").map([1])
        r = ident(m)
    s = f.run()
    assert isinstance(s.result[a], Success)
    for get in (lambda: s.result[a].result, lambda: s.result[m].result):
        with pytest.raises(UnpicklableError, match=r"type 'lock' cannot be pickled.*use an executor"):
            get()
    if isinstance(executor, LocalDaskExecutor):
        # On a cluster a task may run where the value is.
        assert "cannot be pickled" in s.result[b].message
        assert "cannot be pickled" in s.result[r].message


@pytest.mark.parametrize("executor", ["dask", "processes"], indirect=True)
def test_inputs_that_cannot_travel_fail_their_task_only(executor):
    lock = threading.Lock()
    with Flow("f", executor=executor) as f:
        locked = task(lambda: lock, name="locked")()
        child = task(lambda x: (x, lock), name="child").map([1])
        fine = ident(5)
    s = f.run()
    assert s.is_failed()
    assert s.result[fine].result == 5
    for state in (s.result[locked], s.result[child]):
        assert state.is_failed()
        assert "The executor could not run this task: UnpicklableError" in state.message
        assert "cannot be sent to another process" in state.message
    assert isinstance(s.result[locked].result, UnpicklableError)


def test_a_process_that_dies_does_not_take_along_what_was_done():
    @task
    def die():
        os._exit(1)

    with Flow("f", executor=LocalDaskExecutor("processes", num_workers=1)) as f:
        fine = ident(5)
        dead = die(upstream_tasks=[fine])
        after = ident(dead)
    s = f.run()
    assert s.is_failed()
    assert s.result[fine].result == 5
    for lost in (dead, after):
        assert s.result[lost].message.startswith("The executor could not run this task: BrokenProcessPool")


def test_unpicklable_results_are_fine_in_threads():
    with Flow("f", executor=LocalDaskExecutor()) as f:
        a = task(lambda: [threading.Lock()], name="a")()
        b = task(lambda x: x[0].locked(), name="b")(a)
    assert f.run().result[b].result is False


# -- interruptions


def interrupted(flow, **kwargs):
    """Run a flow that gets interrupted."""
    with pytest.raises(KeyboardInterrupt):
        flow.run(**kwargs)


def test_interrupting_threads(lines):
    ended = []

    @task
    def endless(x):
        try:
            if x == 0:
                interrupt_main()
            while True:
                threading.Event().wait(0.01)
        except KeyboardInterrupt:
            ended.append(x)
            raise

    with Flow("f", executor=LocalDaskExecutor(num_workers=2)) as f:
        endless.map([0, 1, 2])
    interrupted(f)
    assert 2 not in ended
    assert 0 in ended
    assert "Attempting to interrupt and cancel all running tasks..." in lines("LocalDaskExecutor")


def test_interrupting_threads_never_leaves_the_log_locked(lines):
    @task
    def talk(x):
        for number in itertools.count():
            prefect.context.logger.info("line %d", number)
            if x == number == 3:
                interrupt_main()

    with Flow("f") as f:
        talk.map([3, 4, 5])
    for _ in range(3):
        interrupted(f, executor=LocalDaskExecutor(num_workers=3))
        f.logger.info("still there")
    assert lines("f").count("still there") == 3


def test_interrupting_processes(lines, gate):
    @task
    def endless():
        gate("w")
        while True:
            signal.pause()

    def interrupt_when_running():
        gate("r")
        interrupt_main()

    with Flow("f", executor=LocalDaskExecutor("processes", num_workers=1)) as f:
        endless()
    watcher = threading.Thread(target=interrupt_when_running)
    watcher.start()
    interrupted(f)
    watcher.join()
    assert "Attempting to interrupt and cancel all running tasks..." in lines("LocalDaskExecutor")


def test_interrupting_a_cluster_lets_active_tasks_end_and_drops_pending_ones(lines, journal, monkeypatch):
    monkeypatch.setattr("prefect.executors.dask_worker._Cancellations._PAUSE_SECONDS", 0.0)
    stopping.clear()

    class Noticed(logging.Handler):
        def emit(self, record):
            if record.getMessage() == "Stopping executor, waiting for 1 active tasks to complete":
                stopping.set()

    logger = logging.getLogger("prefect.DaskExecutor")
    handler = Noticed()
    logger.addHandler(handler)
    try:
        with Flow("f", executor=in_process()) as f:
            x = task(run_until_stopped)()
            note = task(lambda i: journal.append([i]), name="note")
            for i in range(3):
                note(i, upstream_tasks=[x])
        interrupted(f)
    finally:
        logger.removeHandler(handler)
    assert stopping.is_set()
    assert journal == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_steers_the_process_leaves_every_executor(executor, error):
    @task
    def leave():
        raise error

    with Flow("f", executor=executor) as f:
        leave()
    with pytest.raises(error):
        f.run()
    with Flow("g", executor=executor) as g:
        x = ident(1)
    assert g.run().result[x].result == 1


def test_debugging_on_threads():
    with Flow("f", executor=LocalDaskExecutor()) as f:
        ident(1 / 2) + task(lambda: 1 / 0, name="z")()
    with prefect.context(raise_on_exception=True), pytest.raises(ZeroDivisionError):
        f.run()
