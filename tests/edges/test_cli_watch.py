"""`prefect run --watch` with a real server and agent: in a pipe, in a terminal, over a lost connection."""

import json
import re
import signal
import subprocess

import pytest
from cli_world import FAILING, HELLO, WAITING, Cli, Terminal, start_agent, start_server


@pytest.fixture(scope="module")
def cli(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    server, url = start_server(folder)
    with server:
        yield Cli(folder, url)


@pytest.fixture(scope="module", autouse=True)
def agent(cli):
    with start_agent(cli) as process:
        yield process


def test_watching_shows_logs_and_states_and_ends_with_the_run(cli):
    flow_id = cli.register("watching", "watching.py", HELLO.format(name="watching", default="default='x'"))
    done = cli("run", "--id", flow_id, "--param", "name=Marvin", "--run-name", "watched", "--watch")
    lines = done.stdout.splitlines()
    assert "Watching flow run execution..." in lines
    assert lines[-1] == "Flow run succeeded!"
    watched = [line for line in lines if re.match(r"└── \d\d:\d\d:\d\d \| ", line)]
    states = re.findall(r"Entered state <(\w+)>", done.stdout)
    assert [states[0], states[-1]] == ["Scheduled", "Success"]
    assert any(line.endswith("| INFO    | Hello, Marvin!") for line in watched)
    assert "\x1b" not in done.stdout
    stored = json.loads(cli("get", "logs", "--name", "watched", "-o", "json").stdout)
    shown = [line.split(" | ", 2)[2] for line in watched if "Entered state" not in line]
    assert shown == [log["message"] for log in stored]
    quiet = cli("run", "--id", flow_id, "--watch", "--no-logs").stdout
    assert "Hello" not in quiet
    assert "Entered state <Success>" in quiet


def test_a_run_that_fails_exits_with_1(cli):
    flow_id = cli.register("failing", "failing.py", FAILING)
    done = cli("run", "--id", flow_id, "--watch", code=1)
    assert "meant to fail" in done.stdout
    assert done.stdout.endswith("Flow run failed!\n")


def test_a_terminal_gets_colours_and_a_status_line(cli):
    flow_id = cli.register("waiting", "waiting.py", WAITING)
    go_on = cli.folder / "terminal-goes-on"
    terminal = Terminal(cli, "run", "--id", flow_id, "--param", f"path={go_on}", "--watch")
    terminal.read_until("waiting for the file")
    terminal.read_until("Running · 0:")
    go_on.touch()
    assert terminal.finish() == 0, terminal.seen
    assert re.search(r"Running · \d:\d\d · \d/\d task runs", terminal.seen)
    assert "\x1b[" in terminal.seen
    assert "the file is there" in terminal.seen
    # The cursor that the status line hid is shown again.
    assert terminal.seen.rfind("\x1b[?25h") > terminal.seen.rfind("\x1b[?25l")


@pytest.mark.parametrize(
    ("answer", "code", "sentence"),
    [("y\n", 0, "Cancelled flow run."), ("n\n", 1, "Exiting without cancelling flow run!")],
)
def test_ctrl_c_asks_in_a_terminal_whether_to_cancel(cli, answer, code, sentence):
    flow_id = cli.register("waiting", "waiting.py", WAITING)
    go_on = cli.folder / f"asked-{code}-goes-on"
    terminal = Terminal(cli, "run", "--id", flow_id, "--param", f"path={go_on}", "--watch")
    terminal.read_until("waiting for the file")
    terminal.process.send_signal(signal.SIGINT)
    terminal.read_until("Do you want to cancel this flow run?")
    terminal.press(answer)
    assert terminal.finish() == code, terminal.seen
    assert sentence in terminal.seen
    run_id = re.search(r"UUID: (\S+)", terminal.seen)[1]
    state = cli.graphql("query($id: uuid!) { flow_run_by_pk(id: $id) { state } }", id=run_id)["flow_run_by_pk"]["state"]
    assert state in ({"Cancelling", "Cancelled"} if code == 0 else {"Running"})
    go_on.touch()


def test_ctrl_c_without_a_terminal_leaves_the_run_alone(cli):
    flow_id = cli.register("waiting", "waiting.py", WAITING)
    go_on = cli.folder / "interrupted-goes-on"
    process = cli.start(
        "run", "--id", flow_id, "--param", f"path={go_on}", "--watch", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        for line in process.stdout:
            if "waiting for the file" in line:
                break
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "Keyboard interrupt detected!" in rest
    assert "Exiting without cancelling flow run!" in rest
    assert errors == "\nAborted!\n"
    go_on.touch()


def test_a_reader_that_goes_away_ends_watching_quietly(cli):
    flow_id = cli.register("piped", "piped.py", HELLO.format(name="piped", default="default='x'"))
    process = cli.start("run", "--id", flow_id, "--watch", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""


def test_a_server_that_comes_back_is_watched_on(tmp_path):
    server, url = start_server(tmp_path)
    cli = Cli(tmp_path, url)
    try:
        flow_id = cli.register("again", "waiting.py", WAITING)
        with start_agent(cli):
            go_on = tmp_path / "goes-on"
            process = cli.start("run", "--id", flow_id, "--param", f"path={go_on}", "--watch", stdout=subprocess.PIPE)
            with process:
                output = []
                for line in process.stdout:
                    output.append(line)
                    if "waiting for the file" in line:
                        break
                server.stop()
                for line in process.stdout:
                    output.append(line)
                    if "reconnecting" in line:
                        break
                server, _ = start_server(tmp_path, port=url.rpartition(":")[2])
                go_on.touch()
                output += process.stdout.readlines()
            assert process.returncode == 0, "".join(output)
        text = "".join(output)
        assert text.count("the file is there") == 1
        assert text.count("waiting for the file") == 1
        assert text.endswith("Flow run succeeded!\n")
    finally:
        server.stop()
