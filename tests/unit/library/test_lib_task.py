"""§5, §6.1, tasks: what a definition may say, and how tasks are called."""

import inspect
import sys
from datetime import timedelta

import pytest

import prefect
from prefect import Flow, Parameter, Task, task
from prefect.core.parameter import DateTimeParameter
from prefect.engine.results import LocalResult, PrefectResult
from prefect.engine.serializers import DateTimeSerializer
from prefect.utilities.tasks import defaults_from_attrs


@task
def add(x, y=1):
    """Add."""
    return x + y


def test_functions_keep_their_face():
    assert add.run(1, 2) == 3
    assert (add.__name__, add.__doc__, add.name) == ("add", "Add.", "add")
    assert repr(add) == "<Task: add>"
    assert list(inspect.signature(add).parameters) == ["x", "y", "mapped", "task_args", "upstream_tasks", "flow"]
    assert task(lambda x: x).name == "<lambda>"
    with pytest.raises(TypeError, match=r"^`fn` must be callable$"):
        task(5)


def test_forbidden_signatures():
    with pytest.raises(ValueError, match=r"^Tasks with variable positional arguments \(\*args\) are not supported"):
        task(lambda *args: args)
    message = "^Tasks cannot have the following argument names: mapped, flow. These are reserved keyword arguments.$"
    with pytest.raises(ValueError, match=message):
        task(lambda mapped, flow: 1)
    with pytest.raises(TypeError, match=r"positional-only parameters .*\['x'\]"):
        task(lambda x, /: x)
    with pytest.raises(ValueError, match=r"^This function can not be inspected"):
        task(max)
    with pytest.raises(ValueError, match="variable positional"):

        class Bad(Task):
            def run(self, *args):
                return args


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"tags": "abc"}, TypeError, "Tags should be a set of tags, not a string."),
        (
            {"max_retries": 1},
            ValueError,
            "A datetime.timedelta `retry_delay` must be provided if max_retries > 0",
        ),
        (
            {"retry_delay": timedelta(1)},
            ValueError,
            "A `max_retries` argument greater than 0 must be provided if specifying a retry delay.",
        ),
        (
            {"retry_on": ValueError},
            ValueError,
            "A number of `max_retries` must be provided if `retry_on` is set.",
        ),
        (
            {"retry_on": ValueError("x"), "max_retries": 1, "retry_delay": timedelta(1)},
            TypeError,
            (
                "Invalid `retry_on` value ValueError('x'). "
                "Expected an exception type but got an instance of <class 'ValueError'>"
            ),
        ),
        (
            {"retry_on": [int], "max_retries": 1, "retry_delay": timedelta(1)},
            TypeError,
            "Invalid `retry_on` value <class 'int'>. Expected an exception subclass.",
        ),
        ({"timeout": 1.5}, TypeError, "Only integer timeouts (representing seconds) are supported."),
        ({"state_handlers": lambda *_: None}, TypeError, "state_handlers should be iterable."),
    ],
)
def test_constructor_errors(kwargs, error, message):
    with pytest.raises(error) as caught:
        Task(**kwargs)
    assert str(caught.value) == message


def test_constructor_warnings():
    with pytest.warns(UserWarning, match="sub-second"):
        assert Task(timeout=timedelta(seconds=2, milliseconds=5)).timeout == 2
    with pytest.warns(UserWarning, match=r"^cache_validator provided without specifying cache expiration"):
        Task(cache_validator=prefect.engine.cache_validators.all_inputs)
    with pytest.warns(UserWarning, match=r"^Both `result.location` and `target` were provided"):
        assert Task(result=LocalResult(location="a", validate_dir=False), target="b").result.location == "b"
    with pytest.warns(UserWarning, match=r"^A Task was passed as an argument to Task"):
        Task(Task("inner"))

    class Early(Task):
        def __init__(self):
            self.tags = 1
            super().__init__()

    with pytest.warns(UserWarning, match=r"^`Early` sets a `tags` attribute, which will be overwritten"):
        Early()


def test_defaults():
    t = Task()
    assert (t.name, t.max_retries, t.retry_delay, t.timeout, t.tags) == ("Task", 0, None, None, set())
    assert t.trigger is prefect.triggers.all_successful
    assert t.skip_on_upstream_skip
    assert t.logger.name == "prefect.Task"


def test_calling_copies_and_binding_does_not():
    with Flow("f"):
        called = add(1)
        bound = add.copy()
        assert bound.bind(1) is bound
    assert called is not add
    f = Flow("f")
    with pytest.raises(TypeError, match=r"^missing a required argument: 'x'$"):
        add(flow=f)
    with pytest.raises(TypeError, match=r"^too many positional arguments$"):
        add(1, 2, 3, flow=f)


def test_copy_checks_attributes():
    assert add.copy(name="n", max_retries=3).max_retries == 3
    with pytest.raises(AttributeError, match=r"^<Task: add> does not have nope as an attribute$"):
        add.copy(nope=1)


def test_copying_a_bound_task_warns():
    with Flow("f"):
        a = add(1)
        a.copy().bind(2)  # constants are no dependencies
        b = add(a)
        with pytest.warns(UserWarning, match=r"^You are making a copy of a task that has dependencies"):
            copied = b.copy()
        copied.bind(2)


def test_target_in_task_args_moves_the_result(tmp_path):
    with Flow("f"):
        t = task(lambda: 1, result=LocalResult(dir=str(tmp_path)))(task_args={"target": "x.txt"})
    assert t.result.location == "x.txt"


def test_variable_keywords_become_keys():
    @task
    def collect(**kwargs):
        return kwargs

    with Flow("f") as f:
        c = collect(a=1, b=add(1))
    assert f.run().result[c].result == {"a": 1, "b": 2}


def test_mapping_unsubscriptable_arguments():
    with (
        Flow("f"),
        pytest.raises(TypeError, match=r"^Cannot map over unsubscriptable object of type <class 'int'>: 5\.\.\.$"),
    ):
        add.map(5)


def test_unpacking():
    @task
    def pair() -> tuple[int, str]:
        return 1, "a"

    with Flow("f") as f:
        one, two = pair()
    s = f.run()
    assert (s.result[one].result, s.result[two].result) == (1, "a")
    with Flow("f"), pytest.raises(TypeError, match=r"^Task is not iterable\."):
        list(add(1))


def test_outside_a_flow():
    with pytest.raises(ValueError, match=r"you need to call `add.run\(...\)`$"):
        add(1)
    with pytest.raises(ValueError, match=r"you need to call `Task\(...\).run\(...\)`$"):
        Task("x")()
    with pytest.raises(ValueError, match=r"^No Flow was passed, and could not infer an active Flow context\.$"):
        Task("x").set_upstream(Task("y"))


def test_pipe_and_ordering_operators():
    with Flow("f") as f:
        a, b = add(1), add(2)
        assert (a | b) is b
        c = b.pipe(add, y=5)
    assert f.upstream_tasks(b) == {a}
    assert f.run().result[c].result == 8
    with pytest.raises(ValueError, match=r'"self" in \.pipe'):
        add.pipe(add, self=1)


def test_inputs_and_outputs():
    @task
    def typed(x: int, y: str = "a") -> bool:
        return bool(x)

    assert typed.inputs() == {
        "x": {"type": int, "default": None, "required": True},
        "y": {"type": str, "default": "a", "required": False},
    }
    assert typed.outputs() is bool


@pytest.mark.parametrize("quote", ["'", *([""] if sys.version_info >= (3, 14) else [])])
def test_annotations_may_name_what_only_type_checkers_know(quote):
    """From Python 3.14 on without quotes, because nobody evaluates them."""
    names = {"Task": Task, "task": task, "defaults_from_attrs": defaults_from_attrs}
    exec(
        f"@task\n"
        f"def f(x: {quote}Unknown{quote}) -> {quote}tuple[Unknown, int]{quote}: return x, 1\n"
        f"class C(Task):\n"
        f"    size = 1\n"
        f"    @defaults_from_attrs('size')\n"
        f"    def run(self, size: {quote}Unknown{quote} = 0) -> {quote}C{quote}: return size\n",
        names,
    )
    assert names["f"].run(2) == (2, 1)
    assert names["C"]().run() == 1
    with Flow("annotated") as flow:
        names["f"](names["C"]())
    assert flow.serialize()["name"] == "annotated"
    assert flow.run().is_successful()


def test_defaults_from_attrs():
    class Both(Task):
        def __init__(self, a, b, **kw):
            self.a, self.b = a, b
            super().__init__(**kw)

        @defaults_from_attrs("a", "b")
        def run(self, a=None, b=None):
            return a, b

    assert Both(1, 2).run(b=None) == (1, None)
    assert Both(1, 2).run(3) == (3, 2)
    assert Both(1, 2).run(a=3) == (3, 2)


def test_parameters():
    assert Parameter("p").required
    assert not Parameter("p", default=None).required
    p = Parameter("p", default=5, required=True)
    assert p.required
    assert repr(p) == "<Parameter: p>"
    assert isinstance(p.result, PrefectResult)
    assert p.copy("q").slug == "q"
    with Flow("f") as f:
        assert p() is p
    assert f.parameters() == {p}


def test_datetime_parameters():
    p = DateTimeParameter("d", required=False)
    assert isinstance(p.result.serializer, DateTimeSerializer)
    with Flow("f") as f:
        f.add_task(p)
    assert f.run().result[p].result is None
    assert f.run(d="2020-01-02T03:04:05Z").result[p].result.to_date_string() == "2020-01-02"
