"""The server as a process: starting, stopping, and what prevents a start."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from flowstead_server.__main__ import main

DEADLINE = 60.0


@dataclass
class Program:
    """A server process."""

    process: subprocess.Popen[str]
    ready: int

    def wait_ready(self) -> dict[str, Any]:
        """Return what the process says when it answers."""
        readable, _, _ = select.select([self.ready], [], [], DEADLINE)
        assert readable, "the server did not say that it is ready"
        line = os.read(self.ready, 10_000)
        assert line, self.process.communicate(timeout=DEADLINE)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> tuple[int, str]:
        """Wait for the end; return exit code and standard error."""
        _, errors = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, errors


@contextmanager
def program(*arguments: str, **environment: str) -> Iterator[Program]:
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "flowstead_server", "--ready-fd", str(writer), *arguments],
        pass_fds=(writer,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    os.close(writer)
    try:
        yield Program(process, reader)
    finally:
        os.close(reader)
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=DEADLINE)


Refusal = Callable[..., str]


@pytest.fixture
def refusal(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Refusal]:
    """Runs a server that cannot start, in this process, which has everything loaded; returns its one sentence."""
    # uvloop leaves its handlers when it is closed, and then Ctrl-C would mean nothing to the tests that follow
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    # how the log of this process is shown is pytest's business
    monkeypatch.setattr("flowstead_server.__main__.configure_logging", lambda _level: None)

    def run(*arguments: str) -> str:
        reader, writer = os.pipe()
        try:
            assert main(["--ready-fd", str(writer), *arguments]) == 1
        finally:
            os.close(writer)
        assert os.read(reader, 100) == b""
        os.close(reader)
        (line,) = capfd.readouterr().err.splitlines()
        assert line.startswith("flowstead_server: ")
        return line

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_a_server_that_cannot_start_ends_with_one_sentence_and_exit_code_1() -> None:
    with program("--port", "0", "--postgres-url", "postgresql://nobody@127.0.0.1:1/nothing") as started:
        code, errors = started.end()
        assert os.read(started.ready, 100) == b""
    assert code == 1, errors
    (line,) = errors.splitlines()
    assert line.startswith("flowstead_server: ")
    assert "database" in line


def processes_on(folder: Path) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            if any(str(folder) in word for word in process.cmdline()):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def test_a_server_of_its_own_starts_answers_and_leaves_nothing_behind(tmp_path: Path) -> None:
    data = tmp_path / "pgdata"
    with program("--port", "0", "--data-dir", str(data)) as started:
        port = started.wait_ready()["port"]
        url = f"http://127.0.0.1:{port}"
        assert httpx.get(f"{url}/health").json()["status"] == "ok"
        tenants = httpx.post(url, json={"query": "{ tenant { slug } }"}).json()
        assert tenants == {"data": {"tenant": [{"slug": "default"}]}}
        begin = time.monotonic()
        started.process.send_signal(signal.SIGTERM)
        assert started.end() == (0, "")
        assert time.monotonic() - begin < 5
    assert processes_on(data) == []


def test_it_goes_on_with_what_an_earlier_one_stored(tmp_path: Path) -> None:
    arguments = ("--port", "0", "--data-dir", str(tmp_path / "pgdata"))
    mutation = 'mutation { create_project(input: {name: "kept"}) { id } }'
    with program(*arguments) as first:
        url = f"http://127.0.0.1:{first.wait_ready()['port']}"
        assert "errors" not in httpx.post(url, json={"query": mutation}).json()
        first.process.kill()
        first.process.communicate(timeout=DEADLINE)
    with program(*arguments) as second:
        url = f"http://127.0.0.1:{second.wait_ready()['port']}"
        assert httpx.post(url, json={"query": "{ project { name } }"}).json() == {
            "data": {"project": [{"name": "kept"}]}
        }
        second.process.send_signal(signal.SIGINT)
        assert second.end()[0] == 0
    assert processes_on(tmp_path) == []


def test_open_websockets_are_closed_with_a_code_that_means_come_again(database_dsn: str) -> None:
    with program("--port", "0", "--postgres-url", database_dsn) as started:
        port = started.wait_ready()["port"]
        with connect(f"ws://127.0.0.1:{port}", subprotocols=[Subprotocol("graphql-transport-ws")]) as websocket:
            websocket.send('{"type": "connection_init"}')
            assert json.loads(websocket.recv(DEADLINE)) == {"type": "connection_ack"}
            websocket.send(
                json.dumps(
                    {"id": "1", "type": "subscribe", "payload": {"query": "subscription { runs_ready { waiting } }"}}
                )
            )
            assert json.loads(websocket.recv(DEADLINE))["type"] == "next"
            begin = time.monotonic()
            started.process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                websocket.recv(DEADLINE)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
        assert started.end() == (0, "")
        assert time.monotonic() - begin < 5


def test_a_signal_during_the_start_undoes_it(tmp_path: Path) -> None:
    data = tmp_path / "pgdata"
    with program("--port", "0", "--data-dir", str(data)) as started:
        deadline = time.monotonic() + DEADLINE
        while not data.exists() and time.monotonic() < deadline:
            select.select([started.ready], [], [], 0.01)
        started.process.send_signal(signal.SIGTERM)
        code, _ = started.end()
    assert code == 0
    assert processes_on(data) == []


def test_several_servers_may_start_on_one_database_at_once(empty_database_dsn: str) -> None:
    arguments = ("--port", "0", "--postgres-url", empty_database_dsn)
    with program(*arguments) as first, program(*arguments) as second, program(*arguments) as third:
        for started in (first, second, third):
            url = f"http://127.0.0.1:{started.wait_ready()['port']}"
            answer = httpx.post(url, json={"query": "{ tenant { slug } }"}).json()
            assert answer == {"data": {"tenant": [{"slug": "default"}]}}


def test_a_port_that_is_taken_is_found_out_before_anything_is_touched(refusal: Refusal, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refusal("--port", str(port), "--data-dir", str(tmp_path / "pgdata"))
    assert f"127.0.0.1:{port}" in line
    assert "another program uses that port" in line
    assert "--port" in line
    assert not (tmp_path / "pgdata").exists()


def test_a_data_directory_that_cannot_be_used(refusal: Refusal, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    line = refusal("--port", "0", "--data-dir", str(tmp_path / "file" / "pgdata"))
    assert str(tmp_path / "file") in line


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://nobody@127.0.0.1:1/nothing",
        "postgresql://127.0.0.1:port/nothing",
        "mysql://127.0.0.1/nothing",
        "postgresql://no-such-host.invalid/x",
        "nonsense",
    ],
)
def test_a_wrong_database_url(refusal: Refusal, url: str) -> None:
    assert "database" in refusal("--port", "0", "--postgres-url", url)


def test_a_password_in_the_url_is_not_repeated(refusal: Refusal) -> None:
    assert "hush" not in refusal("--port", "0", "--postgres-url", "postgresql://me:hush@127.0.0.1:1/nothing")


def test_a_database_of_a_newer_version(refusal: Refusal, database_dsn: str) -> None:
    import asyncio

    import asyncpg

    async def age() -> None:
        connection = await asyncpg.connect(database_dsn)
        await connection.execute(
            "insert into schema_migration (version, name, checksum) values (9999, '9999_x.sql', '')"
        )
        await connection.close()

    asyncio.run(age())
    assert "newer Flowstead" in refusal("--port", "0", "--postgres-url", database_dsn)


def test_a_database_without_migrations_is_left_alone_if_so_wished(refusal: Refusal, empty_database_dsn: str) -> None:
    line = refusal("--port", "0", "--postgres-url", empty_database_dsn, "--no-upgrade")
    assert "--no-upgrade" in line


def test_listening_to_everybody_needs_consent(refusal: Refusal, tmp_path: Path) -> None:
    line = refusal("--host", "0.0.0.0", "--port", "0", "--data-dir", str(tmp_path / "pgdata"))
    assert "--allow-unauthenticated" in line
    assert not (tmp_path / "pgdata").exists()


def test_an_address_of_another_machine(refusal: Refusal, tmp_path: Path) -> None:
    line = refusal(
        "--host", "192.0.2.1", "--allow-unauthenticated", "--port", "0", "--data-dir", str(tmp_path / "pgdata")
    )
    assert "192.0.2.1" in line


def test_settings_come_from_the_environment_too(database_dsn: str) -> None:
    environment = {"PREFECT__SERVER__DATABASE__CONNECTION_URL": database_dsn, "PREFECT__SERVER__PORT": "0"}
    with program(**environment) as started:
        assert httpx.get(f"http://127.0.0.1:{started.wait_ready()['port']}/health").status_code == 200


def test_requests_are_logged_when_asked_for(database_dsn: str) -> None:
    with program("--port", "0", "--postgres-url", database_dsn, "--access-log") as started:
        url = f"http://127.0.0.1:{started.wait_ready()['port']}"
        httpx.post(f"{url}/graphql", json={"query": "{ hello }"})
        started.process.terminate()
        _, errors = started.end()
    assert "POST /graphql 200" in errors


def test_it_works_on_after_its_database_was_killed(tmp_path: Path) -> None:
    data = tmp_path / "pgdata"
    with program("--port", "0", "--data-dir", str(data)) as started:
        url = f"http://127.0.0.1:{started.wait_ready()['port']}"
        mutation = {"query": 'mutation { create_project(input: {name: "kept"}) { id } }'}
        assert "errors" not in httpx.post(url, json=mutation).json()
        (pid_file,) = data.glob("*/postmaster.pid")
        os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)
        deadline = time.monotonic() + DEADLINE
        answer = httpx.post(url, json={"query": "{ project { name } }"}, timeout=30).json()
        while "errors" in answer and time.monotonic() < deadline:
            assert answer["errors"][0]["extensions"]["code"] == "API_ERROR"
            answer = httpx.post(url, json={"query": "{ project { name } }"}, timeout=30).json()
        assert answer == {"data": {"project": [{"name": "kept"}]}}
        assert httpx.get(f"{url}/health").status_code == 200
    assert processes_on(data) == []
