"""What users get wrong, as they type it: one clear sentence, a non-zero exit, and nothing half-done left behind."""

import asyncio
import json
import re
import socket
import subprocess
import sys
import threading

import asyncpg
import pytest
from agent_world import free_port
from system_world import System, post, processes_of

NOWHERE = "00000000-0000-0000-0000-000000000000"
NEEDY = """
from prefect import Flow, Parameter, task

@task
def use(value):
    pass

with Flow("needy") as flow:
    use(Parameter("must"))
"""


@pytest.fixture(scope="module")
def system():
    with System() as it:
        it.start_server()
        (it.folder / "needy.py").write_text(NEEDY)
        it.flows = it.register("everyday.py", "needy.py")
        yield it


@pytest.fixture
def place():
    """A folder for programs that fail to start; nothing may be left in it, and no process."""
    with System() as it:
        before = sorted(it.folder.iterdir())
        yield it
        assert sorted(it.folder.rglob("*")) == before + it.expected
        assert processes_of(it.folder) == []


def sentence(done):
    """Return the one line of standard error."""
    lines = [line for line in done.stderr.splitlines() if line]
    assert len(lines) == 1, done.stderr
    return lines[0]


def server(system, *arguments, **env):
    """Run a server that cannot start, and return its one sentence."""
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "server", "start", *arguments],
        check=False,
        capture_output=True,
        text=True,
        env=system.env | env,
        cwd=system.folder,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode not in {0, -9}, done.stdout
    assert "Traceback" not in done.stderr + done.stdout
    return sentence(done)


def test_flows_that_are_not_there(system):
    assert "no-such-flow" in sentence(system.cli("run", "--name", "no-such-flow", code=1))
    assert NOWHERE in sentence(system.cli("run", "--id", NOWHERE, code=1))
    assert "not-an-id" in sentence(system.cli("run", "--id", "not-an-id", code=1))
    assert "no-project" in sentence(system.cli("run", "--project", "no-project", "--name", "quick", code=1))


def test_an_archived_flow(system):
    flow_id = system.register("everyday.py", project="old")["quick"]
    query = "mutation($id: UUID!) { archive_flow(input: {flow_id: $id}) { success } }"
    system.graphql(query, id=flow_id)
    assert "archived" in sentence(system.cli("run", "--id", flow_id, code=1))
    # all of them are newer than the flows of the other tests
    for one in system.graphql('{ flow(where: {project: {name: {_eq: "old"}}, archived: {_eq: false}}) { id } }')[
        "flow"
    ]:
        system.graphql(query, id=one["id"])


@pytest.mark.parametrize("arguments", [(), ("--watch",)])
def test_a_required_parameter_that_is_missing(system, arguments):
    said = sentence(system.cli("run", "--name", "needy", *arguments, code=1))
    assert "must" in said
    assert system.graphql('{ flow_run(where: {flow: {name: {_eq: "needy"}}}) { id } }') == {"flow_run": []}


@pytest.mark.parametrize("text", ["must={broken", "must", "=1", 'must="a"1'])
def test_a_parameter_that_is_no_json(system, text):
    done = system.cli("run", "--name", "needy", "--param", text, code=1)
    assert done.stderr.startswith(("Failed to parse JSON for parameter 'must'", f"Failed to parse parameter {text!r}"))
    assert system.graphql('{ flow_run(where: {flow: {name: {_eq: "needy"}}}) { id } }') == {"flow_run": []}


def test_an_api_that_is_not_there(system):
    url = f"http://127.0.0.1:{free_port()}"
    for command in (
        ("run", "--name", "quick", "--watch"),
        ("register", "--project", "p", "-p", str(system.folder / "needy.py")),
    ):
        done = system.cli(*command, code=1, PREFECT__CLOUD__API=url)
        assert url in done.stderr + done.stdout, done
    for wrong in ("http://[", "localhost:4200", "ftp://x", "http://no-such-host.invalid:4200"):
        done = system.cli("get", "flows", code=1, PREFECT__CLOUD__API=wrong)
        assert wrong in sentence(done)


def test_an_api_that_is_something_else(system):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello")

        thread = threading.Thread(target=answer)
        thread.start()
        done = system.cli("get", "flows", code=1, PREFECT__CLOUD__API=f"http://127.0.0.1:{port}")
        thread.join(30)
        assert f"http://127.0.0.1:{port}" in sentence(done)


def test_a_port_that_is_taken(system, place):
    place.expected = []
    said = server(place, "--port", str(system.port))
    assert str(system.port) in said
    assert "--port" in said


def test_a_data_directory_that_cannot_be_used(place):
    (place.folder / "file").write_text("")
    place.expected = [place.folder / "file"]
    path = str(place.folder / "file" / "below")
    assert path in server(place, "--port", "0", "--data-dir", path)
    demo = place.cli("demo", "--exit", "--data-dir", str(place.folder / "file" / "below"), code=1)
    assert str(place.folder / "file") in demo.stderr


def test_a_database_url_that_is_wrong(place):
    place.expected = []
    url = f"postgresql://someone:hush@127.0.0.1:{free_port()}/x"
    said = server(place, "--port", "0", "--postgres-url", url)
    assert "nobody answers" in said, said
    assert "hush" not in said
    said = server(place, "--port", "0", PREFECT__SERVER__DATABASE__CONNECTION_URL="mysql://localhost/x")
    assert "mysql://localhost/x" in said


def test_a_database_or_a_user_that_is_not_there(system, place):
    place.expected = []
    folder = str(system.folder / "pgdata" / "socket").replace("/", "%2F")
    said = server(place, "--port", "0", "--postgres-url", f"postgresql://postgres@/missing?host={folder}&port=5432")
    assert "missing" in said
    assert "there is no database of that name" in said
    said = server(place, "--port", "0", "--postgres-url", f"postgresql://nobody@/flowstead?host={folder}&port=5432")
    assert "nobody" in said


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"[]", b"null", b'"x"', b'{"query": 1}', b'{"variables": {}}', b'{"query": "{"}']
)
def test_a_body_that_is_no_request(system, body):
    status, answer = post(system.url, body)
    assert status == 400 or body == b'{"query": "{"}', (status, answer)
    assert answer["errors"][0]["message"]
    assert answer.get("data") is None


def test_numbers_and_depth_that_no_request_has(system):
    query = "query($n: Int) { flow(limit: $n) { id } }"
    for value in ("1" * 400, "1e999", "-1", "true", '"x"', "[" * 20_000 + "]" * 20_000):
        status, answer = post(system.url, f'{{"query": "{query}", "variables": {{"n": {value}}}}}'.encode())
        assert answer["errors"][0]["message"], (status, value[:20])
    deep = "{ flow { project { flows " * 300 + "{ id }" + "} } }" * 300
    status, answer = post(system.url, json.dumps({"query": deep}).encode())
    assert answer["errors"][0]["message"]
    assert system.answers()


def test_an_internal_error_is_masked_and_found_in_the_log_by_its_id(system):
    # a defect of the server: a table that is not there any more
    mutation = 'mutation { create_project(input: {name: "x", description: "y"}) { id } }'
    run = ["alter table project rename to project_away", "alter table project_away rename to project"]
    folder = str(system.folder / "pgdata" / "socket").replace("/", "%2F")

    async def execute(statement):
        connection = await asyncpg.connect(f"postgresql://postgres@/flowstead?host={folder}&port=5432")
        await connection.execute(statement)
        await connection.close()

    asyncio.run(execute(run[0]))
    try:
        _, answer = post(system.url, json.dumps({"query": mutation}).encode())
        (error,) = answer["errors"]
        done = system.cli("create", "project", "z", code=1)
    finally:
        asyncio.run(execute(run[1]))
    assert "project" not in error["message"], "the database's own words"
    identifier = error["extensions"]["id"]
    system.processes[0].wait_for(re.escape(identifier))
    assert "UndefinedTable" in system.processes[0].text
    shown = re.search(r"[0-9a-f]{8,}[0-9a-f-]*", sentence(done))[0]
    system.processes[0].wait_for(re.escape(shown))
