"""The same expressions, evaluated by 1.4.1 and by Flowstead: library-api §15, §16, §19, §20, §21, §22.

What is not the same on purpose is left out here and stands in docs/compatibility.md.
"""

import itertools
import random
import re

import pytest

NAMES = r"""
import base64, os, pickle, warnings
from datetime import datetime, time, timedelta
import pendulum, prefect
from prefect import Flow, Task
from prefect.client import Secret
from prefect.engine import cache_validators
from prefect.engine.result import NoResult, Result
from prefect.engine.results import *
from prefect.engine.serializers import *
from prefect.engine.state import Cached
from prefect.run_configs import *
from prefect.schedules import *
from prefect.schedules import adjustments, clocks, filters
from prefect.schedules.clocks import CronClock, DatesClock, IntervalClock, RRuleClock
from prefect.storage import *
from prefect.tasks.secrets import EnvVarSecret, PrefectSecret

NOW = pendulum.datetime(2020, 1, 1)
SECRETS = {"number": "42", "text": "x", "json": '{"q": 1}', "int": 7, "flag": "true"}

def cached(fresh, parameters, inputs):
    return Cached(
        cached_result_expiration=pendulum.now("UTC").add(hours=1 if fresh else -1) if fresh is not None else None,
        cached_parameters=parameters,
        cached_inputs=None if inputs is None else {key: Result(value) for key, value in inputs.items()},
    )

def twice(storage):
    storage.add_flow(Flow("x"))
    storage.add_flow(Flow("x"))

def built(make):
    with Flow("f"):
        return make()

def answer(text):
    with warnings.catch_warnings(), prefect.context(secrets=dict(SECRETS)):
        warnings.simplefilter("ignore")
        try:
            return repr(eval(text, globals()))
        except Exception as error:
            return [type(error).__name__, str(error)]

def times(schedules):
    found = [eval(text, globals()).next(n, after=pendulum.parse(after)) for text, after, n in schedules]
    return [[moment.in_timezone("UTC").isoformat()[:19] for moment in moments] for moments in found]
"""

SAME = r"""
NoResult
Result(3)
Result(3) == Result(3)
Result(location="{a}").format(a=1).location
Result(location=lambda **names: names["a"]).format(a="q").location
Result(1, location="x").copy().location
Result(1, location="x").from_value(2).location
Result().logger.name
LocalResult(D, location="{value}.p").write(1, value="v").location
LocalResult(D).read("v.p").value
LocalResult(D).exists("{a}.p", a="v")
LocalResult(D).exists("nope")
LocalResult(D, location=D + "/abs.p").write(2).location
LocalResult(D + "/../" + os.path.basename(D)).dir
LocalResult("relative", validate_dir=False).dir
LocalResult(D, location="x") == LocalResult(D, location="x")
PrefectResult().write([1]).location
PrefectResult().read("[1]").value
(PrefectResult().exists("{"), PrefectResult().exists("1"))
PrefectResult(serializer=DateTimeSerializer()).write(NOW).location
(PrefectResult(value=1).location, ConstantResult(value=4).location)
ConstantResult(value=1).read("x").value
SecretResult(PrefectSecret("n")).location
(S3Result("b").bucket, GCSResult().bucket, AzureResult("c").container)
S3Result("b", boto3_kwargs={"a": 1}).boto3_kwargs
S3Result("b") == S3Result("b")
JSONSerializer().serialize({"a": 1})
PickleSerializer().deserialize(base64.b64encode(pickle.dumps(3)))
DateTimeSerializer().serialize(pendulum.datetime(2020, 1, 2, tz="America/New_York"))
CompressedSerializer(PickleSerializer(), "zlib", compress_kwargs={"level": 9}).serialize(1)[:2]
(PickleSerializer() == JSONSerializer(), PickleSerializer() == PickleSerializer())
Schedule([]).next(3)
[m.isoformat() for m in IntervalSchedule(interval=timedelta(hours=1)).next(2, after=NOW)]
[m.isoformat() for m in IntervalSchedule(datetime(2020, 1, 1), timedelta(1), datetime(2020, 1, 3)).next(9, after=NOW)]
[m.isoformat() for m in CronSchedule("* * * * * */10").next(3, after=NOW)]
[m.isoformat() for m in CronSchedule("@daily").next(2, after=NOW)]
[m.isoformat() for m in CronSchedule("0 0 L * *").next(2, after=NOW)]
[e.start_time.isoformat() for e in DatesClock([NOW.add(days=2), NOW.add(days=1)]).events(after=NOW)]
(Schedule([IntervalClock(timedelta(1))]).start_date, Schedule([IntervalClock(timedelta(1), end_date=NOW)]).end_date)
(IntervalClock(timedelta(1), parameter_defaults={"a": 1}).parameter_defaults, IntervalClock(timedelta(1)).labels)
(CronClock("0 0 * * *").day_or, CronClock("0 0 * * *").parameter_defaults)
filters.between_times(time(22), time(1))(NOW.add(hours=23))
(filters.is_month_end(pendulum.datetime(2020, 2, 29)), filters.is_day_of_week(0)(pendulum.datetime(2024, 1, 1)))
(adjustments.next_weekday(pendulum.datetime(2020, 1, 4, 5)).isoformat(), adjustments.add(timedelta(1))(NOW).isoformat())
sorted(UniversalRun(labels=["b", "a"]).labels)
KubernetesRun(cpu_limit=1.5, job_template="a: 1").serialize()["job_template"]
(KubernetesRun(cpu_limit=1.5).cpu_limit, ECSRun(cpu=1, memory=2).memory, VertexRun().machine_type)
(UniversalRun() == UniversalRun(), UniversalRun() == LocalRun())
LocalRun(working_dir="x").working_dir == os.path.abspath("x")
KubernetesRun(job_template_path="s3://a/b").job_template_path
[Secret(name).get() for name in SECRETS]
(Secret("number").exists(), Secret("nothing").exists())
(PrefectSecret("number").run(), PrefectSecret("number").run(name="text"), PrefectSecret("number").name)
(EnvVarSecret("NOT_THERE").run(), EnvVarSecret("NOT_THERE").name)
(Local(D).directory == D, Local(D).flows, Local(D).name, "x" in Local(D), Local(D))
Local(D, labels=["z"], add_default_labels=False).labels
(Module("m").add_flow(Flow("x")), GitHub("o/n", "p").add_flow(Flow("f")), S3("b", key="k").add_flow(Flow("A b")))
(S3("b").add_flow(Flow("A b"))[:4], GCS("b").add_flow(Flow("A b"))[:4], Azure("b").add_flow(Flow("A b"))[:4])
(Docker().add_flow(Flow("My flow")), Docker(stored_as_script=True, path="/p").add_flow(Flow("x")))
Docker(registry_url="r", image_name="i", image_tag="t").name
(Docker().python_dependencies, sorted(Docker(env_vars={"A": "1"}).env_vars.items()))
(GitHub("o/n", "p").result, Docker().result, type(S3("b").result).__name__, type(Azure("c").result).__name__)
(S3("b").labels, S3("b", secrets=["q"]).secrets, GitLab("o/n", path="x").ref)
Git("f.py", repo="o/n", git_token_secret_name="text").git_clone_url
Git("f.py", repo="o/n", repo_host="h", git_token_secret_name="text", git_token_username="me").git_clone_url
Git("f.py", repo="o/n", git_token_secret_name="text", format_access_token=False).git_clone_url
Git("f.py", repo="o/n", use_ssh=True, repo_host="h").git_clone_url
"""

# Only the class of the error has to be the same; these say the same in better words.
SAME_CLASS = r"""
Result(location="{a}").format(b=1).location
LocalResult(D).read("nonexistent").value
PrefectResult().write(object())
PrefectResult(serializer=PickleSerializer())
ConstantResult(value=1).write(2)
ConstantResult(value=1, serializer=1)
SecretResult(PrefectSecret("n")).write(1)
S3Result()
Result().read("x")
Result().write(1)
Result().exists("x")
JSONSerializer().serialize({1, 2})
PickleSerializer().deserialize(b"zzz")
DateTimeSerializer().serialize(3)
CompressedSerializer(PickleSerializer())
CompressedSerializer(PickleSerializer(), "no_such_module")
CompressedSerializer(PickleSerializer(), "json")
Schedule(IntervalClock(timedelta(1)))
IntervalSchedule(interval=5)
IntervalSchedule(interval=timedelta(0))
IntervalSchedule()
CronSchedule("bad")
DatesClock([])
RRuleClock("x")
LocalRun("positional")
KubernetesRun(job_template_path="/nope/x")
KubernetesRun(job_template={}, job_template_path="x")
KubernetesRun(image_pull_policy="x")
ECSRun(task_definition={}, task_definition_arn="x")
ECSRun(task_definition_arn="x", image="y")
Secret("nothing").get()
PrefectSecret().run()
PrefectSecret("number", result=LocalResult(D))
EnvVarSecret("NOT_THERE", raise_if_missing=True).run()
built(lambda: Secret("number").get())
Local(D).get_flow("x")
Local(D, stored_as_script=True).add_flow(Flow("x"))
twice(S3("b"))
Docker().name
Docker(base_image="x", dockerfile="y")
Docker(files={"x": "/y"})
Webhook({}, "DELETE", {}, "GET")
Bitbucket("p", "r", workspace="w", access_token_secret="x")
Git("f.py", repo="o/n", tag="a", commit="b")
Git("f.py")
Azure("b", stored_as_script=True).build()
GCS("b", stored_as_script=True).build()
"""


@pytest.fixture(scope="module")
def both(library, tmp_path_factory):
    """Evaluates a list of expressions here and there; each answer is a text, or class and text of an error."""
    folder = str(tmp_path_factory.mktemp("answers"))
    setting = f"{NAMES}\nD = {folder!r}\n"
    names = {}
    exec(setting, names)
    library.run(setting)

    def both(function, argument):
        return names[function](argument), library.get(f"{function}({argument!r})")

    return both


def _without_moments(text):
    return re.sub(r"DateTime\(.*?\)\)", "DateTime", text) if isinstance(text, str) else text


@pytest.mark.parametrize("text", SAME.strip().splitlines())
def test_the_same_answers(both, text):
    ours, theirs = both("answer", text)
    assert isinstance(ours, str), ours
    # pendulum 3 writes moments another way.
    assert _without_moments(ours) == _without_moments(theirs)


@pytest.mark.parametrize("text", SAME_CLASS.strip().splitlines())
def test_the_same_errors(both, text):
    ours, theirs = both("answer", text)
    assert not isinstance(theirs, str), theirs
    kind = {"ModuleNotFoundError": "ImportError"}
    assert kind.get(ours[0], ours[0]) == kind.get(theirs[0], theirs[0]), (ours, theirs)
    assert ours[1], "an error says what is wrong"


def test_cache_validators(both):
    """§16.1."""
    calls = []
    inputs = [None, {}, {"x": 1}, {"x": 2}, {"x": 1, "y": 2}]
    for name, fresh, parameters, given in itertools.product(
        ("never_use", "duration_only", "all_inputs", "all_parameters"),
        (None, True, False),
        (None, {"a": 1}, {}),
        inputs,
    ):
        state = f"cached({fresh}, {parameters!r}, {given!r})"
        calls.append(f"cache_validators.{name}({state}, {{'x': 1}}, {{'a': 1}})")
    for name, only, given in itertools.product(
        ("partial_inputs_only", "partial_parameters_only"), (None, ["x"], ["y"], ["x", "y"], []), inputs
    ):
        state = f"cached(True, {given!r}, {given!r})"
        calls.append(f"cache_validators.{name}({only!r})({state}, {{'x': 1, 'y': 2}}, {{'x': 1}})")
    ours, theirs = both("answer", f"[{', '.join(calls)}]")
    assert ours == theirs


def test_clocks_of_all_sorts_over_changes_of_clocks(both):
    """§19.2: for intervals of more than an hour, and cron expressions of single times of day."""
    choose = random.Random(14)
    schedules = []
    for _ in range(60):
        zone = choose.choice(["UTC", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Kolkata"])
        year, month = choose.choice([(2021, 3), (2021, 4), (2021, 10), (2021, 11)])
        start = f"pendulum.datetime({year}, {month}, {choose.randint(1, 8)}, {choose.randint(0, 23)}, 30, tz={zone!r})"
        minutes = choose.choice([90, 120, 180, 300, 720, 1440, 1500, 2880, 10080])
        schedules.append((f"IntervalSchedule({start}, timedelta(minutes={minutes}))", f"{year}-{month:02}-01", 40))
        cron = f"{choose.randint(0, 59)} {choose.randint(0, 5)} * * {choose.choice(['*', '1-5', '0', '6'])}"
        schedules.append((f"CronSchedule({cron!r}, {start})", f"{year}-{month:02}-02", 20))
    ours, theirs = both("times", schedules)
    for schedule, mine, others in zip(schedules, ours, theirs, strict=True):
        assert mine == others, schedule
