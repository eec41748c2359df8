"""The local launcher with real processes: what it refuses, how it starts a run, and what it tells about its end."""

import asyncio
import json
import logging
import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
from eventually import eventually

from flowstead_agent.environment import ApiAccess
from flowstead_agent.errors import LaunchError
from flowstead_agent.launchers.local import LocalLauncher, LocalLauncherSettings
from flowstead_agent.launchers.protocol import ClaimedRun

HERE = str(Path(__file__).parent)
LOGGER = logging.getLogger("test-agent")


def claimed(report, run_config=None, storage=None):
    config = {"type": "LocalRun", **(run_config or {})}
    config["env"] = {"REPORT": str(report), **(config.get("env") or {})}
    return ClaimedRun(
        flow_run_id="a-run",
        name="able-otter",
        version=2,
        claim_token="a-token",
        start_time=datetime.now(UTC),
        restart=False,
        flow_id="a-flow",
        run_config=config,
        storage=storage,
    )


def launcher(entry="describe", **changes):
    return LocalLauncher(
        LocalLauncherSettings(
            access=ApiAccess("http://127.0.0.1:9", "server"),
            labels=["a"],
            agent_env={},
            send_logs=True,
            logging_level="INFO",
            import_paths=[HERE],
            entry=f"fork_entries:{entry}",
            **{"preload": ["json"], **changes},
        ),
        LOGGER,
    )


def run(coroutine):
    async def main():
        async with asyncio.timeout(60):
            await coroutine

    asyncio.run(main())


async def reported(path):
    async with asyncio.timeout(20):
        while not path.exists():  # noqa: ASYNC110 - a file tells nobody that it has come
            await asyncio.sleep(0.005)


def test_a_run_gets_its_environment_directory_and_import_path(tmp_path):
    async def test():
        local = launcher()
        await local.start()
        process = await local.launch(claimed(tmp_path / "report", {"working_dir": str(tmp_path), "env": {"MINE": "1"}}))
        ended = await process.ended
        await local.close()
        assert ended.ok
        assert process.description == f"PID: {process.pid}"
        seen = json.loads((tmp_path / "report").read_text())
        assert seen["pid"] == process.pid
        assert seen["directory"] == str(tmp_path)
        assert seen["path"][:2] == [str(tmp_path), HERE]
        assert seen["environment"]["MINE"] == "1"
        assert seen["environment"]["PREFECT__CONTEXT__FLOW_RUN_ID"] == "a-run"
        assert seen["environment"]["PREFECT__CONTEXT__CLAIM_TOKEN"] == "a-token"
        assert seen["environment"]["PATH"] == os.environ["PATH"]

    run(test())


@pytest.mark.parametrize(
    ("run_config", "storage", "message"),
    [
        (
            {"type": "KubernetesRun"},
            None,
            "Flow run a-run has a `run_config` of type `KubernetesRun`, only `LocalRun` is supported",
        ),
        ({}, {"type": "Docker"}, "Unsupported Storage type: Docker"),
        (
            {"working_dir": "/no/such/place"},
            None,
            "Flow run a-run has a nonexistent `working_dir` configured: /no/such/place",
        ),
    ],
)
def test_what_cannot_be_started_here_is_refused_with_the_reason(tmp_path, run_config, storage, message):
    async def test():
        local = launcher()
        with pytest.raises(LaunchError) as caught:
            await local.launch(claimed(tmp_path / "report", run_config, storage))
        await local.close()
        assert str(caught.value) == message
        assert not (tmp_path / "report").exists()

    run(test())


def test_universal_run_and_no_run_config_start_in_the_directory_of_the_agent(tmp_path):
    async def test():
        local = launcher("report")
        process = await local.launch(
            claimed(tmp_path / "report", {"type": "UniversalRun", "working_dir": "/no/such/place"})
        )
        assert (await process.ended).ok
        await local.close()

    run(test())


def test_how_a_process_died_is_told_with_the_last_of_its_output(tmp_path):
    async def test():
        local = launcher("fail")
        ended = await (await local.launch(claimed(tmp_path / "report"))).ended
        assert not ended.ok
        assert ended.reason.endswith("ended with exit code 1.")
        assert ended.output.splitlines()[-1] == "RuntimeError: this flow is broken"
        await local.close()

    run(test())


def test_a_killed_process_is_told_with_its_signal(tmp_path):
    async def test():
        local = launcher("wait_for_signal")
        process = await local.launch(claimed(tmp_path / "report"))
        await reported(tmp_path / "report")
        os.kill(process.pid, signal.SIGKILL)
        ended = await process.ended
        assert not ended.ok
        assert f"(PID {process.pid}) was killed by SIGKILL" in ended.reason
        assert ended.output == "ready"
        await local.close()

    run(test())


@pytest.mark.parametrize(("entry", "expected"), [("wait_for_signal", "SIGTERM"), ("stubborn", "SIGKILL")])
def test_terminate_is_polite_first(tmp_path, entry, expected):
    async def test():
        local = launcher(entry)
        process = await local.launch(claimed(tmp_path / "report"))
        await reported(tmp_path / "report")
        await process.terminate(0.2)
        assert expected in (await process.ended).reason
        await process.terminate(0.2)
        await local.close()

    run(test())


def test_a_new_interpreter_starts_what_a_fork_cannot(tmp_path):
    """The real command runs and finds no API: that it says so shows that it was started, and how it ended is told."""

    async def test():
        local = launcher("report")
        run_config = {
            "working_dir": str(tmp_path),
            "env": {"PYTHONHASHSEED": "1", "PREFECT__CLOUD__REQUEST_TIMEOUT": "1", "PYTHONFAULTHANDLER": "1"},
        }
        process = await local.launch(claimed(tmp_path / "report", run_config))
        # The kernel shows it a moment after the process has become another program.
        line = Path(f"/proc/{process.pid}/cmdline")
        await eventually(lambda: bool(line.read_text()))
        assert line.read_text().split("\0")[1:5] == ["-m", "prefect", "execute", "flow-run"]
        assert os.getsid(process.pid) == process.pid
        await process.terminate(5)
        assert not (await process.ended).ok
        assert not (tmp_path / "report").exists()
        await local.close()

    run(test())


def test_without_a_fork_server_runs_still_start(tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    async def test():
        local = launcher("report", preload=["no_such_module_anywhere"])
        await local.start()
        for _ in range(2):
            process = await local.launch(claimed(tmp_path / "report"))
            await process.terminate(5)
        assert not (tmp_path / "report").exists()
        # what was missing is there, and the pause is over
        (tmp_path / "no_such_module_anywhere.py").touch()
        local._forks_again_at = 0.0
        await local.launch(claimed(tmp_path / "report"))
        await reported(tmp_path / "report")
        await local.close()

    LOGGER.propagate = True
    run(test())
    assert [
        record.message for record in caplog.records if record.name == LOGGER.name and record.levelname == "WARNING"
    ] == [
        (
            "The fork server could not be started: it ended with exit code 1. "
            "Flow runs are started by new interpreters for now, which is slower; it is tried again in 60 s."
        )
    ]


def test_output_is_shown_when_asked_for(tmp_path, capfdbinary):
    async def test():
        local = launcher("describe", show_flow_logs=True)
        await (await local.launch(claimed(tmp_path / "report"))).ended
        await local.close()

    run(test())
    assert capfdbinary.readouterr().out == b"said on stdout\nsaid on stderr\n"


def test_processes_go_on_when_the_launcher_is_closed(tmp_path):
    async def test():
        local = launcher("wait_for_signal")
        process = await local.launch(claimed(tmp_path / "report"))
        await reported(tmp_path / "report")
        await local.close()
        os.kill(process.pid, 0)
        os.kill(process.pid, signal.SIGKILL)

    run(test())
