"""What commands say when something else than the API answers, and when nobody reads what they print."""

import http.server
import subprocess
import sys
import threading

import pytest
from cli_world import CommandsInProcess, environment

COMMANDS = [
    ["get", "agents"],
    ["describe", "flows", "-n", "x"],
    ["delete", "project", "x"],
    ["cancel", "019aae4c-6a4e-7d1c-bb1a-6f3a3a0f7c55"],
    ["logs", "x"],
    ["kv", "list"],
    ["auth", "list-keys"],
    ["server", "create-tenant", "-n", "x"],
]


class _Elsewhere:
    """A web server that is no API: it answers everything with one status and one body."""

    graphql = None

    def __init__(self, status, body):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                return

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (404, b"<html>", "is no Prefect API: it answers with HTTP status 404"),
        (200, b"<html>", "does not speak GraphQL"),
        (200, b'{"data": {}}', "is not what this client expects"),
        (403, b"", "refuses the request with HTTP status 403"),
    ],
)
def test_another_program_at_the_address_is_named(tmp_path, monkeypatch, status, body, words):
    with _Elsewhere(status, body) as other:
        prefect = CommandsInProcess(other, tmp_path, monkeypatch)
        for command in COMMANDS:
            done = prefect(*command, code=1)
            assert done.stdout == ""
            assert words in done.stderr
            assert done.stderr.count("\n") == 1
            assert status == 200 or other.url in done.stderr


@pytest.mark.parametrize("api", ["localhost:4200", "ftp://x", "http://"])
def test_an_address_that_cannot_be_one_is_named_with_its_setting(tmp_path, monkeypatch, api):
    class Nowhere:
        url = api
        graphql = None

    prefect = CommandsInProcess(Nowhere, tmp_path, monkeypatch)
    done = prefect("kv", "list", code=1)
    assert (
        f"The URL of the API is '{api.rstrip('/')}' (from the environment variable PREFECT__CLOUD__API)" in done.stderr
    )


def test_a_reader_that_has_seen_enough_ends_a_listing_quietly(shared_cli):
    with subprocess.Popen(
        [sys.executable, "-m", "prefect", "get", "projects", "-o", "json"],
        env=shared_cli.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""


def test_a_prompt_executes_commands(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "repl"],
        check=False,
        input="version\n\nprefect backend nope\nsay 'what\nexit\nversion\n",
        capture_output=True,
        text=True,
        env=environment(tmp_path, "http://127.0.0.1:9"),
        cwd=tmp_path,
        timeout=60,
    )
    assert done.returncode == 0
    assert "prefect> 1.5.0\n" in done.stdout
    assert "Cannot read that: No closing quotation." in done.stdout
    assert "nope is not a valid backend API" in done.stderr
    assert done.stdout.count("1.5.0\n") == 1
