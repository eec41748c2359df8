"""`prefect demo` as a newcomer meets it, and that nothing of it stays."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import pytest


def processes_with(text):
    """Return the ids of all processes whose environment or command line holds the text."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                about = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if text.encode() in about:
                found.append(int(entry.name))
    return found


@pytest.fixture
def demo():
    """Return a function that starts a demo with a directory for temporary files that nothing else uses."""
    started = []
    # Not pytest's: its long name would leave no room for the name of PostgreSQL's socket.
    folder = Path(tempfile.mkdtemp(prefix="demo-"))
    folder.chmod(0o755)

    def start(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "demo", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "TMPDIR": str(folder)},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=60)
    assert processes_with(str(folder)) == []
    assert list(folder.iterdir()) == []
    folder.rmdir()


def test_the_demo_runs_a_flow_and_ends_with_its_exit_code(demo):
    process = demo("--exit")
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 0, output
    assert "= 3 registered =" in output
    assert "Hello, Flowstead! (3 of 3)" in output
    assert "Entered state <Success>" in output
    assert "Flow run succeeded!" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_takes_runs_until_it_is_told_to_stop(demo, number):
    process = demo()
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Press Ctrl-C" in line:
            break
    output = "".join(lines)
    url, body = re.search(r"curl -s (\S+) -H 'Content-Type: application/json' -d '(.*)'", output).groups()

    def ask(data):
        request = urllib.request.Request(url, data.encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["data"]

    flow_run_id = ask(body)["create_flow_run"]["id"]
    watched = subprocess.run(
        [sys.executable, "-m", "prefect", "run", "--name", "retrying", "--watch"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PREFECT__CLOUD__API": url},
        timeout=100,
    )
    assert watched.returncode == 0, watched.stdout + watched.stderr
    assert "Retrying" in watched.stdout
    state = ask(json.dumps({"query": f'{{ flow_run_by_pk(id: "{flow_run_id}") {{ state }} }}'}))
    assert state == {"flow_run_by_pk": {"state": "Success"}}
    process.send_signal(number)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0, rest
    assert "Traceback" not in rest


def test_a_demo_that_is_interrupted_while_it_starts_leaves_nothing(demo):
    process = demo("--exit")
    process.stdout.read(len("Starting"))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
