"""§27.4: heartbeats by a thread, and by a watchdog while the interpreter is held; with real processes."""

import contextlib
import json
import os
import signal
import sys
import time

import psutil
import pytest
from agent_world import DEADLINE, Process
from http_stub import http_stub

RUN = "11111111-1111-1111-1111-111111111111"
PROGRAM = f"""
import ctypes, signal, sys, threading
import prefect
from prefect.client import Client
from prefect.engine.cloud import heartbeat as module

if "--watched" in sys.argv:
    module._WATCHED_AFTER = 0.0
if "--never" in sys.argv:
    module._WATCHED_AFTER = 600.0
signal.signal(signal.SIGUSR1, lambda *_: None)
refused, done, block = threading.Event(), threading.Event(), threading.Event()
signal.signal(signal.SIGUSR2, lambda *_: block.set())
signal.signal(signal.SIGTERM, lambda *_: done.set())
with prefect.context(claim_token="the-claim", flow_run_id={RUN!r}):
    with module.heartbeat(Client(), {RUN!r}, refused.set):
        print("beating", flush=True)
        while not (done.is_set() or refused.is_set()):
            done.wait(0.05)
            if block.is_set():
                block.clear()
                # Holds the interpreter until a signal comes, and no thread runs.
                ctypes.PyDLL(None).sleep(60)
                print("free", flush=True)
print("refused" if refused.is_set() else "done", flush=True)
"""
GOOD = b'{"data": {"update_flow_run_heartbeat": {"success": true}}}'
BAD = json.dumps({"errors": [{"message": "not yours", "extensions": {"code": "VERSION_LOCKING_ERROR"}}]}).encode()


def until(condition):
    end = time.monotonic() + DEADLINE
    while not (value := condition()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return value


def sender(request):
    return "watchdog" if "urllib" in request.headers.get("user-agent", "") else "thread"


class Beats:
    """The beats of a program, by who sent them."""

    def __init__(self, stub, folder, arguments, mode, interval):
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT__")}
        env = clean | {
            "PREFECT__HOME_DIR": str(folder),
            "PREFECT__USER_CONFIG_PATH": str(folder / "config.toml"),
            "PREFECT__BACKEND_CONFIG_PATH": str(folder / "backend.toml"),
            "PREFECT__CLOUD__API": stub.url,
            "PREFECT__CLOUD__API_KEY": "the-key",
            "PREFECT__CLOUD__HEARTBEAT_MODE": mode,
            "PREFECT__CLOUD__HEARTBEAT_INTERVAL": str(interval),
        }
        self._stub = stub
        self.program = Process([sys.executable, "-c", PROGRAM, *arguments], env, folder)
        self.program.wait_for("beating")

    def by(self, whom):
        return [one for one in list(self._stub.requests) if sender(one) == whom]

    def held(self):
        """Hold the program's interpreter; returns its watchdog."""
        watchdog = until(self.watchdog)
        before = len(self.by("thread"))
        until(lambda: len(self.by("thread")) > before + 2)
        os.kill(self.program.popen.pid, signal.SIGUSR2)
        return watchdog

    def watchdog(self):
        with contextlib.suppress(ValueError):
            (process,) = psutil.Process(self.program.popen.pid).children()
            return process


@pytest.fixture
def beats(tmp_path):
    """Starts a program that beats; `watchdog_answers` are what its watchdog gets, the last of them again and again."""
    with contextlib.ExitStack() as stack:

        def start(*arguments, mode="process", interval=0.1, watchdog_answers=((200, GOOD),), moved_to=""):
            left = list(watchdog_answers)

            def answer(request):
                status, body = 200, GOOD
                if sender(request) == "watchdog":
                    status, body = left.pop(0) if len(left) > 1 else left[0]
                return (
                    status,
                    {"Content-Type": "application/json", **({"Location": moved_to} if status == 302 else {})},
                    body,
                )

            it = Beats(stack.enter_context(http_stub(answer)), tmp_path, arguments, mode, interval)
            stack.callback(it.program.stop, signal.SIGKILL)
            return it

        yield start


def test_a_watchdog_beats_while_the_interpreter_is_held_and_no_failure_ends_it(beats):
    it = beats("--watched", watchdog_answers=[(500, b"no"), (200, b"no JSON"), (200, GOOD)])
    watchdog = it.held()
    until(lambda: len(it.by("watchdog")) >= 4)
    own, other = it.by("thread")[0], it.by("watchdog")[-1]
    names = ("authorization", "x-prefect-claim-token", "x-prefect-heartbeat-id", "x-prefect-core-version")
    assert [own.headers[name] for name in names] == [other.headers[name] for name in names]
    assert json.loads(own.body) == json.loads(other.body)
    assert "the-key" not in " ".join(watchdog.cmdline())
    before = len(it.by("thread"))
    os.kill(it.program.popen.pid, signal.SIGUSR1)
    it.program.wait_for("free")
    until(lambda: len(it.by("thread")) > before + 2)
    # Ctrl-C and SIGTERM to the whole group are the program's business
    watchdog.send_signal(signal.SIGINT)
    watchdog.send_signal(signal.SIGTERM)
    before = len(it.by("thread"))
    until(lambda: len(it.by("thread")) > before + 2)
    assert watchdog.is_running()
    assert it.program.stop() == 0
    it.program.wait_for("^done")
    psutil.wait_procs([watchdog], 10)
    assert not watchdog.is_running()


def test_a_frozen_process_gets_no_beats_and_a_killed_one_has_no_watchdog(beats):
    it = beats("--watched")
    watchdog = until(it.watchdog)
    process = psutil.Process(it.program.popen.pid)
    until(lambda: len(it.by("thread")) > 3)
    process.suspend()
    until(lambda: process.status() == psutil.STATUS_STOPPED)
    count = len(it.by("watchdog"))
    looks = watchdog.num_ctx_switches().voluntary
    until(lambda: watchdog.num_ctx_switches().voluntary >= looks + 5)
    assert len(it.by("watchdog")) == count
    process.resume()
    before = len(it.by("thread"))
    until(lambda: len(it.by("thread")) > before + 1)
    process.kill()
    psutil.wait_procs([watchdog], 10)
    assert not watchdog.is_running()


def test_a_watchdog_that_is_refused_ends_and_says_so(beats):
    it = beats("--watched", watchdog_answers=[(200, BAD)])
    watchdog = it.held()
    until(lambda: it.by("watchdog"))
    until(lambda: watchdog.status() == psutil.STATUS_ZOMBIE)
    os.kill(it.program.popen.pid, signal.SIGUSR1)
    it.program.wait_for("^refused")
    assert len(it.by("watchdog")) == 1
    assert it.program.wait_end() == 0


def test_a_watchdog_takes_the_key_nowhere_else(beats):
    it = beats("--watched", watchdog_answers=[(302, b"")], moved_to="/elsewhere")
    it.held()
    until(lambda: len(it.by("watchdog")) >= 3)
    assert {request.path for request in it.by("watchdog")} == {it.by("thread")[0].path}


def test_the_mode_thread_has_no_watchdog(beats):
    it = beats(mode="thread", interval=0.05)
    until(lambda: len(it.by("thread")) >= 3)
    assert it.watchdog() is None
    assert it.program.stop() == 0


def test_a_short_run_has_neither_beats_nor_a_watchdog(beats):
    # On the slowest machine it is over before the first beat is due.
    it = beats("--never", interval=600.0)
    assert it.watchdog() is None
    assert it.program.stop() == 0
    assert it.by("thread") == []


def test_the_mode_off_is_silent(beats):
    it = beats(mode="off")
    assert it.program.stop() == 0
    assert it.by("thread") == it.by("watchdog") == []
