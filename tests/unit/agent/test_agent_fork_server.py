"""The fork server with real processes: what a child looks like, how its end is told, what if one side dies."""

import asyncio
import ctypes
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flowstead_agent.errors import ForkServerError, LaunchError, LaunchOutcomeUnknownError
from flowstead_agent.launchers.fork_child import child_search_path
from flowstead_agent.launchers.fork_client import ForkServerClient
from flowstead_agent.launchers.output import TAIL_BYTES, OutputFile

HERE = str(Path(__file__).parent)
DEADLINE = 20.0


def client(modules=("json",)):
    python_path = os.pathsep.join([HERE, *filter(None, [os.environ.get("PYTHONPATH")])])
    return ForkServerClient(modules, environment={**os.environ, "PYTHONPATH": python_path})


class Bench:
    """A fork server and a directory for one test."""

    def __init__(self, forks, directory):
        self.forks = forks
        self.directory = directory
        self.report = directory / "report"
        self.output = OutputFile(str(directory))

    async def launch(self, entry, output=None, **environment):
        return await self.forks.launch(
            environment={"PYTHONPATH": HERE, "REPORT": str(self.report), **environment},
            directory=str(self.directory),
            output=output or self.output.path,
            entry=f"fork_entries:{entry}",
        )

    async def reported(self):
        async with asyncio.timeout(DEADLINE):
            while not self.report.exists():  # noqa: ASYNC110 - a file tells nobody that it has come
                await asyncio.sleep(0.005)


def bench(test):
    """Run an async test with a `Bench`."""

    def run(tmp_path):
        async def main():
            forks = client()
            a_bench = Bench(forks, tmp_path)
            try:
                async with asyncio.timeout(DEADLINE * 2):
                    await test(a_bench)
            finally:
                await forks.close()
                a_bench.output.close()

        asyncio.run(main())

    run.__name__ = test.__name__
    return run


@bench
async def test_a_child_looks_like_a_program_of_its_own(it):
    child = await it.launch("describe", SECRET="x", TZ="Asia/Kolkata")
    assert await child.ended == 0
    seen = json.loads(it.report.read_text())
    assert seen["pid"] == seen["session"] == child.pid
    assert seen["environment"] == {"PYTHONPATH": HERE, "REPORT": str(it.report), "SECRET": "x", "TZ": "Asia/Kolkata"}
    assert seen["directory"] == str(it.directory)
    assert seen["path"][:2] == [str(it.directory), HERE]
    assert seen["argv"] == ["prefect", "execute", "flow-run"]
    assert seen["stdin"] == ""
    # the fourth is the listing itself
    assert seen["open"][:3] == [0, 1, 2]
    assert len(seen["open"]) == 4
    assert seen["timezone"] == "IST"
    assert seen["sigint"]
    assert it.output.tail().splitlines() == ["said on stdout", "said on stderr"]


@bench
async def test_exit_codes_and_exit_handlers(it):
    child = await it.launch("seven")
    assert await child.ended == 7
    assert it.output.tail() == "an exit handler ran"


@bench
async def test_an_exception_is_printed_and_gives_exit_code_1(it):
    child = await it.launch("fail")
    assert await child.ended == 1
    assert it.output.tail().splitlines()[-1] == "RuntimeError: this flow is broken"


@bench
async def test_an_entry_that_does_not_exist_is_a_failure_of_the_child_only(it):
    assert await (await it.launch("nonesuch")).ended == 1
    assert await (await it.launch("report")).ended == 0


@bench
async def test_import_path_of_the_run(it):
    library = it.directory / "library"
    library.mkdir()
    (library / "only_here.py").write_text("VALUE = 'found it'\n")
    child = await it.launch("from_import_path", PYTHONPATH=os.pathsep.join([HERE, "library"]))
    assert await child.ended == 0
    assert it.output.tail() == "found it"


@bench
async def test_a_killed_child_is_reported_with_its_signal(it):
    child = await it.launch("wait_for_signal")
    await it.reported()
    os.kill(child.pid, signal.SIGKILL)
    assert await child.ended == -signal.SIGKILL
    assert it.output.tail() == "ready"


@bench
async def test_signals_reach_the_group_of_a_child_and_a_dead_one_gets_none(it):
    child = await it.launch("wait_for_signal")
    await it.reported()
    await it.forks.signal(child.pid, signal.SIGTERM)
    assert await child.ended == -signal.SIGTERM
    await it.forks.signal(child.pid, signal.SIGKILL)


@bench
async def test_many_children_at_once(it):
    children = await asyncio.gather(*(it.launch("report", REPORT=str(it.directory / str(n))) for n in range(40)))
    assert len({child.pid for child in children}) == 40
    assert await asyncio.gather(*(child.ended for child in children)) == [0] * 40
    assert sorted(int(path.name) for path in it.directory.glob("[0-9]*")) == list(range(40))


@bench
async def test_a_big_environment_passes(it):
    child = await it.launch("describe", **{f"BIG_{n}": "ü" * 20_000 for n in range(20)})
    assert await child.ended == 0
    assert json.loads(it.report.read_text())["environment"]["BIG_19"] == "ü" * 20_000


@bench
async def test_output_that_cannot_be_opened_refuses_the_launch(it):
    with pytest.raises(LaunchError, match="could not be started"):
        await it.launch("report", output=str(it.directory / "missing" / "file"))
    assert await (await it.launch("report")).ended == 0


@bench
async def test_a_server_that_dies_is_replaced_and_its_children_go_on(it):
    child = await it.launch("wait_for_signal")
    await it.reported()
    first = it.forks.pid
    os.kill(first, signal.SIGKILL)
    async with asyncio.timeout(DEADLINE):
        while it.forks.pid == first:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.005)
    it.report.unlink()
    assert await (await it.launch("report")).ended == 0
    assert it.forks.pid not in {None, first}
    assert not child.ended.done()
    await it.forks.signal(child.pid, signal.SIGTERM)
    # nobody could wait for it, so nobody knows how it ended
    assert await child.ended is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives orphans to another process than the first one")
@bench
async def test_orphans_that_come_to_the_agent_are_buried(it):
    # As in a container, where the agent is the first process. 36: PR_SET_CHILD_SUBREAPER
    libc = ctypes.CDLL(None)
    assert libc.prctl(36, 1, 0, 0, 0) == 0
    try:
        child = await it.launch("wait_for_signal")
        await it.reported()
        first = it.forks.pid
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(DEADLINE):
            while it.forks.pid == first:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.005)
        await it.forks.signal(child.pid, signal.SIGTERM)
        async with asyncio.timeout(DEADLINE):
            assert await child.ended == -signal.SIGTERM
    finally:
        libc.prctl(36, 0, 0, 0, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


@bench
async def test_a_server_that_dies_while_asked_leaves_the_outcome_unknown(it):
    await it.forks.start()
    os.kill(it.forks.pid, signal.SIGSTOP)
    asked = asyncio.create_task(it.launch("report"))
    await asyncio.sleep(0)
    os.kill(it.forks.pid, signal.SIGKILL)
    with pytest.raises(LaunchOutcomeUnknownError):
        await asked


def test_children_outlive_an_agent_that_dies_and_the_server_does_not(tmp_path):
    program = f"""
import asyncio, os, sys
from flowstead_agent.launchers.fork_client import ForkServerClient
async def main():
    forks = ForkServerClient(["json"])
    open({str(tmp_path / "out")!r}, "w").close()
    child = await forks.launch(environment={{"REPORT": {str(tmp_path / "report")!r}, "PYTHONPATH": {HERE!r}}},
                               directory={str(tmp_path)!r}, output={str(tmp_path / "out")!r},
                               entry="fork_entries:wait_for_signal")
    print(forks.pid, child.pid, flush=True)
    sys.stdin.read()
    os._exit(9)
asyncio.run(main())
"""
    agent = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert agent.stdout is not None
    server, child = map(int, agent.stdout.readline().split())
    server_end, child_end = os.pidfd_open(server), os.pidfd_open(child)
    try:
        agent.communicate("")
        assert agent.returncode == 9
        assert _ended(server_end, DEADLINE)
        assert not _ended(child_end, 0)
    finally:
        os.kill(child, signal.SIGKILL)
        os.close(server_end)
        os.close(child_end)


FORKED_OFF = f"""
import asyncio, os, sys, json
sys.path.insert(1, {HERE!r})
from pathlib import Path
from flowstead_agent.launchers.fork_client import ForkServerClient
from flowstead_agent.launchers.fork_server import fork_off

folder = Path(sys.argv[1])
print("printed once", end=" ")
forked = fork_off(["json"])

async def main():
    forks = ForkServerClient(["json"], forked_off=forked)
    ends = {{}}
    for entry in sys.argv[2:]:
        output = folder / (entry + ".out")
        output.touch()
        child = await forks.launch(
            environment={{"REPORT": str(folder / entry), "PYTHONPATH": os.pathsep.join([{HERE!r}, str(folder)])}},
            directory=str(folder), output=str(output), entry="fork_entries:" + entry,
        )
        ends[entry] = await child.ended
    first = forks.pid
    os.kill(first, 9)
    while forks.pid == first:
        await asyncio.sleep(0.005)
    child = await forks.launch(environment={{"REPORT": str(folder / "again"), "PYTHONPATH": {HERE!r}}},
                               directory=str(folder), output=str(output), entry="fork_entries:report")
    ends["again"] = await child.ended
    await forks.close()
    print(json.dumps(ends), flush=True)

asyncio.run(main())
"""
CARELESS = "def write(path):\n    global file\n    file = open(path, 'w')\n    file.write('kept')\n"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no server is forked off")
def test_a_server_that_was_forked_off_serves_like_one_that_was_started(tmp_path):
    (tmp_path / "careless.py").write_text(CARELESS)
    entries = ["describe", "seven", "fail", "leave_a_file_open", "use_processes", "exit_with_words"]
    agent = subprocess.run(
        [sys.executable, "-c", FORKED_OFF, tmp_path, *entries], capture_output=True, text=True, timeout=60, check=True
    )
    printed, _, ends = agent.stdout.partition("{")
    assert printed == "printed once "
    assert json.loads("{" + ends) == {
        "describe": 0, "seven": 7, "fail": 1, "leave_a_file_open": 0, "use_processes": 0, "exit_with_words": 1,
        "again": 0,
    }  # fmt: skip
    seen = json.loads((tmp_path / "describe").read_text())
    assert seen["pid"] == seen["session"]
    assert set(seen["environment"]) == {"PYTHONPATH", "REPORT"}
    assert seen["path"][:2] == [str(tmp_path), HERE]
    assert seen["title"].startswith("prefect execute flow-run")
    assert seen["open"][:3] == [0, 1, 2]
    assert len(seen["open"]) == 4
    assert seen["sigint"]
    outputs = {entry: (tmp_path / f"{entry}.out").read_text().splitlines() for entry in entries}
    assert outputs["seven"] == ["an exit handler ran"]
    assert outputs["fail"].count("Traceback (most recent call last):") == 1
    assert outputs["use_processes"] == ["spawn [1, 2]", "fork [1, 2]", "the thread ended"]
    assert outputs["exit_with_words"] == ["these are the words"]
    assert (tmp_path / "leave_a_file_open").read_text() == "kept"


def _ended(pidfd, seconds):
    import select

    return bool(select.select([pidfd], [], [], seconds)[0])


def test_a_module_that_cannot_be_imported_is_an_error_of_the_agent(capfd):
    async def main():
        forks = client(["no_such_module_anywhere"])
        with pytest.raises(ForkServerError, match="exit code 1"):
            await forks.start()
        await forks.close()

    asyncio.run(main())
    assert "no_such_module_anywhere" in capfd.readouterr().err


def test_search_path_of_a_child():
    assert child_search_path("/run", "/a" + os.pathsep + "b" + os.pathsep, ["/base", "/a"]) == [
        "/run",
        "/a",
        "/run/b",
        "/base",
    ]
    assert child_search_path("/run", "", ["/base"]) == ["/run", "/base"]


def test_the_tail_of_a_long_output_starts_at_a_line(tmp_path):
    output = OutputFile(str(tmp_path))
    lines = [f"line {number}" for number in range(20_000)]
    os.write(output.fileno(), "\n".join(lines).encode())
    tail = output.tail().splitlines()
    assert tail == lines[-len(tail) :]
    assert TAIL_BYTES - 20 < len(output.tail()) <= TAIL_BYTES
    output.close()
    assert not list(tmp_path.iterdir())


def test_a_very_long_output_is_shortened_and_nothing_is_shown_twice(tmp_path):
    output = OutputFile(str(tmp_path))
    os.write(output.fileno(), b"x" * (5 * 1024 * 1024))
    shown = b""
    while part := output.unseen():
        shown += part
    output.shorten()
    os.write(output.fileno(), b"\nthe end")
    assert os.fstat(output.fileno()).st_size < 100 * 1024
    assert output.unseen() == b"\nthe end"
    assert output.tail() == "the end"
    assert len(shown) == 5 * 1024 * 1024
    output.close()


@bench
async def test_what_a_module_of_the_run_left_open_is_flushed_at_the_end(it):
    (it.directory / "careless.py").write_text(CARELESS)
    child = await it.launch("leave_a_file_open")
    assert await child.ended == 0
    assert it.report.read_text() == "kept"


@bench
async def test_a_child_may_start_processes_and_threads(it):
    child = await it.launch("use_processes")
    assert await child.ended == 0, it.output.tail()
    assert it.output.tail().splitlines() == ["spawn [1, 2]", "fork [1, 2]", "the thread ended"]
