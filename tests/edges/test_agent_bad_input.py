"""What is wrong with runs and settings, as an agent meets it: it is told, and the agent goes on serving others."""

import os
import signal
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from agent_world import Process, World
from http_stub import http_stub
from postgres_fixtures import _new_database

FLOWS = """
    import os
    import resource
    import signal

    from prefect import Flow, task

    @task
    def nothing():
        pass

    @task
    def use_up():
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        return len(bytearray(1 << 31))

    @task
    def pause():
        signal.pause()

    @task
    def be_killed():
        print("the last that it printed", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    with Flow("{name}") as flow:
        {task}()
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory, postgres, template_database):
    databases = _new_database(postgres, template_database)
    it = World(tmp_path_factory.mktemp("bad"), next(databases))
    it.start_server()
    yield it
    it.close()
    next(databases, None)


def register(world, **tasks):
    """Register flows by their names and what they do, with one command; returns their ids."""
    world.command("create", "project", "tests", "--skip-if-exists")
    paths = []
    for name, what in tasks.items():
        paths += ["-p", str(world.folder / f"{name}.py")]
        text = FLOWS.format(name=name, task=what).replace("\n    ", "\n")
        Path(paths[-1]).write_text(text)
    world.command("register", "--project", "tests", "--force", *paths)
    rows = world.graphql("{ flow { id name } }")["flow"]
    return {row["name"]: row["id"] for row in rows}


def moment(text):
    value = datetime.fromisoformat(text)
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def test_an_agent_goes_on_whatever_its_runs_bring(world):
    flows = register(world, good="nothing", gone="nothing", broken="nothing", greedy="use_up", killed="be_killed")
    (world.folder / "gone.py").unlink()
    (world.folder / "broken.py").write_text("import no_such_module\n")
    agent = world.start_agent()
    nobody = world.create_run(flows["good"], labels=["nobody-has-this"])
    other_platform = world.create_run(flows["good"], run_config={"type": "ECSRun"}, labels=[socket.gethostname()])
    ids = {name: world.create_run(flows[name]) for name in ("gone", "broken", "greedy", "killed")}
    runs = {name: world.wait_for_state(flow_run_id) for name, flow_run_id in ids.items()}
    assert {run["state"] for run in runs.values()} == {"Failed"}

    # a storage that cannot be loaded: the reason in the state, the traceback in the log
    for name, part in (("gone", "gone.py"), ("broken", "No module named 'no_such_module'")):
        assert runs[name]["state_message"].startswith("Failed to load and execute flow run: ")
        assert part in runs[name]["state_message"]
        (line,) = [one for one in runs[name]["logs"] if one["name"] == "execute flow-run"]
        assert line["level"] == "ERROR"
        assert "Traceback (most recent call last)" in line["message"]
        assert part in line["message"]

    # memory that a limit refuses is an error of the task, memory that the kernel takes back the end of the process
    greedy = [one["message"] for one in runs["greedy"]["logs"] if one["level"] == "ERROR"]
    assert any("MemoryError" in message for message in greedy), greedy
    assert runs["killed"]["state_message"].endswith(
        "was killed by SIGKILL; the kernel does this when memory is used up."
    )
    assert any("the last that it printed" in one["message"] for one in runs["killed"]["logs"])

    # what nobody takes waits, and says why; what is for another platform is told so
    assert world.run(nobody)["state"] == "Scheduled"
    query = "query($id: UUID!) { flow_run_explanation(flow_run_id: $id) { message } }"
    assert "nobody-has-this" in str(world.graphql(query, id=nobody)["flow_run_explanation"])
    assert "only `LocalRun` is supported" in world.wait_for_state(other_platform)["state_message"]

    assert world.wait_for_state(world.create_run(flows["good"]))["state"] == "Success"
    assert "Traceback" not in agent.text
    assert agent.stop() == 0


def test_a_process_that_the_kernel_kills_fails_its_run_within_seconds(world):
    flow_id = register(world, waits="pause")["waits"]
    agent = world.start_agent()
    flow_run_id = world.create_run(flow_id)
    pid = int(world.wait_for_log(flow_run_id, "Submitted for execution: PID: ")["message"].rsplit(" ", 1)[1])
    world.wait_for_state(flow_run_id, {"Running"})
    killed = datetime.now(UTC)
    os.kill(pid, signal.SIGKILL)
    run = world.wait_for_state(flow_run_id)
    assert (moment(run["states"][-1]["timestamp"]) - killed).total_seconds() < 5
    assert (run["state"], f"(PID {pid}) was killed by SIGKILL; the kernel" in run["state_message"]) == ("Failed", True)
    assert agent.stop() == 0


@pytest.mark.parametrize(
    ("status", "body"),
    [(401, b""), (200, b'{"errors": [{"message": "The key is unknown.", "extensions": {"code": "UNAUTHENTICATED"}}]}')],
)
def test_a_key_that_the_api_refuses_ends_an_agent_with_the_reason(tmp_path, status, body):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT__")}
    with http_stub(lambda request: (status, {"Content-Type": "application/json"}, body)) as stub:
        env = clean | {
            "PREFECT__HOME_DIR": str(tmp_path),
            "PREFECT__USER_CONFIG_PATH": str(tmp_path / "config.toml"),
            "PREFECT__BACKEND_CONFIG_PATH": str(tmp_path / "backend.toml"),
            "PREFECT__CLOUD__API": stub.url,
            "PREFECT__CLOUD__API_KEY": "not-a-key",
        }
        agent = Process([sys.executable, "-m", "prefect", "agent", "local", "start"], env, tmp_path)
        assert agent.wait_end() == 1
    assert "Traceback" not in agent.text
    assert "not-a-key" not in agent.text
    assert (stub.url in agent.lines[-1]) if status == 401 else (agent.lines[-1] == "The key is unknown.")
    assert len(stub.requests) == 1, "it does not insist"
