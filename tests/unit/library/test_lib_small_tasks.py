"""§24: the tasks that need nothing but Python, and what is said about the collections that are left out."""

import asyncio
import logging
import sqlite3
import subprocess
import sys
import zipfile

import pytest
from agent_world import alive
from eventually import eventually

from prefect import Flow, tasks
from prefect.engine import signals
from prefect.exceptions import TaskTimeoutSignal
from prefect.hello_world import hello_flow
from prefect.tasks.database import SQLiteQuery, SQLiteScript
from prefect.tasks.files import Copy, Glob, Move, Remove, Unzip, Zip
from prefect.tasks.shell import ShellTask
from prefect.tasks.templates import StringFormatter


def test_shell_gives_the_last_line():
    assert ShellTask(command="echo one; echo two").run() == "two"
    assert ShellTask(return_all=True).run(command="echo one; echo two >&2") == ["one", "two"]
    assert ShellTask(command="true").run() is None
    assert ShellTask(command="true", return_all=True).run() == []
    assert ShellTask(env={"WHO": "me"}, helper_script="greet() { echo hi $WHO; }").run(command="greet") == "hi me"
    assert ShellTask(shell="sh", command="echo $0").run().endswith(tuple("abcdefghijklmnopqrstuvwxyz_0123456789"))
    with pytest.raises(TypeError, match=r"^run\(\) missing required argument: 'command'$"):
        ShellTask().run()


def test_a_failing_command_fails_the_task(caplog):
    caplog.set_level("INFO", logger="prefect")
    with Flow("failing") as flow:
        result = ShellTask(command="echo so far; exit 3", log_stderr=True)()
    state = flow.run()
    assert state.result[result].message == "Command failed with exit code 3"
    assert state.result[result].result == "so far"
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == ["Command failed with exit code 3", "so far"]
    with pytest.raises(signals.FAIL):
        ShellTask(command="exit 1").run()


@pytest.mark.parametrize(("given", "level"), [(True, "INFO"), (logging.WARNING, "WARNING"), ("DEBUG", "DEBUG")])
def test_output_can_be_followed(given, level, caplog):
    caplog.set_level(logging.DEBUG, "prefect")
    caplog.set_level(logging.DEBUG, "prefect.ShellTask")
    ShellTask(stream_output=given).run(command="echo a; echo b")
    assert [(record.levelname, record.message) for record in caplog.records] == [(level, "a"), (level, "b")]
    with pytest.raises(TypeError, match="'LOUD', which is no level"):
        ShellTask(stream_output="LOUD")


def test_an_interrupted_command_leaves_nothing_running(tmp_path):
    class Interrupted(ShellTask):
        @property
        def logger(self):
            raise TaskTimeoutSignal("the first line came")

    marker = tmp_path / "pid"
    command = f"sleep 600 & echo $! > {marker}; echo started; wait"
    with pytest.raises(TaskTimeoutSignal):
        Interrupted(command=command, stream_output=True).run()
    asyncio.run(eventually(lambda: not alive(int(marker.read_text()))))


def test_files(tmp_path):
    source = tmp_path / "a"
    source.mkdir()
    (source / "x.txt").write_text("x")
    (source / "y.csv").write_text("y")
    assert Copy(source_path=source).run(target_path=tmp_path / "b") == tmp_path / "b"
    assert Copy(source / "x.txt", tmp_path / "z.txt").run().read_text() == "x"
    assert Move(source_path=tmp_path / "z.txt", target_path=tmp_path / "w.txt").run() == tmp_path / "w.txt"
    assert not (tmp_path / "z.txt").exists()
    assert Glob(path=tmp_path / "b").run() == [tmp_path / "b" / "x.txt", tmp_path / "b" / "y.csv"]
    assert Glob(path=tmp_path).run(pattern="**/*.csv") == [source / "y.csv", tmp_path / "b" / "y.csv"]
    Remove(path=tmp_path / "w.txt").run()
    assert not (tmp_path / "w.txt").exists()
    with pytest.raises(OSError, match="not empty"):
        Remove().run(path=source)
    with pytest.raises(ValueError, match=r"^No `source_path` provided\.$"):
        Copy().run(target_path="x")


def test_archives(tmp_path):
    source = tmp_path / "a"
    source.mkdir()
    (source / "x.txt").write_text("x")
    (source / "empty").mkdir()
    (tmp_path / "y.txt").write_text("y")
    archive = Zip(source_path=[source, tmp_path / "y.txt"], zip_path=tmp_path / "all.zip", compression_level=9).run()
    assert sorted(zipfile.ZipFile(archive).namelist()) == ["a/x.txt", "y.txt"]
    out = Unzip(zip_path=archive, extract_dir=tmp_path / "out").run()
    assert ((out / "a" / "x.txt").read_text(), (out / "y.txt").read_text()) == ("x", "y")
    with pytest.raises(ValueError, match="The compression method is 'rar'; it must be one of bzip2, deflate,"):
        Zip(compression_method="rar")


def test_sqlite(tmp_path):
    db = str(tmp_path / "data.db")
    SQLiteScript(db=db, script="create table t (n integer); insert into t values (1); insert into t values (2);").run()
    SQLiteQuery(db=db).run(query="insert into t values (?)", data=(3,))
    assert SQLiteQuery(db=db, query="select n from t where n > ?", data=(1,)).run() == [(2,), (3,)]
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        SQLiteQuery(db=db, query="select * from u").run()
    with pytest.raises(ValueError, match=r"^A query must be provided\.$"):
        SQLiteQuery(db=db).run()


def test_templates_see_the_context():
    with Flow("templates") as flow:
        text = StringFormatter(template="{greeting}, {name} on {today}")(name="Ann")
    state = flow.run(context={"greeting": "Hello", "today": "Monday"})
    assert state.result[text].result == "Hello, Ann on Monday"
    assert StringFormatter().run() == ""


def test_the_flow_to_try_things_with(caplog):
    caplog.set_level("INFO", logger="prefect")
    assert hello_flow.run(name="you").is_successful()
    assert "Hello, you!" in caplog.messages


def test_collections_of_1x_say_what_to_do_instead():
    with pytest.raises(ImportError) as caught:
        import prefect.tasks.aws.s3  # noqa: F401
    assert str(caught.value).startswith("prefect.tasks.aws is not part of Flowstead: ")
    assert "third-party collections. Write the task as a function" in str(caught.value)
    assert "    @task(max_retries=3" in str(caught.value)
    with pytest.raises(ImportError, match=r"prefect\.tasks\.snowflake is not part of Flowstead"):
        from prefect.tasks.snowflake import SnowflakeQuery  # noqa: F401
    with pytest.raises(ImportError, match=r"prefect\.tasks\.dbt is not part of Flowstead"):
        from prefect.tasks import dbt  # noqa: F401
    with pytest.raises(AttributeError, match=r"prefect\.tasks\.gcp is not part of Flowstead"):
        tasks.gcp  # noqa: B018
    assert not hasattr(tasks, "gcp")
    done = subprocess.run(
        [sys.executable, "-c", "import prefect.tasks.aws"], capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[-8].startswith("ImportError: prefect.tasks.aws is not part of Flowstead")
