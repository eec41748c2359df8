"""Flows and results in object stores: library-api §15.2, §15.3, §21.3, §22.

The stores' own filesystems are replaced by `fsspec`'s in memory, behind the class that connects; S3 is also tested with
a real server, where its libraries are installed (`pip install 'flowstead[aws]' 'moto[server]'`).
"""

import pickle
import subprocess
import sys
import threading

import fsspec
import pytest
from agent_world import free_port

import prefect
from prefect import Flow, task
from prefect.engine.results import AzureResult, GCSResult, S3Result
from prefect.engine.serializers import JSONSerializer
from prefect.exceptions import FlowStorageError
from prefect.serialization.result import result_from_dict, result_to_dict
from prefect.serialization.storage import storage_from_dict
from prefect.storage import GCS, S3, Azure
from prefect.utilities.object_stores import AzureBlobs, GoogleObjects, S3Objects

SCRIPT = "from prefect import Flow, task\nwith Flow('scripted') as flow:\n    task(lambda: 5, name='five')()\n"
MAKE_RESULT = {
    "s3": lambda **kw: S3Result("box", **kw),
    "gcs": lambda **kw: GCSResult("box", **kw),
    "azure": lambda **kw: AzureResult("box", **kw),
}
MAKE_STORAGE = {
    "s3": lambda **kw: S3("box", **kw),
    "gcs": lambda **kw: GCS("box", **kw),
    "azure": lambda key=None, **kw: Azure("box", blob_name=key, **kw),
}
KINDS = sorted(MAKE_RESULT)


@pytest.fixture
def memory(monkeypatch):
    """The objects of all stores, by `/bucket/key`."""
    filesystem = fsspec.filesystem("memory")
    for store in (S3Objects, GoogleObjects, AzureBlobs):
        monkeypatch.setattr(store, "connect", lambda self: filesystem)
    filesystem.store.clear()
    yield filesystem.store
    filesystem.store.clear()


# -- results


@pytest.mark.parametrize("kind", KINDS)
def test_values_are_objects(kind, memory):
    result = MAKE_RESULT[kind](location="{flow}/{x}.json", serializer=JSONSerializer())
    assert not result.exists("{flow}/{x}.json", flow="f", x=1)
    written = result.write({"a": [1]}, flow="f", x=1)
    assert (written.location, written.value) == ("f/1.json", {"a": [1]})
    assert result.location == "{flow}/{x}.json"
    assert memory["/box/f/1.json"].getvalue() == b'{"a": [1]}'
    assert result.exists("{flow}/{x}.json", flow="f", x=1)
    assert not result.exists("f"), "a key that others begin with is no object"
    assert result.read("f/1.json").value == {"a": [1]}
    assert MAKE_RESULT[kind]().write(1).location.endswith(".prefect_result")
    again = result_from_dict(result_to_dict(written))
    assert type(again) is type(result)
    assert result_to_dict(again) == result_to_dict(written)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_object_is_none_and_a_missing_one_is_an_error(kind, memory, caplog):
    result = MAKE_RESULT[kind]()
    fsspec.filesystem("memory").pipe_file("box/empty", b"")
    assert result.read("empty").value is None
    result.logger.addHandler(caplog.handler)
    with pytest.raises(FileNotFoundError):
        result.read("missing")
    result.logger.removeHandler(caplog.handler)
    assert caplog.messages[-1].startswith("Unexpected error while reading from result handler: FileNotFoundError(")


def test_connections_do_not_travel(memory):
    result = S3Result("box", boto3_kwargs={"region_name": "r"}, upload_options={"ACL": "private"})
    store = result._store
    assert store.filesystem is store.filesystem
    again = pickle.loads(pickle.dumps(result))
    assert again == result
    assert again._store._filesystem is None
    assert again._store.client_options == {"region_name": "r"}


@pytest.mark.parametrize(
    ("kind", "module", "extra"), [("s3", "s3fs", "aws"), ("gcs", "gcsfs", "gcp"), ("azure", "adlfs", "azure")]
)
def test_a_missing_extra_says_what_to_install(kind, module, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "x")
    with pytest.raises(
        ImportError,
        match=rf"needs the package '{module}', .* Install it with `pip install 'flowstead\[{extra}\]'`",
    ):
        MAKE_RESULT[kind]().exists("x")
    with Flow("f", storage=MAKE_STORAGE[kind]()) as flow:
        pass
    with pytest.raises(ImportError, match=rf"pip install 'flowstead\[{extra}\]'"):
        flow.serialize(build=True)


def test_azure_connection_strings(monkeypatch):
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING", raising=False)
    with pytest.raises(ValueError, match=r"^Azure connection string not provided\."):
        AzureResult("box").exists("x")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "of the environment")
    of = AzureBlobs._connection_string
    assert of(AzureBlobs("box")) == "of the environment"
    with prefect.context(secrets={"AZURE_STORAGE_CONNECTION_STRING": "usual", "OTHER": "named"}):
        assert of(AzureBlobs("box")) == "usual"
        assert of(AzureBlobs("box", secret="OTHER")) == "named"
        assert of(AzureBlobs("box", "given", "OTHER")) == "given"


class Recorded:
    """Stands for the class of a filesystem and keeps what it was made with."""

    def __init__(self, **options):
        self.options = options


def test_credentials_of_s3_and_google(monkeypatch):
    for module, name in (("s3fs", "S3FileSystem"), ("gcsfs", "GCSFileSystem")):
        monkeypatch.setitem(sys.modules, module, type("Module", (), {name: Recorded}))
    secrets = {"AWS_CREDENTIALS": {"ACCESS_KEY": "a", "SECRET_ACCESS_KEY": "b"}, "GCP_CREDENTIALS": '{"type": "t"}'}
    with prefect.context(secrets=secrets):
        ours = S3Objects("box", {"endpoint_url": "u", "config": {"retries": 1}}).connect().options
        assert (ours["key"], ours["secret"]) == ("a", "b")
        assert ours["client_kwargs"] == {"endpoint_url": "u"}
        assert ours["config_kwargs"] == {"retries": 1}
        given = S3Objects("box", {"aws_access_key_id": "x", "aws_secret_access_key": "y"}).connect().options
        assert (given["key"], given["secret"]) == ("x", "y")
        assert GoogleObjects("box", "p").connect().options["token"] == {"type": "t"}
    assert "key" not in S3Objects("box").connect().options
    assert "token" not in GoogleObjects("box").connect().options


def test_checkpoints_and_targets_in_a_store(memory):
    """§15.3: what a run writes, a second one finds at its target."""
    calls = []

    @task(result=S3Result("box"), target="{flow_name}/{x}-{date:%Y}.bin")
    def double(x):
        calls.append(x)
        return 2 * x

    with Flow("f") as flow:
        four = double(2)
    with prefect.context(checkpointing=True):
        first, second = flow.run(), flow.run()
    assert calls == [2]
    assert (first.result[four].result, second.result[four].result) == (4, 4)
    assert second.result[four].is_cached()
    assert [key.startswith("/box/f/2-") for key in memory] == [True]


# -- storage


@pytest.fixture
def flow():
    with Flow("My flow") as flow:
        task(lambda: 1, name="one")()
    return flow


@pytest.mark.parametrize("kind", KINDS)
def test_pickled_flows(kind, memory, flow):
    storage = MAKE_STORAGE[kind]()
    key = storage.add_flow(flow)
    assert key.startswith("my-flow/")
    assert memory == {}
    assert storage.build() is storage
    assert list(memory) == [f"/box/{key}"]
    loaded = storage_from_dict(storage.serialize())
    assert loaded.get_flow("My flow").run().is_successful()
    assert loaded.default_result() == storage.result
    assert type(storage.result).__name__ == {"s3": "S3Result", "gcs": "GCSResult", "azure": "AzureResult"}[kind]
    assert storage.labels == []
    memory.clear()
    with pytest.raises(FlowStorageError, match=rf"^Flow not found in bucket: flow={key} bucket=box$"):
        loaded.get_flow("My flow")
    with pytest.raises(ValueError, match=r"^Name conflict"):
        storage.add_flow(flow)


@pytest.mark.parametrize("kind", ["s3", "gcs"])
def test_scripts_are_uploaded(kind, memory, tmp_path):
    path = tmp_path / "flow.py"
    path.write_text(SCRIPT)
    storage = MAKE_STORAGE[kind](stored_as_script=True, local_script_path=str(path))
    storage.add_flow(Flow("scripted"))
    storage.build()
    assert [item.getvalue().decode() for item in memory.values()] == [SCRIPT]
    assert storage_from_dict(storage.serialize()).get_flow("scripted").run().is_successful()
    with prefect.context(local_script_path=str(path)):
        loading = MAKE_STORAGE[kind](stored_as_script=True, key="k.py")
    loading.add_flow(Flow("scripted"))
    loading.build()
    assert "/box/k.py" in memory
    placed = MAKE_STORAGE[kind](stored_as_script=True, key="k.py")
    placed.add_flow(Flow("scripted"))
    placed.build()
    with pytest.raises(
        ValueError, match=r"^A `key` must be provided to show where flow `.py` file is stored in (S3|GCS)"
    ):
        MAKE_STORAGE[kind](stored_as_script=True).build()


def test_azure_scripts_and_blobs_that_are_there(memory, flow):
    with pytest.raises(ValueError, match=r"^A `blob_name` must be provided"):
        Azure("box", stored_as_script=True).build()
    fsspec.filesystem("memory").pipe_file("box/k", b"theirs")
    storage = Azure("box", blob_name="k")
    storage.add_flow(flow)
    with pytest.raises(FlowStorageError, match="There is a blob 'k' in the container 'box' already"):
        storage.build()
    assert memory["/box/k"].getvalue() == b"theirs"
    ours = Azure("box", blob_name="k", overwrite=True)
    ours.add_flow(flow)
    ours.build()
    assert ours.get_flow("My flow").name == "My flow"


def test_a_store_that_refuses_says_where(memory, flow, monkeypatch):
    storage = S3("box", key="k")
    storage.add_flow(flow)
    filesystem = fsspec.filesystem("memory")
    monkeypatch.setattr(S3Objects, "connect", lambda self: filesystem)

    def refuse(self, key, *more):
        raise PermissionError("Access Denied")

    monkeypatch.setattr(S3Objects, "read", refuse)
    monkeypatch.setattr(S3Objects, "write", refuse)
    with pytest.raises(FlowStorageError, match=r"^No flow could be written to s3://box/k: Access Denied$"):
        storage.build()
    with pytest.raises(
        FlowStorageError, match=r"^The flow 'My flow' could not be read from s3://box/k: Access Denied$"
    ):
        storage.get_flow("My flow")


# -- a server that speaks S3


@pytest.fixture
def s3_server():
    pytest.importorskip("s3fs", reason="the extra `aws` is not installed")
    pytest.importorskip("moto", reason="`moto[server]` is not installed")
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(port)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    for line in server.stderr:
        if "Running on" in line:
            break
    # The pipe is emptied, or the server would wait for it.
    drain = threading.Thread(target=server.stderr.read)
    drain.start()
    yield {
        "endpoint_url": f"http://127.0.0.1:{port}",
        "aws_access_key_id": "a",
        "aws_secret_access_key": "b",
        "region_name": "eu-west-1",
    }
    server.terminate()
    server.wait()
    drain.join()
    server.stderr.close()


def test_a_real_s3_server(s3_server, flow):
    filesystem = S3Objects("box", s3_server).filesystem
    filesystem.mkdir("box")
    result = S3Result("box", boto3_kwargs=s3_server, upload_options={"ServerSideEncryption": "AES256"})
    assert not result.exists("a/b")
    assert result.write([1]).location.endswith(".prefect_result")
    named = S3Result("box", boto3_kwargs=s3_server, location="a/{x}")
    assert named.write({"v": 1}, x="b").location == "a/b"
    assert named.exists("a/b")
    assert not named.exists("a")
    assert named.read("a/b").value == {"v": 1}
    with pytest.raises(FileNotFoundError):
        named.read("a/c")
    storage = S3("box", client_options=s3_server)
    storage.add_flow(flow)
    storage.build()
    assert storage_from_dict(storage.serialize()).get_flow("My flow").run().is_successful()
    gone = S3("none", key="k", client_options=s3_server)
    gone.add_flow(flow)
    with pytest.raises(FlowStorageError, match="bucket=none"):
        gone.get_flow("My flow")
