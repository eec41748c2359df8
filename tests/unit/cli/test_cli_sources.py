"""Flows from files and modules."""

import os

import pytest

import prefect
from flowstead_cli.errors import CliError
from flowstead_cli.register_watch import WatchedSources, module_file
from flowstead_cli.sources import SourceError, expand_paths, flows_of_module, flows_of_script, select_flow

TWO_FLOWS = """
from prefect import Flow, task

@task
def one():
    return 1

with Flow("a") as a:
    one()

again = a

with Flow("b") as b:
    one()

a.run()
if __name__ == "__main__":
    raise RuntimeError("must not run")
"""


@pytest.fixture
def script(tmp_path):
    file = tmp_path / "two_flows_for_the_cli.py"
    file.write_text(TWO_FLOWS)
    return file


@pytest.mark.filterwarnings("ignore:Attempting to call `flow.run`")
def test_a_script_gives_each_flow_once(script):
    flows = flows_of_script(str(script))
    assert sorted(flow.name for flow in flows) == ["a", "b"]
    assert prefect.context.get("loading_flow") is None


def test_a_missing_script_is_named_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError) as raised:
        flows_of_script("nope.py")
    assert raised.value.message == f"File does not exist: '{tmp_path / 'nope.py'}'"


@pytest.mark.parametrize("code", ["1 / 0", "import sys; sys.exit(3)", "def broken(:"])
def test_code_that_raises_shows_its_own_traceback_only(tmp_path, code):
    file = tmp_path / "broken.py"
    file.write_text(f"# a comment\n{code}\n")
    with pytest.raises(SourceError) as raised:
        flows_of_script(str(file))
    assert raised.value.is_traceback
    assert "broken.py" in raised.value.message
    assert "flowstead_cli" not in raised.value.message


def test_a_script_finds_its_neighbours(tmp_path):
    (tmp_path / "neighbour_of_a_flow.py").write_text("NAME = 'from a neighbour'\n")
    file = tmp_path / "flow.py"
    file.write_text("from prefect import Flow\nfrom neighbour_of_a_flow import NAME\nflow = Flow(NAME)\n")
    assert [flow.name for flow in flows_of_script(str(file))] == ["from a neighbour"]


@pytest.mark.filterwarnings("ignore:Attempting to call `flow.run`")
def test_modules_and_the_flows_in_them(script, monkeypatch):
    monkeypatch.chdir(script.parent)
    assert sorted(flow.name for flow in flows_of_module(script.stem)) == ["a", "b"]
    assert [flow.name for flow in flows_of_module(f"{script.stem}.b")] == ["b"]
    with pytest.raises(SourceError, match=f"Module '{script.stem}' has no attribute 'nope'"):
        flows_of_module(f"{script.stem}.nope")
    with pytest.raises(SourceError, match="Invalid object of type"):
        flows_of_module(f"{script.stem}.one")


def test_a_missing_module():
    with pytest.raises(SourceError, match=r"^No module named 'no_such_module_anywhere'$"):
        flows_of_module("no_such_module_anywhere")


def test_selecting_one_flow_of_a_source():
    a, b = prefect.Flow("a"), prefect.Flow("b")
    assert select_flow([a], "f.py", None) is a
    assert select_flow([a, b], "f.py", "b") is b
    with pytest.raises(SourceError, match=r"Found no flows at f\.py\."):
        select_flow([], "f.py", None)
    with pytest.raises(SourceError, match=r"Found multiple flows at 'f\.py': 'a', 'b'\n\nSpecify a flow name to run\."):
        select_flow([a, b], "f.py", None)
    with pytest.raises(SourceError, match=r"Did not find 'zz' in flows at f\.py\. Found 'a', 'b'"):
        select_flow([a, b], "f.py", "zz")


def test_paths_expand_to_files_directories_and_globs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    below = tmp_path / "flows" / "deep"
    below.mkdir(parents=True)
    for file in ("flows/a.py", "flows/b.py", "flows/deep/c.py", "flows/notes.txt"):
        (tmp_path / file).write_text("")
    assert expand_paths(["flows"]) == ["flows/a.py", "flows/b.py"]
    assert expand_paths(["flows/a.py", "flows"]) == ["flows/a.py", "flows/b.py"]
    assert expand_paths(["flows/**/*.py"]) == ["flows/a.py", "flows/b.py", "flows/deep/c.py"]
    with pytest.raises(CliError, match=r"^Path 'nope/\*\.py' doesn't exist$"):
        expand_paths(["nope/*.py"])


def test_the_file_of_a_module_is_found_without_importing_it(tmp_path, monkeypatch):
    package = tmp_path / "watched_package" / "inner"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (package / "flows.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.chdir(tmp_path)
    assert module_file("watched_package") == package.parent / "__init__.py"
    for name in ("watched_package.inner.flows", "watched_package.inner.flows.a_flow"):
        assert module_file(name) == package / "flows.py"
    assert module_file("flowstead_cli.main").name == "main.py"
    assert module_file("there_is_no_such_package.flows") is None


def test_what_is_watched_comes_goes_and_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("folder/a.py", "a_watched_module.py", "flows.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    watched = WatchedSources(("folder", "f*/*.py"), ("a_watched_module.flow",), ("flows.json",))
    first = watched.changes()
    assert set(first) == {("--path", "folder/a.py"), ("--module", "a_watched_module.flow"), ("--json", "flows.json")}
    os.utime(tmp_path / "flows.json", ns=(1, 1))
    (tmp_path / "folder" / "a.py").unlink()
    (tmp_path / "folder" / "b.py").write_text("")
    second = watched.changes()
    assert second["--json", "flows.json"] == 1
    assert set(second) == set(first) - {("--path", "folder/a.py")} | {("--path", "folder/b.py")}
    (tmp_path / "folder" / "b.py").unlink()
    (tmp_path / "folder").rmdir()
    # What is away for a moment is forgotten until it is back.
    assert ("--path", "folder/b.py") not in watched.changes()
    with pytest.raises(CliError, match="Path 'folder' doesn't exist"):
        WatchedSources(("folder",))
