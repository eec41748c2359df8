"""`register` and `build`: JSON files, modules, globs, schedules, storages, and `--watch` (§4, §5)."""

import http.server
import json
import re
import signal
import subprocess
import sys
import threading
from functools import partial

import pytest
from cli_world import HELLO

SCHEDULED = """
from datetime import timedelta
from prefect import Flow, task
from prefect.schedules import IntervalSchedule

@task
def one():
    return 1

with Flow("{name}", schedule=IntervalSchedule(interval=timedelta(days=300))) as flow:
    one()
"""

ONE_STORAGE = """
from prefect import Flow
from prefect.storage import Local

storage = Local({storage})
a = Flow("{a}", storage=storage)
b = Flow("{b}", storage=storage)
"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        return


def hello(name):
    return HELLO.format(name=name, default="default='x'")


@pytest.fixture
def project(prefect, request):
    name = request.node.name
    prefect("create", "project", name)
    return name


def registered(prefect, project):
    return json.loads(prefect("get", "flows", "--project", project, "--all-versions", "-o", "json").stdout)


def test_what_was_built_is_registered_and_then_unchanged(prefect, project):
    prefect.write("flows/b.py", hello("b"))
    prefect.write("flows/a.py", hello("a"))
    prefect.write("flows/deeper/c.py", hello("c"))
    built = prefect("build", "-p", "flows/**/*.py", "-l", "built").stdout
    assert built.startswith("Collecting flows...\nProcessing 'flows/a.py':\n  Building `Local` storage...\n")
    assert "  Building 'a'... Done\n" in built
    assert "Writing output to 'flows.json'\n" in built
    assert "= 3 built =" in built
    document = json.loads((prefect.folder / "flows.json").read_text())
    assert (document["version"], [flow["name"] for flow in document["flows"]]) == (1, ["a", "b", "c"])
    assert all("built" in flow["run_config"]["labels"] for flow in document["flows"])
    done = prefect("register", "--project", project, "--json", "flows.json", "-n", "a", "-n", "c").stdout
    assert "Processing 'flows.json':\n  Registering 'a'... Done\n  └── ID: " in done
    assert {(flow["name"], flow["version"]) for flow in registered(prefect, project)} == {("a", 1), ("c", 1)}
    # The same flow is unchanged whichever way it comes.
    again = prefect("register", "--project", project, "-p", "flows/a.py", "-l", "built").stdout
    assert "  Registering 'a'... Skipped (metadata unchanged)\n" in again
    labelled = prefect("register", "--project", project, "-j", "flows.json", "-n", "a", "-l", "more").stdout
    assert "  └── Version: 2\n" in labelled


def test_a_built_file_is_updated_and_written_even_if_a_flow_fails(prefect):
    prefect.write("kept.py", hello("kept"))
    prefect.write("new.py", hello("new"))
    prefect.write("failing.py", ONE_STORAGE.format(a="twin", b="twin", storage=""))
    prefect("build", "-p", "kept.py", "-o", "out.json")
    done = prefect("build", "-p", "new.py", "-p", "failing.py", "-o", "out.json", "--update", code=1).stdout
    assert "    Error building storage:\n" in done
    assert 'Name conflict: Flow with the name "twin" is already present in this storage.' in done
    assert "  Building 'twin'... Error\n" in done
    assert "= 1 built, 2 errored =" in done
    names = [flow["name"] for flow in json.loads((prefect.folder / "out.json").read_text())["flows"]]
    assert names == ["kept", "new"]
    prefect.write("empty.py", "")
    assert "Found no flows.\n" in prefect("build", "-p", "empty.py").stdout
    assert json.loads((prefect.folder / "flows.json").read_text()) == {"version": 1, "flows": []}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "Path 'bad.json' doesn't exist"),
        ("[1", "'bad.json' is not a valid Prefect flows `json` file."),
        ('{"flows": []}', "'bad.json' is not a valid Prefect flows `json` file."),
        ('{"version": 1, "flows": [{}]}', "'bad.json' is not a valid Prefect flows `json` file."),
        ('{"version": 2, "flows": []}', "'bad.json' is version 2, only version 1 is supported"),
    ],
)
def test_files_that_hold_no_flows_are_named(prefect, project, text, sentence):
    if text is not None:
        prefect.write("bad.json", text)
    done = prefect("register", "--project", project, "--json", "bad.json", code=1)
    assert f"Error loading 'bad.json':\n  {sentence}\n" in done.stdout
    assert done.stderr == "Nothing was done, because 'bad.json' could not be loaded.\n"


def test_a_flow_of_a_file_that_describes_none_is_an_error(prefect, project):
    prefect.write("odd.json", '{"version": 1, "flows": [{"name": "odd", "tasks": 3}, {"name": "even"}]}')
    done = prefect("register", "--project", project, "-j", "odd.json", code=1).stdout
    assert "  Registering 'odd'... Error\n" in done
    assert "Flow could not be deserialized successfully." in done
    assert "= 1 registered, 1 errored =" in done
    refused = prefect("register", "--project", project, "-j", "ftp://nowhere/x.json", code=1)
    assert "its scheme is 'ftp', not file, http, https, s3 or gcs." in refused.stdout


def test_a_file_behind_a_url(prefect, project):
    prefect.write("remote.py", hello("remote"))
    prefect("build", "-p", "remote.py")
    handler = partial(_Quiet, directory=prefect.folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        done = prefect("register", "--project", project, "-j", f"{url}/flows.json").stdout
        assert "  Registering 'remote'... Done\n" in done
        missing = prefect("register", "--project", project, "-j", f"{url}/nope.json", code=1).stdout
        assert "HTTP status 404" in missing
        server.shutdown()
    file = (prefect.folder / "flows.json").as_uri()
    assert "Skipped" in prefect("register", "--project", project, "-j", file).stdout


def test_schedules_are_activated_unless_told_otherwise(prefect, project):
    query = "query($id: uuid!) { flow_by_pk(id: $id) { is_schedule_active } }"
    active = {}
    for name, option in (("off", "--no-schedule"), ("on", "--schedule")):
        done = prefect(
            "register", "--project", project, "-p", prefect.write(f"{name}.py", SCHEDULED.format(name=name)), option
        )
        flow_id = re.search(r"ID: (\S+)", done.stdout)[1]
        active[name] = prefect.graphql(query, id=flow_id)["flow_by_pk"]["is_schedule_active"]
    assert active == {"off": False, "on": True}
    # Nothing is done to a flow that has not changed, also not to its schedule.
    again = prefect("register", "--project", project, "-p", "off.py").stdout
    assert "Skipped" in again
    flow_id = next(flow["id"] for flow in registered(prefect, project) if flow["name"] == "off")
    assert prefect.graphql(query, id=flow_id)["flow_by_pk"]["is_schedule_active"] is False


def test_flows_of_modules_and_of_one_storage(prefect, project):
    prefect.write("package_of_flows/__init__.py", "")
    prefect.write("package_of_flows/one.py", hello("of a module"))
    prefect.write("package_of_flows/two.py", ONE_STORAGE.format(a="first", b="second", storage="directory='stored'"))
    done = prefect(
        *["register", "--project", project, "-m", "package_of_flows.one.flow", "-m", "package_of_flows.two"]
    ).stdout
    assert "Processing 'package_of_flows.one.flow':\n  Building `Module` storage...\n" in done
    assert done.count("Building `Local` storage...") == 1
    assert "= 3 registered =" in done
    missing = prefect("register", "--project", project, "-m", "package_of_flows.nope", code=1)
    assert "  Module 'package_of_flows' has no attribute 'nope'\n" in missing.stdout


def test_what_can_be_loaded_is_registered_when_asked_for(prefect, project):
    prefect.write("sound.py", hello("sound"))
    prefect.write("broken.py", "def f(:\n")
    prefect.write("empty.py", "")
    done = prefect(
        "register", "--project", project, "-p", ".", "-n", "sound", "-n", "nope", "--keep-going", code=1
    ).stdout
    assert "Error loading './broken.py':\n" in done or "Error loading 'broken.py':\n" in done
    assert "SyntaxError" in done
    assert "Failed to find the following flows:\n- nope\n" in done
    assert "= 1 registered =" in done


def test_changes_are_registered_until_ctrl_c(prefect, project, shared_cli):
    prefect.write("watched/first.py", hello("first"))
    prefect.write("watched/broken.py", "1 / 0")
    env = shared_cli.env | {"PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "prefect", "register", "--project", project, "-p", "watched", "--watch"]
    with subprocess.Popen(
        command, cwd=prefect.folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:

        def next_pass():
            lines = []
            while not lines or "Watching for changes" not in lines[-1]:
                lines.append(process.stdout.readline())
                assert lines[-1], process.stderr.read()
            return "".join(lines)

        seen = next_pass()
        assert "ZeroDivisionError" in seen
        assert "= 1 registered =" in seen
        prefect.write("watched/second.py", hello("second"))
        seen = next_pass()
        assert "Registering 'second'... Done\n" in seen
        assert "first" not in seen
        prefect.write("watched/first.py", hello("renamed"))
        assert "Registering 'renamed'... Done\n" in next_pass()
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == ""
        assert process.stderr.read() == "\nAborted!\n"
    assert process.returncode == 1
    assert {flow["name"] for flow in registered(prefect, project)} == {"first", "second", "renamed"}
    remote = prefect("register", "--project", project, "--watch", "-j", "https://nowhere/flows.json", code=1)
    assert remote.stderr == "Error: --watch is not supported for remote paths\n"
