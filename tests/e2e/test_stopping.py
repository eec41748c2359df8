"""Every long-running command ends promptly when it is told to, with the right exit code and nothing left of it."""

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import time

import psutil
import pytest
from agent_world import free_port
from scratch import fill_data_directory
from system_world import System, processes_of, wait_until

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture
def new_system():
    with System() as it:
        yield it
        assert processes_of(it.folder) == []


@pytest.fixture
def system(new_system):
    """One whose server has run before."""
    fill_data_directory(new_system.folder / "home" / "pgdata")
    return new_system


def ended(process, number, seconds=10.0):
    """Send a signal; return the exit code, and insist on an end without a traceback."""
    begin = time.monotonic()
    code = process.stop(number, seconds)
    assert time.monotonic() - begin < seconds
    assert "Traceback" not in process.text
    return code


@pytest.mark.parametrize("number", SIGNALS)
def test_a_server_and_an_agent(system, number):
    server = system.start("prefect", "server", "start", "--port", str(system.port))
    wait_until(system.answers, about=system.text)
    agent = system.start_agent()
    assert ended(agent, number) == 0
    # and another one, which stays connected while the server stops
    agent = system.start_agent()
    assert ended(server, number) == 0
    agent.wait_for("Cannot reach the API")
    assert ended(agent, number) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_while_it_starts(new_system, number):
    server = new_system.start("prefect", "server", "start", "--port", str(free_port()))
    wait_until((new_system.folder / "home" / "pgdata").exists)
    assert ended(server, number) == 0


def test_nohup_is_heeded(system):
    program = (
        "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); os.execv(sys.executable, sys.argv[1:])"
    )
    server = system.start_code(program, sys.executable, "-m", "prefect", "server", "start", "--port", str(system.port))
    wait_until(system.answers, about=system.text)
    agent = system.start_code(program, sys.executable, "-m", "prefect", "agent", "local", "start")
    agent.wait_for("Waiting for flow runs")
    for process in (agent, server):
        for each in (psutil.Process(process.popen.pid), *psutil.Process(process.popen.pid).children()):
            if "fork_server" not in " ".join(each.cmdline()):
                each.send_signal(signal.SIGHUP)
    flow_run_id = system.create_run(system.register("everyday.py")["quick"])
    assert system.wait_for_state(flow_run_id)["state"] == "Success"
    assert ended(agent, signal.SIGTERM) == 0
    assert ended(server, signal.SIGTERM) == 0


class Terminal:
    """A command in a terminal of its own, as a shell starts it in the foreground."""

    def __init__(self, system, *arguments):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _IN_TERMINAL, sys.executable, "-m", "prefect", *arguments],
            env=system.env,
            cwd=system.folder,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    def wait_for(self, text):
        """Return when the command has shown a text."""
        shown = ""
        while text not in shown:
            ready, _, _ = select.select([self.master], [], [], 30)
            assert ready, shown
            shown += os.read(self.master, 65536).decode(errors="replace")

    def end(self):
        """Kill what is left."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


_IN_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


def test_ctrl_c_in_a_terminal(system):
    terminal = Terminal(system, "server", "start", "--port", str(system.port))
    try:
        terminal.wait_for("Press Ctrl-C to stop.")
        os.write(terminal.master, b"\x03")
        assert terminal.process.wait(20) == 0
        assert "Traceback" not in os.read(terminal.master, 65536).decode()
    finally:
        terminal.end()
        os.close(terminal.master)


def test_a_closed_terminal_leaves_nothing(system):
    terminal = Terminal(system, "server", "start", "--port", str(system.port))
    try:
        terminal.wait_for("Press Ctrl-C to stop.")
        os.close(terminal.master)
        terminal.process.wait(20)
        wait_until(lambda: not processes_of(system.folder), 20, lambda: processes_of(system.folder))
    finally:
        terminal.end()


def test_a_killed_command_takes_its_server_with_it(system):
    command = system.start("prefect", "server", "start", "--port", str(system.port))
    wait_until(system.answers, about=system.text)
    below = psutil.Process(command.popen.pid).children(recursive=True)
    assert {"postgres"} < {process.name() for process in below}
    command.popen.kill()
    command.popen.wait()
    if sys.platform == "linux":
        _, alive = psutil.wait_procs(below, 20)
        assert alive == []
    for process in below:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    again = system.start("prefect", "server", "start", "--port", str(system.port))
    wait_until(system.answers, about=system.text)
    assert ended(again, signal.SIGTERM) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system does not tell children")
def test_a_killed_demo_takes_everything_with_it(system):
    demo = system.start("prefect", "demo", "--data-dir", str(system.folder / "demo"))
    demo.wait_for("Ctrl-C")
    below = psutil.Process(demo.popen.pid).children(recursive=True)
    assert any("fork_server" in " ".join(process.cmdline()) for process in below)
    demo.popen.kill()
    demo.popen.wait()
    _, alive = psutil.wait_procs(below, 20)
    assert alive == []


def test_a_broken_pipe_ends_a_watch_quietly(system):
    system.start_server()
    system.start_agent()
    system.register("everyday.py")
    command = f'"{sys.executable}" -m prefect run --name chatter --watch | head -n 12'
    done = subprocess.run(
        ["sh", "-c", command],
        env=system.env,
        cwd=system.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert len(done.stdout.splitlines()) == 12
    assert done.stderr == ""
    for process in reversed(system.processes):
        assert process.stop() == 0
    for process in processes_of(system.folder):
        process.kill()  # the run, which goes on
        process.wait(10)
