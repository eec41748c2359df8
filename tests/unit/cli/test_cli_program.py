"""The `prefect` command as a program: help, exit codes, what it imports, and its reference."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from flowstead_cli.commands.repl import candidates
from flowstead_cli.main import ENTRIES, build
from flowstead_cli.reference import reference
from flowstead_cli.wiring import command_below, help_asked_for

ROOT = Path(__file__).parents[3]


@pytest.fixture
def prefect(tmp_path):
    """Return a function that runs the command in an empty directory, with settings of its own."""

    def run(*arguments, module="prefect", **settings):
        env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT__")}
        env |= {
            "PREFECT__HOME_DIR": str(tmp_path / "home"),
            "PREFECT__USER_CONFIG_PATH": str(tmp_path / "config.toml"),
            "PREFECT__BACKEND_CONFIG_PATH": str(tmp_path / "home" / "backend.toml"),
            **settings,
        }
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            check=False,
            capture_output=True,
            text=True,
            env=env,
            cwd=tmp_path,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )

    return run


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["get"], ["agent", "local"], ["run", "-h"]])
def test_help_goes_to_standard_output_and_succeeds(prefect, arguments):
    done = prefect(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: prefect")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nonsense"], "Error: No such command 'nonsense'."),
        (["--version"], "Error: No such option: --version"),
        (["run", "flow"], "Error: "),
        (["get", "flows", "--limit", "many"], "Error: "),
        (["create", "project"], "Error: Missing "),
    ],
)
def test_a_wrong_command_line_exits_with_2(prefect, arguments, sentence):
    done = prefect(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: prefect")
    assert sentence in done.stderr


def test_the_version_is_one_line(prefect):
    done = prefect("version")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1.5.0\n", "")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run"], "Error: Received no options to look up the flow."),
        (["run", "--project", "x"], "Missing required option `--name`."),
        (["run", "--name", "x", "--param", "a={"], "Failed to parse JSON for parameter 'a' with value"),
        (["run", "--name", "x", "--schedule"], "Error: `--schedule` can only be specified for local flow runs"),
        (["run", "--path", "nope.py"], "File does not exist: '"),
        (["register", "-p", "x.py"], "Error: Missing required option '--project'"),
        (["register", "--project", "x", "-p", "nope"], "Path 'nope' doesn't exist"),
        (["get", "logs"], "Either --name or --id must be provided"),
        (["backend", "nope"], "nope is not a valid backend API"),
        (["auth", "login", "--key", "ü"], "That is no API key"),
        (["build", "--module", ".."], "Nothing was done, because '..' could not be loaded."),
        (["server", "start", "-ep"], "--external-postgres needs --postgres-url"),
        (["server", "config", "--data-dir", "x\ny"], "'x\\ny' has a line break"),
        (["agent", "local", "install", "-l", "x\ny"], "'x\\ny' has a line break"),
        (["server", "start", "--data-dir", "x", "--postgres-url", "y"], "--data-dir is for the embedded PostgreSQL"),
    ],
)
def test_a_failure_is_a_sentence_on_standard_error(prefect, arguments, sentence):
    done = prefect(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(sentence)
    assert "Traceback" not in done.stderr


def test_a_broken_configuration_file_is_named(prefect, tmp_path):
    (tmp_path / "config.toml").write_text("[cloud\n")
    # As the console script starts it; with `python -m prefect` the interpreter imports the library first.
    done = prefect("backend", "server", module="flowstead_cli.main")
    assert done.returncode == 1
    assert str(tmp_path / "config.toml") in done.stderr
    assert "Traceback" not in done.stderr


def test_the_chosen_backend_is_read_again(prefect):
    assert prefect("backend", "cloud").stdout == "Backend switched to cloud\n"
    assert '"backend": "cloud"' in prefect("config").stdout
    prefect("backend", "server")
    assert '"backend": "server"' in prefect("config").stdout


@pytest.mark.parametrize("arguments", [["get", "flows"], ["run", "--name", "x"], ["create", "project", "p"]])
def test_an_unreachable_api_is_named_within_seconds(prefect, arguments):
    # Port 9 is "discard": nothing listens there.
    done = prefect(*arguments, PREFECT__CLOUD__API="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "Cannot reach the API at http://127.0.0.1:9 (" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_ends_the_command_quietly(prefect):
    process = subprocess.Popen(
        [sys.executable, "-m", "prefect", "config"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process:
        assert process.stderr.read() == ""


def test_output_that_is_closed_or_cannot_show_a_character_stops_nothing(prefect, tmp_path):
    done = subprocess.run(["sh", "-c", f"{sys.executable} -m prefect version >&-"], check=False, timeout=60)
    assert done.returncode == 0
    (tmp_path / "odd.py").write_text("from prefect import Flow\nflow = Flow('ß \\ud800')\n")
    done = prefect("run", "--path", "odd.py", "--name", "none", PYTHONIOENCODING="ascii:strict")
    assert done.returncode == 1
    assert "Did not find 'none' in flows at odd.py. Found " in done.stderr


def test_ctrl_c_aborts_a_command(tmp_path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "get", "flows"],
            env={**os.environ, "PREFECT__CLOUD__API": f"http://127.0.0.1:{silent.getsockname()[1]}"},
            stderr=subprocess.PIPE,
            text=True,
        )
        with process, silent.accept()[0]:
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            assert process.stderr.read() == "\nAborted!\n"
    assert process.returncode == 1


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["version"]])
def test_help_imports_neither_the_library_nor_rich(arguments):
    code = (
        "import sys\n"
        "from flowstead_cli.main import run\n"
        f"run({arguments!r})\n"
        "heavy = {'gql', 'graphql', 'strawberry', 'asyncpg', 'httpx', 'pendulum', 'rich', 'uvicorn', 'prefect.core'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert done.stderr == "[]\n"


@pytest.mark.parametrize(
    ("arguments", "code"), [(["run", "--id", "x", "--label", "a", "--json", "--quiet"], 1), (["logs", "--name"], 2)]
)
def test_options_of_text_are_parsed_without_a_converter(arguments, code):
    program = (
        "import sys\n"
        "from flowstead_cli.main import run\n"
        f"assert run({arguments!r}) == {code}\n"
        "assert 'pydantic' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_values_that_need_a_converter_get_one(prefect):
    done = prefect("get", "flows", "--limit", "0")
    assert done.returncode == 2
    assert "--limit" in done.stderr
    done = prefect("get", "flows", "--output", "xml")
    assert done.returncode == 2
    assert "xml" in done.stderr


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_command_loads(entry):
    assert build().load(entry.name).name == entry.name


def test_the_reference_is_the_help_of_the_commands():
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == reference()


@pytest.mark.parametrize("name", ["hello_world", "mapped", "retrying"])
def test_the_demo_flows_succeed_here(prefect, name):
    done = prefect("run", "--path", str(ROOT / "cli" / "flowstead_cli" / "demo_flows" / f"{name}.py"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("Flow run succeeded!\n")


def test_a_failed_local_run_exits_with_1(prefect, tmp_path):
    (tmp_path / "failing.py").write_text(
        "from prefect import Flow, task\n\n@task\ndef fail():\n    raise ValueError('no')\n\n"
        "with Flow('failing') as flow:\n    fail()\n"
    )
    done = prefect("run", "--path", "failing.py")
    assert done.returncode == 1
    assert done.stdout.endswith("Flow run failed!\n")


def test_local_runs_take_parameters_and_refuse_unknown_ones(prefect, tmp_path):
    (tmp_path / "hello.py").write_text(
        "import prefect\nfrom prefect import Flow, Parameter, task\n\n@task\ndef hello(name):\n"
        "    prefect.context.get('logger').info('Hello, %s!', name)\n\n"
        "with Flow('hello') as flow:\n    hello(Parameter('name'))\n"
    )
    done = prefect("run", "--path", "hello.py", "--param", "name=Marvin")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "└── Parameters: {'name': 'Marvin'}\n" in done.stdout
    assert "| INFO    | Hello, Marvin!\n" in done.stdout
    missing = prefect("run", "--path", "hello.py")
    assert missing.returncode == 1
    assert "name" in missing.stdout + missing.stderr
    unknown = prefect("run", "--path", "hello.py", "--param", "name=x", "--param", "nope=1")
    assert unknown.returncode == 1
    assert unknown.stderr == "Flow 'hello' does not have the parameter 'nope'. Its parameters are 'name'.\n"


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("get fl", ["flows", "flow-runs"]),
        ("kv", ["kv"]),
        ("register --k", ["--keep-going"]),
        ("get flows -o y", ["yaml"]),
    ],
)
def test_the_shell_completes_commands_options_and_values(prefect, words, offered):
    words = f"prefect {words}"
    done = prefect(_PREFECT_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(words.count(" ")))
    assert (done.stdout.split(), done.stderr) == (offered, "")


def test_the_shell_offers_what_its_script_is_told():
    script = """
        PATH="$1:$PATH"
        eval "$(prefect --show-completion; true)"
        COMP_WORDS=(prefect server st) COMP_CWORD=2
        _prefect_completion prefect
        echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "-c", script, "bash", str(Path(sys.executable).parent)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("start stop\n", "")


@pytest.mark.parametrize(
    ("line", "offered"),
    [("des", ["describe "]), ("get flow", ["flows ", "flow-runs "]), ("ex", ["execute ", "exit "]), ("nope fl", [])],
)
def test_the_prompt_completes_commands(line, offered):
    assert candidates(build(), line) == offered


def _below(command, words):
    yield words
    for name in getattr(command, "commands", ()):
        yield from _below(command_below(command, name), [*words, name])


@pytest.mark.parametrize("words", list(_below(build(), [])), ids=" ".join)
def test_every_help_page_is_fit_to_read(words):
    page = help_asked_for(build(), "prefect", [*words, "--help"])
    assert page.startswith(f"Usage: {' '.join(['prefect', *words])}")
    # Whatever a value is, it has a word for people.
    assert not re.search(r"<(str|int|int range|path|list)", page)
    assert "{" not in page.splitlines()[0]
    # An example can be copied: none is wrapped.
    assert not re.search(r"^    prefect [^\n]*\n    \S", page, re.MULTILINE)
    assert all(len(line) <= 80 for line in page.splitlines())
