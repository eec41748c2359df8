"""§15, §20, §21, §28: storage, run configs, results and the JSON of flows."""

import json
import socket
import threading
from datetime import timedelta

import cloudpickle
import pytest

import prefect
from prefect import Flow, Parameter, flatten, task, unmapped
from prefect.engine.result import Result
from prefect.engine.result.base import ResultNotImplementedError
from prefect.engine.results import ConstantResult, LocalResult, PrefectResult
from prefect.engine.serializers import (
    CompressedSerializer,
    DateTimeSerializer,
    JSONSerializer,
    PickleSerializer,
)
from prefect.exceptions import FlowStorageError
from prefect.run_configs import DockerRun, ECSRun, KubernetesRun, LocalRun, UniversalRun, VertexRun
from prefect.serialization.flow import flow_from_dict, flow_to_dict
from prefect.serialization.run_config import run_config_from_dict
from prefect.serialization.storage import storage_from_dict
from prefect.storage import Local, Module, get_default_storage_class
from prefect.utilities.configuration import set_temporary_config
from prefect.utilities.storage import (
    extract_flow_from_file,
    extract_flow_from_module,
    flow_from_bytes_pickle,
    flow_to_bytes_pickle,
)

SCRIPT = """
import prefect
from prefect import Flow, task
NAME = __name__
FILE = globals().get("__file__")
@task
def one():
    return 1
with Flow("a") as flow_a:
    one()
with Flow("b") as flow_b:
    one()
if __name__ == "__main__":
    raise RuntimeError("must not run")
"""


@pytest.fixture
def home(tmp_path):
    with set_temporary_config({"home_dir": str(tmp_path / "home")}):
        yield tmp_path / "home"


@pytest.fixture
def flow():
    @task
    def add(x, y=1):
        return x + y

    with Flow("my flow") as f:
        p = Parameter("p", default=2)
        a = add(p, y=10)
        m = add.map(flatten([[1], [2]]), unmapped(a))
        add(a, task_args={"max_retries": 2, "retry_delay": timedelta(seconds=5), "tags": {"t"}})
        f.set_reference_tasks([m])
    return f


# -- pickles and scripts


def test_pickle_round_trip(flow):
    data = flow_to_bytes_pickle(flow)
    assert set(json.loads(data)) == {"flow", "versions"}
    loaded = flow_from_bytes_pickle(data)
    assert loaded.run().message == flow.run().message
    assert flow_from_bytes_pickle(cloudpickle.dumps(flow)).name == "my flow"


def test_pickles_that_do_not_load():
    with pytest.raises(FlowStorageError, match=r"^An error occurred while unpickling the flow:\n"):
        flow_from_bytes_pickle(b"garbage")
    info = json.loads(flow_to_bytes_pickle(Flow("x")))
    info["versions"]["prefect"] = "0.1"
    with pytest.warns(UserWarning, match=r"^This flow was built using Prefect '0.1'"):
        flow_from_bytes_pickle(json.dumps(info).encode())
    info["flow"] = "YWJj"
    with pytest.raises(FlowStorageError, match="version mismatches"):
        flow_from_bytes_pickle(json.dumps(info).encode())


def test_flows_that_do_not_pickle_say_why():
    lock = threading.Lock()
    with Flow("locked") as f:
        task(lambda: lock, name="t")()
    with pytest.raises(
        FlowStorageError, match=r"^The flow 'locked' cannot be pickled, .* \(cannot pickle '_thread.lock'"
    ):
        flow_to_bytes_pickle(f)


def test_scripts(tmp_path):
    path = tmp_path / "s.py"
    path.write_text(SCRIPT)
    assert extract_flow_from_file(str(path)).name == "a"
    assert extract_flow_from_file(file_contents=SCRIPT, flow_name="b").name == "b"
    with pytest.raises(ValueError, match=r"^Flow 'c' not found in file. Found flows:\n- 'a'\n- 'b'$"):
        extract_flow_from_file(str(path), flow_name="c")
    with pytest.raises(ValueError, match=r"^No flows found in file\.$"):
        extract_flow_from_file(file_contents="x = 1")
    with pytest.raises(ValueError, match="Exactly one"):
        extract_flow_from_file()


def test_scripts_import_their_neighbours(tmp_path):
    (tmp_path / "neighbour_of_script.py").write_text("VALUE = 7\n")
    path = tmp_path / "s.py"
    path.write_text("import neighbour_of_script\nfrom prefect import Flow\nf = Flow(str(neighbour_of_script.VALUE))\n")
    assert extract_flow_from_file(str(path)).name == "7"


def test_modules(tmp_path, monkeypatch):
    (tmp_path / "flows_of_test.py").write_text(SCRIPT + "\ndef make():\n    return flow_b\n\nnumber = 5\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert extract_flow_from_module("flows_of_test", "a").name == "a"
    assert extract_flow_from_module("flows_of_test:flow_b").name == "b"
    assert extract_flow_from_module("flows_of_test:make").name == "b"
    for name, flow_name, error in (
        ("flows_of_test:nope", None, "Failed to find flow at 'flows_of_test:nope'"),
        ("flows_of_test:flow_b", "a", "Flow at 'flows_of_test:flow_b' is named 'b', expected 'a'"),
        ("flows_of_test", "zz", "Failed to find flow 'zz' in 'flows_of_test'"),
        ("flows_of_test", None, "Multiple flows found in 'flows_of_test', please provide `flow_name` to select one."),
        ("json", None, "No flows found in 'json'"),
    ):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is compared below
            extract_flow_from_module(name, flow_name)
        assert str(caught.value) == error
    with pytest.raises(TypeError, match=r"is a <class 'int'> not a `prefect.Flow`$"):
        extract_flow_from_module("flows_of_test:number")
    storage = Module("flows_of_test")
    storage.add_flow(Flow("a"))
    assert storage_from_dict(storage.serialize()).get_flow("a").name == "a"


# -- Local


def test_local_pickle(home, flow):
    storage = Local()
    location = storage.add_flow(flow)
    assert location.startswith(f"{home}/flows/my-flow/")
    assert "my flow" in storage
    assert storage.labels == [socket.gethostname()]
    assert storage.result.dir == f"{home}/results"
    with pytest.raises(ValueError, match=r'^Name conflict: Flow with the name "my flow" is already present'):
        storage.add_flow(flow)
    loaded = storage_from_dict(storage.serialize())
    assert loaded.get_flow("my flow").name == "my flow"
    with pytest.raises(ValueError, match=r"^Flow is not contained in this Storage$"):
        loaded.get_flow("other")
    assert repr(storage) == "<Storage: Local>"


def test_local_script(tmp_path, home):
    path = tmp_path / "s.py"
    path.write_text(SCRIPT)
    storage = Local(path=str(path), stored_as_script=True, labels=["x"], add_default_labels=False)
    storage.add_flow(extract_flow_from_file(str(path)))
    assert storage.labels == ["x"]
    assert storage.get_flow("a").name == "a"
    path.unlink()
    with pytest.raises(FlowStorageError, match="is no file on this machine"):
        storage.get_flow("a")
    with pytest.raises(ValueError, match=r"^A `path` must be provided"):
        Local(stored_as_script=True).add_flow(Flow("x"))


def test_default_storage_class():
    assert get_default_storage_class() is Local


def test_save_and_load(home, flow):
    path = flow.save()
    assert path == f"{home}/flows/my-flow.prefect"
    assert Flow.load("my flow").name == "my flow"
    assert Flow.load(path) is not None
    with pytest.raises(OSError, match="nothing"):
        Flow.load("nothing")


# -- JSON of flows


def test_flow_json_round_trip(flow, home):
    flow.storage = Local()
    flow.run_config = UniversalRun(labels=["b", "a"], env={"X": "1"})
    data = flow.serialize(build=True)
    json.dumps(data)
    assert data["type"] == "prefect.core.flow.Flow"
    assert [t["slug"] for t in data["tasks"]] == sorted(flow.slugs.values())
    assert data["reference_tasks"][0]["slug"] == "add-2"
    assert data["run_config"]["labels"] == ["a", "b"]
    assert data["parameters"][0]["default"] == 2
    again = flow_to_dict(flow_from_dict({**data, "unknown": 1}))
    for key in ("name", "parameters", "edges", "reference_tasks", "run_config", "storage", "schedule"):
        assert again[key] == data[key]
    mine, theirs = ({t["slug"]: t for t in d["tasks"]} for d in (data, again))
    for slug, item in mine.items():
        assert {**theirs[slug], "type": item["type"], "outputs": item["outputs"]} == item
    assert all(t.slug is None or t.slug == "p" for t in flow.tasks)
    with pytest.warns(UserWarning, match=r"^A flow with the same name is already contained in storage;"):
        flow.serialize(build=True)


def test_task_json(flow):
    data = {t["slug"]: t for t in flow.serialize()["tasks"]}
    item = data["add-t-1"]
    assert item["trigger"] == {"fn": "prefect.triggers.all_successful", "kwargs": {}}
    assert (item["max_retries"], item["retry_delay"], item["tags"]) == (2, 5, ["t"])
    assert item["inputs"] == {
        "x": {"type": "typing.Any", "required": True},
        "y": {"type": "typing.Any", "required": False},
    }
    assert item["type"] == "prefect.tasks.core.function.FunctionTask"


def test_factories_keep_their_arguments():
    with Flow("f") as f:
        t = task(lambda: 1, name="t", trigger=prefect.triggers.some_failed(at_least=0.5, at_most=None))()
    data = f.serialize()["tasks"][0]["trigger"]
    assert data == {"fn": "prefect.triggers.some_failed", "kwargs": {"at_least": 0.5, "at_most": None}}
    loaded = flow_from_dict(f.serialize()).get_tasks(name="t")[0]
    assert loaded.trigger.__name__ == "some_failed"
    assert t in f.tasks


def test_parameters_must_be_json():
    with Flow("f") as f:
        Parameter("p", default=object())()
    with pytest.raises(
        ValueError, match=r"values for `Parameter.default` must be JSON compatible\. Unable to serialize `<object"
    ):
        f.serialize()


def test_serialized_hash(flow):
    assert flow.serialized_hash() == flow.serialized_hash()
    assert len(flow.serialized_hash()) == 64
    other = flow.copy()
    other.name = "other"
    assert other.serialized_hash() != flow.serialized_hash()
    with pytest.raises(ValueError, match=r"^This flow has no storage to build$"):
        flow.serialize(build=True)


# -- run configs


@pytest.mark.parametrize(
    "config",
    [
        UniversalRun({"A": "1"}, ["x"]),
        LocalRun(working_dir="/tmp", labels={"a"}),
        DockerRun(image="i", ports=[80], host_config={"x": 1}),
        KubernetesRun(job_template={"kind": "Job"}, cpu_limit=2, image_pull_policy="Always", image_pull_secrets=["s"]),
        KubernetesRun(job_template_path="s3://bucket/x"),
        ECSRun(task_definition={"a": 1}, cpu=1, memory="2"),
        ECSRun(task_definition_path="s3://x/y"),
        VertexRun(image="i", scheduling={"a": 1}),
    ],
)
def test_run_configs_round_trip(config):
    data = config.serialize()
    json.dumps(data)
    assert run_config_from_dict({**data, "unknown": 1}) == config


def test_run_config_checks(tmp_path):
    path = tmp_path / "job.json"
    path.write_text('{"kind": "Job"}')
    assert KubernetesRun(job_template_path=str(path)).job_template == {"kind": "Job"}
    assert KubernetesRun(cpu_limit=2).cpu_limit == "2"
    assert LocalRun(working_dir="x").working_dir.endswith("/x")
    for make, error in (
        (lambda: KubernetesRun(job_template={}, job_template_path="x"), "Cannot provide both"),
        (lambda: KubernetesRun(image_pull_policy="x"), "^Invalid image_pull_policy 'x'"),
        (lambda: ECSRun(task_definition={}, task_definition_arn="x"), "^Can only provide one of"),
        (lambda: ECSRun(task_definition_arn="x", image="i"), "^Cannot provide both `task_definition_arn` and `image`"),
    ):
        with pytest.raises(ValueError, match=error):
            make()
    with pytest.raises(TypeError, match="must be a list of strings"):
        UniversalRun(labels="prod")


# -- results


def test_base_result():
    r = Result(location="{a}/{b:%Y}")
    for call in (lambda: r.read("x"), lambda: r.write(1), lambda: r.exists("x")):
        with pytest.raises(ResultNotImplementedError, match=r"^Not implemented on the base Result class"):
            call()
    assert r.from_value(3).location is None
    assert Result(location=lambda **kw: kw["x"]).format(x="y").location == "y"
    assert Result().default_location.endswith(".prefect_result")
    assert repr(Result(3)) == "<Result: 3>"


def test_local_result(tmp_path, home):
    r = LocalResult(dir=str(tmp_path / "d"), location="{name}.bin")
    written = r.write([1], name="x")
    assert written.location == str(tmp_path / "d" / "x.bin")
    assert r.location == "{name}.bin"
    assert r.exists("{name}.bin", name="x")
    assert not r.exists("y.bin")
    assert r.read("x.bin").value == [1]
    (tmp_path / "d" / "empty").write_bytes(b"")
    assert r.read("empty").value is None
    assert LocalResult().dir == f"{home}/results"
    assert LocalResult(dir=f"{home}/flows").dir == f"{home}/results"
    assert sorted(p.name for p in (tmp_path / "d").iterdir()) == ["empty", "x.bin"]


def test_failed_writes_leave_nothing_behind(tmp_path):
    r = LocalResult(dir=str(tmp_path), location="x", serializer=JSONSerializer())
    with pytest.raises(TypeError):
        r.write(object())
    assert list(tmp_path.iterdir()) == []


def test_prefect_and_constant_results():
    written = PrefectResult().write({"a": 1})
    assert written.location == '{"a": 1}'
    assert PrefectResult().read(written.location).value == {"a": 1}
    assert PrefectResult().exists("1")
    assert not PrefectResult().exists("{")
    with pytest.raises(TypeError, match=r"^PrefectResult only supports JSONSerializer or DateTimeSerializer$"):
        PrefectResult(serializer=PickleSerializer())
    assert ConstantResult(value=1).read("x").value == 1
    with pytest.raises(ValueError, match=r"^Cannot write values"):
        ConstantResult(value=1).write(2)


def test_serializers():
    moment = DateTimeSerializer().deserialize(DateTimeSerializer().serialize("2020-01-02T03:04:05Z"))
    assert moment.isoformat() == "2020-01-02T03:04:05+00:00" or str(moment).startswith("2020-01-02T03:04:05")
    assert PickleSerializer() == PickleSerializer()
    assert PickleSerializer() != JSONSerializer()
    packed = CompressedSerializer(PickleSerializer(), format="zlib")
    assert packed.deserialize(packed.serialize([1])) == [1]
    for kwargs in ({}, {"format": "zlib", "compress": len, "decompress": len}, {"compress": len}):
        with pytest.raises(ValueError, match=r"^You must specify either `format` or `compress`/`decompress`"):
            CompressedSerializer(PickleSerializer(), **kwargs)


def test_checkpointing_rules(tmp_path):
    base = {"result": LocalResult(dir=str(tmp_path), location="{task_name}")}

    @task(**base)
    def value():
        return 1

    @task(**base)
    def nothing():
        return None

    @task(checkpoint=False, **base)
    def opted_out():
        return 1

    @task(**base)
    def failing():
        raise ValueError

    with Flow("f") as f:
        v = value()
        nothing()
        opted_out()
        failing()
    f.run()
    assert list(tmp_path.iterdir()) == []
    with set_temporary_config({"flows.checkpointing": True}):
        s = f.run()
    assert [p.name for p in tmp_path.iterdir()] == ["value"]
    assert s.result[v]._result.location == str(tmp_path / "value")


def test_a_failed_write_fails_the_task_only(tmp_path):
    with Flow("f", result=LocalResult(dir=str(tmp_path), location="{nope}")) as f:
        t = task(lambda: 1, name="t")()
        u = task(lambda: 2, name="u", checkpoint=False)()
    with prefect.context(checkpointing=True):
        s = f.run()
    assert s.result[t].message == "Unexpected error: KeyError('nope')"
    assert s.result[u].result == 2


def test_target_without_a_result_fails_the_task():
    with Flow("f") as f:
        t = task(lambda: 1, name="t", target="x")()
    assert f.run().result[t].message.startswith("Unexpected error: ResultNotImplementedError(")
