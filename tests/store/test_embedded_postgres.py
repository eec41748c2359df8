"""The embedded PostgreSQL: sharing, taking over, surviving kills, and clear errors."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from flowstead_server.db import Database, Lease
from flowstead_server.db.embedded import EmbeddedPostgres
from flowstead_server.db.schema_dump import dump
from flowstead_server.domain.errors import ApiUnavailableError, StartupError


@pytest.fixture
def folder() -> Iterator[Path]:
    # not below pytest's folder, which only root may pass through: the server runs as another user then
    made = Path(tempfile.mkdtemp(prefix="flowstead-embedded-"))
    yield made
    for pid_file in made.rglob("postmaster.pid"):
        try:
            psutil.Process(int(pid_file.read_text().splitlines()[0])).kill()
        except (psutil.NoSuchProcess, ValueError):
            continue
    shutil.rmtree(made, ignore_errors=True)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def value(server: EmbeddedPostgres, statement: str) -> object:
    async with await Database.connect(server.dsn, max_connections=2) as database:
        return await database.fetch_value(statement)


async def test_users_share_one_server_and_the_last_one_stops_it(folder: Path) -> None:
    first = await EmbeddedPostgres.start(folder / "data")
    second = await EmbeddedPostgres.start(folder / "data")
    assert first.pid == second.pid
    assert await value(second, "show fsync") == "on"
    assert await value(second, "show synchronous_commit") == "on"
    assert await first.stop() is False
    assert await first.stop() is False
    await value(second, "create table kept (id int)")
    assert await second.stop() is True
    assert gone(first.pid)
    third = await EmbeddedPostgres.start(folder / "data")
    assert await value(third, "select to_regclass('kept')::text") == "kept"
    await third.stop()


async def test_killed_server_recovers(folder: Path) -> None:
    first = await EmbeddedPostgres.start(folder / "data")
    await value(first, "create table kept (id int)")
    psutil.Process(first.pid).kill()
    psutil.wait_procs([psutil.Process(first.pid)], timeout=10)
    second = await EmbeddedPostgres.start(folder / "data")
    assert second.pid != first.pid
    assert await value(second, "select to_regclass('kept')::text") == "kept"
    await first.stop()
    assert await second.stop() is True


async def test_pid_file_with_the_number_of_another_process_is_no_server(folder: Path) -> None:
    first = await EmbeddedPostgres.start(folder / "data")
    pid_file = next((folder / "data").glob("*/postmaster.pid"))
    lines = pid_file.read_text().splitlines()
    await first.stop()
    lines[0] = str(os.getpid())
    pid_file.write_text("\n".join(lines) + "\n")
    second = await EmbeddedPostgres.start(folder / "data")
    assert await value(second, "select 1") == 1
    await second.stop()


async def test_server_of_a_killed_user_is_taken_over_and_stopped(folder: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from flowstead_server.db.embedded import EmbeddedPostgres\n"
        "server = EmbeddedPostgres.start_blocking(Path(sys.argv[1]))\n"
        "print(server.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(  # noqa: ASYNC220 - the test has nothing else to do meanwhile
        [sys.executable, "-c", code, str(folder / "data")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as user:
        assert user.stdout is not None
        pid = int(user.stdout.readline())
        user.send_signal(signal.SIGKILL)
    server = await EmbeddedPostgres.start(folder / "data")
    assert server.pid == pid
    assert await server.stop() is True
    assert gone(pid)


async def test_who_started_it_leaves_it_to_the_others_without_a_word(folder: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from flowstead_server.db.embedded import EmbeddedPostgres\n"
        "server = EmbeddedPostgres.start_blocking(Path(sys.argv[1]))\n"
        "print(server.pid, flush=True)\n"
        "sys.stdin.read()\n"
        "print(server.stop_blocking())\n"
    )
    with subprocess.Popen(  # noqa: ASYNC220 - as above
        [sys.executable, "-W", "default::ResourceWarning", "-c", code, str(folder / "data")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        joined = await EmbeddedPostgres.start(folder / "data")
        assert joined.pid == pid
        assert starter.communicate(timeout=20) == ("False\n", "")
    assert await value(joined, "select 1") == 1
    assert await joined.stop() is True


async def test_path_that_is_too_long_for_a_socket(folder: Path) -> None:
    deep = folder / ("x" * 100) / "data"
    server = await EmbeddedPostgres.start(deep)
    assert len(str(server.socket_dir)) < 100
    assert await value(server, "select 1") == 1
    await server.stop()
    shutil.rmtree(server.socket_dir)


async def test_unusable_folders_are_explained(folder: Path) -> None:
    file = folder / "file"
    file.touch()
    other = folder / "other"
    (other / "9").mkdir(parents=True)
    (other / "9" / "PG_VERSION").write_text("9")
    foreign = folder / "foreign"
    foreign.mkdir()
    (foreign / "PG_VERSION").write_text("18")
    for data_dir, reason in (
        (file, "is a file; name a folder with --data-dir"),
        (file / "below", "is not usable"),
        (other, "is of PostgreSQL 9, but this installation brings"),
        (foreign, "is the data directory of another PostgreSQL"),
        (Path("/proc/flowstead"), "is not usable"),
    ):
        with pytest.raises(StartupError, match=reason):
            await EmbeddedPostgres.start(data_dir)


async def test_damaged_data_is_explained(folder: Path) -> None:
    server = await EmbeddedPostgres.start(folder / "data")
    await server.stop()
    (next((folder / "data").glob("*/PG_VERSION")).parent / "global" / "pg_control").unlink()
    with pytest.raises(StartupError, match=r"does not start: .*pg_control"):
        await EmbeddedPostgres.start(folder / "data")


async def test_database_that_goes_and_comes_back(folder: Path) -> None:
    server = await EmbeddedPostgres.start(folder / "data")
    async with await Database.connect(server.dsn, max_connections=2) as database:
        lease = Lease(database, "upkeep")
        assert await lease.acquire()
        psutil.Process(server.pid).kill()
        psutil.wait_procs([psutil.Process(server.pid)], timeout=10)
        with pytest.raises(ApiUnavailableError) as raised:
            await database.fetch_value("select 1")
        assert (raised.value.message, raised.value.code) == ("Unable to connect to postgres.", "API_ERROR")
        again = await EmbeddedPostgres.start(folder / "data")
        assert await database.fetch_value("select 1") == 1
        assert await database.read_value("select 1") == 1
        assert not lease.held
        await lease.release()
    await server.stop()
    await again.stop()


async def test_dump_is_up_to_date() -> None:
    import flowstead_server.migrations as package

    committed = Path(next(iter(package.__path__))) / "schema.sql"
    assert await dump() == committed.read_text("utf-8")


async def test_the_paths_of_folders_may_be_long(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = folder / ("temporary" * 12)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    embedded = await EmbeddedPostgres.start(long / "pgdata")
    try:
        assert len(str(embedded.socket_dir)) < 90
    finally:
        await embedded.stop()
