"""`prefect run --execute`, runs without an agent (cli-and-agents §19.2, §2.6, §2.7): real processes, a real server."""

import re
import signal
import subprocess
import sys

import pytest
from cli_world import Terminal

FLOW = """
import os
import sys
from datetime import timedelta

import prefect
from prefect import Flow, Parameter, task
from prefect.engine.cloud import task_runner, waiting
from prefect.engine.results import LocalResult
from prefect.run_configs import UniversalRun

# A retry that is due in a second is a long one here.
waiting.WAITED_FOR = timedelta(0)


@task
def greet(name):
    print("printed by the flow")
    prefect.context.logger.info("Hello, %s! (%s)", name, os.environ.get("OF_THE_RUN_CONFIG"))


@task
def end(how):
    if how == "killed":
        os.kill(os.getpid(), 9)
    if how == "exit":
        sys.exit(3)
    if how == "failed" or (how.startswith("/") and not os.path.exists(how)):
        raise ValueError("meant to fail")
    if how == "breakpoint":
        breakpoint()
    if how == "wait":
        prefect.context.logger.info("waiting")
        import time
        time.sleep(60)


@task(max_retries=1, retry_delay=timedelta(seconds=1))
def retried(how):
    if how == "retried" and prefect.context.task_run_count == 1:
        raise ValueError("first")


@task(max_retries=1, retry_delay=timedelta(hours=1))
def retried_late(how):
    if how == "sleeps":
        raise ValueError("first")


with Flow("agentless", run_config=UniversalRun(env={"OF_THE_RUN_CONFIG": "yes"}), result=LocalResult()) as flow:
    how = Parameter("how", default="")
    greet(Parameter("name", default="you"), upstream_tasks=[end(how), retried(how), retried_late(how)])
"""
RUN = """query($id: uuid!) { flow_run_by_pk(id: $id) {
    name state state_message labels parameters logs(order_by: {timestamp: asc}) { level name message }
    states(order_by: {version: asc}) { state } task_runs { state task { slug } } } }"""


@pytest.fixture(scope="module")
def cli(shared_cli):
    return shared_cli


@pytest.fixture(scope="module")
def flow_id(cli):
    return cli.register("agentless", "agentless.py", FLOW)


def stored(cli, output):
    run_id = re.search(r"UUID: (\S+)|^([0-9a-f-]{36})$", output, re.MULTILINE)
    run = cli.graphql(RUN, id=run_id[1] or run_id[2])["flow_run_by_pk"]
    return run, [state["state"] for state in run["states"]], [line["message"] for line in run["logs"]]


def test_a_run_with_every_option(cli, flow_id):
    done = cli(
        *["run", "--id", flow_id, "--execute", "--watch", "--run-name", "mine", "--label", "x"],
        *["--param", "name=Marvin"],
    )
    run, states, lines = stored(cli, done.stdout)
    assert states == ["Scheduled", "Running", "Success"]
    assert run["name"] == "mine"
    assert run["labels"][1] == "x"
    assert re.fullmatch(r"agentless-run-[0-9a-f]{8}", run["labels"][0])
    assert "Hello, Marvin! (yes)" in lines
    assert re.search(r"└── \d\d:\d\d:\d\d \| INFO    \| Hello, Marvin! \(yes\)$", done.stdout, re.MULTILINE)
    assert re.search(r"\| INFO    \| Creating subprocess to execute flow run\.\.\.$", done.stdout, re.MULTILINE)
    assert done.stdout.endswith("Flow run succeeded!\n")


def test_a_long_retry_is_slept_through_and_quiet_silences_the_terminal_only(cli, flow_id):
    done = cli("run", "--id", flow_id, "--execute", "--quiet", "--param", "how=retried")
    run, states, lines = stored(cli, done.stdout)
    assert states == ["Scheduled", "Running", "Success"]
    assert {item["state"] for item in run["task_runs"]} == {"Success"}
    assert "Flow run RUNNING: terminal tasks are incomplete." in lines
    assert lines.count("Beginning Flow run for 'agentless'") == 2
    assert "Hello, you! (yes)" in lines
    assert done.stdout.splitlines()[1:] == ["printed by the flow"]
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("killed", "The process of the flow run was killed by signal 9 before the run was finished."),
        ("exit", "Failed to load and execute flow run: SystemExit(3)"),
    ],
)
def test_what_fails_is_failed_and_says_why(cli, flow_id, how, message):
    done = cli("run", "--id", flow_id, "--execute", "--param", f"how={how}", code=1)
    run, _, lines = stored(cli, done.stdout)
    assert (run["state"], run["state_message"]) == ("Failed", message)
    assert lines[-1].startswith(message)
    assert ("in end" in lines[-1]) is (how == "exit")
    assert "The flow run process failed." in done.stdout


def test_a_run_that_failed_here_goes_on_here(cli, flow_id, tmp_path):
    path = tmp_path / "go"
    done = cli("run", "--id", flow_id, "--execute", "--param", f'how="{path}"', code=1)
    run_id = re.search(r"UUID: (\S+)", done.stdout)[1]
    path.touch()
    for options in ([], ["--watch"], ["--quiet"]):
        done = cli("run", "--restart", run_id, *options, code=1)
        assert "keeps agents away. Give `--execute` to execute it here" in done.stderr
    done = cli("run", "--restart", run_id, "--execute", "--start", "in 1 hour", "--label", "x", code=1)
    assert done.stderr == "Error: a restarted run stays as it is; `--restart` does not go with `--start`.\n"
    done = cli("run", "--restart", run_id, "--execute", "--label", "x")
    assert "2 task run(s) run again, 4 are kept." in done.stdout
    assert "printed by the flow" in done.stdout
    run, states, _ = stored(cli, done.stdout)
    assert states == ["Scheduled", "Running", "Failed", "Scheduled", "Running", "Success"]
    assert len(run["labels"]) == 2
    done = cli("run", "--again", "end", "--id", flow_id, code=1)
    assert done.stderr == "Error: `--again` and `--dry-run` go with `--restart` only.\n"


def test_a_flow_that_cannot_be_loaded_leaves_its_traceback_in_the_log(cli):
    flow_id = cli.register("agentless", "broken.py", FLOW.replace('Flow("agentless"', 'Flow("broken"'))
    cli.write("broken.py", "1 / 0\n")
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "run", "--id", flow_id, "--execute"],
        env=cli.env,
        cwd=cli.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    run, _, lines = stored(cli, done.stdout)
    assert run["state"] == "Failed"
    assert run["state_message"].startswith("Failed to load and execute flow run: ")
    assert lines[-1].startswith(run["state_message"])
    assert "1 / 0" in lines[-1]
    assert "ZeroDivisionError" in lines[-1]


@pytest.mark.parametrize(("how", "until"), [("wait", "waiting"), ("sleeps", "Found task run scheduled in")])
def test_ctrl_c_cancels(cli, flow_id, how, until):
    terminal = Terminal(cli, "run", "--id", flow_id, "--execute", "--param", f"how={how}")
    terminal.read_until(until)
    # Only to the command: it has to pass it on.
    terminal.process.send_signal(signal.SIGINT)
    terminal.read_until("Flow run was cancelled: Flow run received an interrupt signal.")
    assert terminal.finish() == 1, terminal.seen
    assert "Keyboard interrupt detected! Aborting..." in terminal.seen
    run, states, _ = stored(cli, terminal.seen.replace("\r", ""))
    assert states == ["Scheduled", "Running", "Cancelled"]
    assert "Running" not in {item["state"] for item in run["task_runs"]}


def test_a_debugger_works(cli, flow_id):
    terminal = Terminal(cli, "run", "--id", flow_id, "--execute", "--param", "how=breakpoint")
    terminal.read_until("(Pdb)")
    terminal.press("p 'how is ' + how\n")
    terminal.read_until("'how is breakpoint'")
    terminal.press("c\n")
    terminal.read_until("Flow run succeeded!")
    assert terminal.finish() == 0, terminal.seen


def test_a_run_that_was_begun_elsewhere_is_refused(cli, flow_id):
    first = cli("run", "--id", flow_id, "--idempotency-key", "same")
    run_id = re.search(r"UUID: (\S+)", first.stdout)[1]
    cli.graphql(
        """mutation($id: UUID!) { set_flow_run_states(input: {states: [{flow_run_id: $id, state: {type: "Running"}}]})
        { states { id } } }""",
        id=run_id,
    )
    done = cli("run", "--id", flow_id, "--idempotency-key", "same", "--execute", code=1)
    assert "Flow run is already in state <Running" in done.stdout + done.stderr
