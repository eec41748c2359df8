"""Docker storage: library-api §21.4.  Docker is an HTTP server on a real socket that speaks its API."""

import importlib.util
import io
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from http_stub import http_stub

from prefect import Flow, task
from prefect.exceptions import FlowStorageError
from prefect.serialization.storage import storage_from_dict
from prefect.storage import Docker
from prefect.utilities.storage import flow_from_bytes_pickle, flow_to_bytes_pickle

VERSION = "{}.{}".format(*sys.version_info)
SCRIPT = "from prefect import Flow, task\nwith Flow('stored') as flow:\n    task(lambda: 'here', name='t')()\n"


@pytest.fixture
def flow():
    with Flow("My flow") as flow:
        task(lambda: 1, name="one")()
    return flow


class Engine:
    """What the fake Docker was told to answer, and the build context that it got."""

    def __init__(self):
        self.build_lines = [{"stream": "Step 1/2 : FROM x\n"}, {"stream": "Successfully built 1\n"}]
        self.push_lines = [{"status": "pushed"}]
        self.pull_status = 200
        self.context = {}
        self.built = set()

    def answer(self, request):
        path = re.sub(r"^/v[\d.]+", "", request.path)
        kind = {"Content-Type": "application/json"}
        if path == "/build":
            with tarfile.open(fileobj=io.BytesIO(request.body)) as tar:
                self.context = {m.name: tar.extractfile(m).read() for m in tar.getmembers() if m.isfile()}
            if not any("error" in line for line in self.build_lines):
                self.built.add(request.query["t"])
            return 200, kind, [json.dumps(line).encode() for line in self.build_lines]
        if path.endswith("/push"):
            return 200, kind, [json.dumps(line).encode() for line in self.push_lines]
        answers = {
            "/version": (200, kind, b'{"ApiVersion": "1.44"}'),
            "/images/create": (200, kind, [b'{"status": "Pulled"}']),
            "/images/json": (200, kind, json.dumps([{"Id": name} for name in self.built]).encode()),
        }
        if path == "/images/create" and self.pull_status != 200:
            return self.pull_status, kind, b'{"message": "pull access denied"}'
        return answers.get(path, (200, kind, b"[]"))


@pytest.fixture
def engine():
    fake = Engine()
    with http_stub(fake.answer) as server:
        fake.url = server.url.replace("http://", "tcp://")
        fake.server = server
        yield fake


def test_a_flow_is_built_pushed_and_removed(engine, flow, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.txt").write_text("x")
    (tmp_path / "module.py").write_text("A = 1\n")
    storage = Docker(
        registry_url="registry.local/team",
        python_dependencies=["pandas>=2"],
        image_name="img",
        image_tag="1",
        env_vars={"GREETING": 'say "hi"'},
        files={str(tmp_path / "module.py"): "/modules/module.py", str(tmp_path / "data"): "/data"},
        base_url=engine.url,
        extra_dockerfile_commands=["RUN apt-get --version"],
        build_kwargs={"nocache": True},
        prefect_version="1.5.0",
    )
    assert storage.add_flow(flow) == "/opt/prefect/flows/my-flow.prefect"
    assert storage.build() is storage
    assert storage.name == "registry.local/team/img:1"
    calls = [re.sub(r"/v[\d.]+", "", path) for path in engine.server.paths if not path.endswith("/version")]
    assert calls == [
        "POST /images/create",
        "POST /build",
        "GET /images/json",
        "POST /images/registry.local/team/img/push",
        "DELETE /images/registry.local/team/img:1",
    ]
    build = next(r for r in engine.server.requests if r.path.endswith("/build"))
    assert build.query["t"] == "registry.local/team/img:1"
    assert build.query["nocache"] == "True"
    check, location = "/opt/prefect/healthcheck.py", "/opt/prefect/flows/my-flow.prefect"
    lines = engine.context["Dockerfile"].decode().split("\n")
    assert lines[-1] == ""
    assert lines[-2] == f"RUN python {check} '[\"{location}\"]' '({VERSION.replace('.', ', ')})'"
    assert lines[:-2] == [
        f"FROM python:{VERSION}-slim",
        "",
        'ENV PREFECT__USER_CONFIG_PATH="/opt/prefect/config.toml"',
        'ENV GREETING="say \\"hi\\""',
        "",
        "RUN pip install pip --upgrade",
        "RUN python -c 'import prefect' || pip install flowstead==1.5.0",
        "RUN pip install 'pandas>=2'",
        "RUN pip install wheel",
        "",
        "RUN mkdir -p /opt/prefect/",
        'COPY ["my-flow.flow", "/opt/prefect/flows/my-flow.prefect"]',
        'COPY ["healthcheck.py", "/opt/prefect/healthcheck.py"]',
        'COPY ["files/0/module.py", "/modules/module.py"]',
        'COPY ["files/1/data", "/data"]',
        "RUN apt-get --version",
    ]
    assert engine.context["files/0/module.py"] == b"A = 1\n"
    assert engine.context["files/1/data/x.txt"] == b"x"
    assert flow_from_bytes_pickle(engine.context["my-flow.flow"]).name == "My flow"
    data = storage.serialize()
    assert {name: data[name] for name in Docker.fields} == {
        "registry_url": "registry.local/team",
        "image_name": "img",
        "image_tag": "1",
        "path": None,
        "stored_as_script": False,
        "prefect_version": "1.5.0",
    }
    assert storage_from_dict(data).name == storage.name


def test_names_are_made_up_and_nothing_is_pushed_without_a_registry(engine, flow):
    storage = Docker(base_url=engine.url, local_image=True, ignore_healthchecks=True)
    with pytest.raises(ValueError, match=r"^Docker storage is missing required fields image_name and image_tag$"):
        _ = storage.name
    storage.add_flow(flow)
    with pytest.warns(
        UserWarning, match=r"^This Docker storage object has no `registry_url`, and will not be pushed\.$"
    ):
        storage.build()
    assert re.fullmatch(r"my-flow:\d{4}-.*", storage.name)
    assert not [path for path in engine.server.paths if path.endswith(("/push", "/create"))]
    assert "healthcheck.py '" not in engine.context["Dockerfile"].decode()
    several = Docker(base_url=engine.url, local_image=True)
    several.add_flow(flow)
    several.add_flow(Flow("second"))
    several.build(push=False)
    assert len(several.image_name) == 36


def test_dockerfiles_and_dockerignore(flow, tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM mine:1\nRUN true\n")
    (tmp_path / "ignore").write_text("*.pyc\n")
    storage = Docker(
        dockerfile=str(tmp_path / "Dockerfile"), dockerignore=str(tmp_path / "ignore"), prefect_directory="/srv/p"
    )
    storage.add_flow(flow)
    context = tmp_path / "context"
    context.mkdir()
    lines = Path(storage.create_dockerfile_object(str(context))).read_text().splitlines()
    assert lines[:4] == ["FROM mine:1", "RUN true", "", 'ENV PREFECT__USER_CONFIG_PATH="/srv/p/config.toml"']
    assert (context / ".dockerignore").read_text() == "*.pyc\n"
    for options, message in (
        ({"files": {"/nope/x": "/x"}}, "There is no file or directory '/nope/x'"),
        ({"dockerfile": "/nope/Dockerfile"}, "There is no Dockerfile '/nope/Dockerfile'"),
    ):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(ValueError, match=message):
            Docker(**options).create_dockerfile_object(str(tmp_path / "empty"))


def test_what_docker_refuses(engine, flow):
    storage = Docker(base_url=engine.url, local_image=True, registry_url="r", image_name="i", image_tag="t")
    storage.add_flow(flow)
    engine.build_lines.append({"error": "the command failed", "errorDetail": {}})
    with pytest.raises(
        ValueError, match=r"(?s)^Your docker image failed to build! .*FROM x\nSuccess.*the command failed$"
    ):
        storage.build()
    engine.build_lines.pop()
    engine.push_lines = [{"error": "denied: no access"}]
    with pytest.raises(ValueError, match=r"(?s)^The image was not pushed\. .*denied: no access$"):
        storage.build()
    storage.local_image = False
    engine.pull_status = 404
    with pytest.raises(ValueError, match=r"refused: pull access denied$"):
        storage.build()
    storage.base_url = "tcp://127.0.0.1:1"
    with pytest.raises(FlowStorageError, match=r"^Docker does not answer at tcp://127\.0\.0\.1:1: .*Start it"):
        storage.build()


def test_arguments(monkeypatch):
    with pytest.raises(ValueError, match=r"^Only one of `base_image` and `dockerfile` can be provided\.$"):
        Docker(base_image="x", dockerfile="y")
    with pytest.raises(
        ValueError,
        match=r"^Provided paths \['rel'\] are not absolute file paths, please provide absolute paths only\.$",
    ):
        Docker(files={"rel": "/a", "/abs": "/b"})
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:1")
    assert Docker().base_url == "tcp://elsewhere:1"
    assert Docker(base_url="tcp://here:1").base_url == "tcp://here:1"
    assert Docker().default_result() is None
    assert Docker(stored_as_script=True).add_flow(Flow("x")) == "/opt/prefect/flows/x.prefect"
    monkeypatch.setitem(sys.modules, "docker", None)
    with pytest.raises(ImportError, match=r"pip install 'flowstead\[docker\]'"):
        Docker().pull_image()


def test_flows_are_loaded_from_the_files_of_the_image(flow, tmp_path):
    pickled, script = tmp_path / "flow.prefect", tmp_path / "flow.py"
    pickled.write_bytes(flow_to_bytes_pickle(flow))
    script.write_text(SCRIPT)
    for storage, name in (
        (Docker(path=str(pickled)), "My flow"),
        (Docker(path=str(script), stored_as_script=True), "stored"),
    ):
        storage.add_flow(Flow(name))
        assert storage_from_dict(storage.serialize()).get_flow(name).run().is_successful()
    gone = Docker()
    gone.add_flow(flow)
    with pytest.raises(FlowStorageError, match="of a Docker image, and there is no such file here"):
        gone.get_flow("My flow")


def test_the_health_check(flow, tmp_path):
    found = importlib.util.find_spec("prefect.storage.docker_healthcheck").origin
    good, bad, script = tmp_path / "good.prefect", tmp_path / "bad.prefect", tmp_path / "s.py"
    good.write_bytes(flow_to_bytes_pickle(flow))
    bad.write_bytes(b'{"flow": 1}')
    script.write_text(SCRIPT)

    def check(*locations, version=tuple(sys.version_info[:2])):
        command = [sys.executable, found, json.dumps([str(one) for one in locations]), str(version)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    assert check(good, script) == (0, "")
    code, said = check(good, bad)
    assert code == 1
    assert said.startswith(f"The flow in {bad} cannot be loaded in the image: FlowStorageError(")
    assert check(good, version=(3, 2))[1].startswith(
        "Pickled flows need the same Python where they run: they were made"
    )
    assert check(script, version=(3, 2)) == (0, "")
    assert check(tmp_path / "nope.py")[1].startswith("There is no file ")
