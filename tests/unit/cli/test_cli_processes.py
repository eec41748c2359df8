"""Programs that commands start: they end when they are told to, and so does what they started."""

import os
import select
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from flowstead_cli.processes import (
    ChildProcess,
    TerminationRequested,
    descendants,
    raise_on_termination,
    stop_orphans,
)

STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        select.select([], [], [], 0.01)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return a function that makes a module of a text and returns its name."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(text):
        (tmp_path / "program_of_a_test.py").write_text(textwrap.dedent(text))
        return "program_of_a_test"

    return make


def test_the_exit_code_of_a_child_is_its_own(module):
    with ChildProcess(module("raise SystemExit(7)"), []) as child:
        assert child.wait() == 7
    assert child.wait_for(0) == 7


def test_a_child_that_is_told_to_stop_stops(module, tmp_path):
    with (tmp_path / "output").open("wb") as output:
        child = ChildProcess(module("import time; print('up', flush=True); time.sleep(600)"), [], output=output)
    wait_until(lambda: (tmp_path / "output").read_text() == "up\n")
    assert child.wait_for(0) is None
    assert child.stop() == -signal.SIGTERM


def test_a_child_that_does_not_listen_is_killed_with_its_session(module, tmp_path):
    with (tmp_path / "output").open("wb") as output:
        child = ChildProcess(module(STUBBORN), [], output=output)
    wait_until(lambda: (tmp_path / "output").read_text().endswith("\n"))
    grandchild = int((tmp_path / "output").read_text())
    assert [process.pid for process in descendants(child.pid)] == [grandchild]
    assert child.stop(timeout=0.1) == -signal.SIGKILL
    assert descendants(child.pid) == []
    wait_until(lambda: not alive(grandchild))


def test_orphans_are_ended_by_force_if_they_do_not_listen():
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)",
        ],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    with process:
        process.stdout.readline()
        stop_orphans([psutil.Process(process.pid)], timeout=0.2)
        assert not alive(process.pid)


def test_termination_is_a_keyboard_interrupt_inside_of_the_block_only():
    before = signal.getsignal(signal.SIGTERM)

    def wait_for_the_signal():
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()

    with pytest.raises(TerminationRequested), raise_on_termination():
        wait_for_the_signal()
    assert signal.getsignal(signal.SIGTERM) is before
