"""What waits on disk for an API that is away: files that survive their process, and what the log makes of them."""

import json
import os
import stat
import subprocess
import sys
import threading

import pytest

from prefect.client.errors import ApiUnreachable
from prefect.client.retries import Attempts, Patience, RetryPolicy, TransientError, is_outage
from prefect.utilities import log_shipping
from prefect.utilities.configuration import set_temporary_config
from prefect.utilities.log_shipping import Destination, LogManager
from prefect.utilities.outbox import (
    Address,
    DirectoryLock,
    OutboxFile,
    UnreadableOutboxError,
    outbox_directory,
    set_aside,
    waiting_files,
)

API = "http://api.invalid:4200"
RUN = "11111111-1111-1111-1111-111111111111"
ADDRESS = Address(API, RUN, claim_token="a-token")
GONE = ApiUnreachable(API, "nobody answers", "a test")


@pytest.fixture
def home(tmp_path):
    with set_temporary_config(
        {"home_dir": str(tmp_path), "cloud.logging_heartbeat": 0.05, "cloud.logging_delay": 0.001}
    ):
        yield tmp_path


def sent(file):
    """Send everything that a file has."""
    found = []
    for record, end in file.records():
        found.append(record)
        file.mark_sent(end)
    return found


def test_records_are_found_again_by_whoever_comes_next(home):
    mine = OutboxFile.create(outbox_directory(), ADDRESS, "run")
    for number in range(3):
        mine.append({"number": number}, durable=True)
    (path,) = waiting_files(outbox_directory(), RUN)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert OutboxFile.adopt(path) is None, "somebody holds it"
    record, end = mine.peek()
    mine.mark_sent(end)
    mine.append({"number": 3})
    mine.close()
    other = OutboxFile.adopt(path)
    assert (other.address, other.pid, record) == (ADDRESS, os.getpid(), {"number": 0})
    assert sent(other) == [{"number": number} for number in (1, 2, 3)]
    assert other.is_empty
    other.discard()
    assert OutboxFile.adopt(path) is None, "it is gone"


def test_what_one_run_left_is_in_the_order_of_its_sending(home):
    for author in ("agent", "log", "run", "log"):
        OutboxFile.create(outbox_directory(), ADDRESS, author).close()
    OutboxFile.create(outbox_directory(), Address(API, "0-other"), "log").close()
    assert [path.name.split(".")[1].split("-")[1] for path in waiting_files(outbox_directory(), RUN)] == [
        *["log", "log", "run", "agent"]
    ]


def test_a_killed_process_leaves_its_file_to_others(home):
    program = f"""
import os, signal
from prefect.utilities.outbox import *
file = OutboxFile.create(outbox_directory(), Address({API!r}, {RUN!r}), "log")
file.append({{"is": "whole"}})
os.write(file._descriptor, b'{{"is": "to')
os.kill(os.getpid(), signal.SIGKILL)
"""
    env = os.environ | {"PREFECT__HOME_DIR": str(home)}
    assert subprocess.run([sys.executable, "-c", program], env=env, check=False).returncode == -9
    file = OutboxFile.adopt(waiting_files(outbox_directory())[0])
    file.append({"is": "new"})
    assert sent(file) == [{"is": "whole"}, {"is": "new"}]
    assert file.unreadable == 0


def test_damaged_files(home):
    file = OutboxFile.create(outbox_directory(), ADDRESS, "log")
    for number in range(3):
        file.append({"number": number})
    file.close()
    lines = file.path.read_bytes().splitlines(keepends=True)
    file.path.write_bytes(b"".join([*lines[:2], b"\0" * 20 + b"\n", b"[1]\n", lines[3]]))
    other = OutboxFile.adopt(file.path)
    assert sent(other) == [{"number": 0}, {"number": 2}]
    assert other.unreadable == 2
    other.close()
    for head in (b"", b"\0\n", b"{}\n", b'{"outbox": 2}\n', b"[]\n", b"no json"):
        file.path.write_bytes(head)
        with pytest.raises(UnreadableOutboxError):
            OutboxFile.adopt(file.path)
    kept = set_aside(file.path)
    assert kept.exists()
    assert waiting_files(outbox_directory()) == []


def test_a_file_has_a_limit_and_is_whole_when_it_is_reached(home):
    file = OutboxFile.create(outbox_directory(), ADDRESS, "log")
    with set_temporary_config({"cloud.outbox_megabytes": 0.001}):
        file.append({"text": "x" * 500})
        with pytest.raises(OSError, match="larger than 1,000 bytes"):
            file.append({"text": "x" * 600})
        file.append({"text": "y"})
    assert [len(record["text"]) for record in sent(file)] == [500, 1]


def test_one_process_at_a_time_sends_what_is_in_a_directory(home):
    with DirectoryLock(home) as first, DirectoryLock(home) as second:
        assert (first, second) == (True, False)
    with DirectoryLock(home) as third:
        assert third


# -- logs ------------------------------------------------------------------------------------------------------------


class Api:
    """Stores batches once each while it is there."""

    def __init__(self, is_there=False):
        self.is_there = is_there
        self.ids = set()
        self.stored = []
        self.asked = threading.Semaphore(0)

    def write_run_logs(self, logs, batch_id):
        self.asked.release()
        if not self.is_there:
            raise GONE
        if batch_id not in self.ids:
            self.ids.add(batch_id)
            self.stored += [line["message"] for line in logs]


def line(message):
    return {"message": message, "level": "INFO", "flow_run_id": RUN}


HERE = Destination(API, "the-key", None, "a-token")


def on_disk():
    """Return the messages that are on disk, and what else their files say."""
    found = []
    for path in waiting_files(outbox_directory(), RUN):
        for text in path.read_text().splitlines()[1:]:
            found += [one["message"] for one in json.loads(text).get("logs", [])]
        assert "the-key" not in path.read_text()
    return found


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr(log_shipping, "_LONG_SECONDS", 0.0)


def logged(manager, api, numbers):
    """Log lines, one after each attempt to send what is there."""
    for number in numbers:
        manager.enqueue(line(str(number)), HERE)
        assert api.asked.acquire(timeout=20)


@pytest.mark.filterwarnings("ignore:Failed to write logs")
def test_a_long_outage_goes_to_disk_and_comes_back_in_order(home, soon):
    api = Api()
    manager = LogManager(api)
    logged(manager, api, range(20))
    assert manager.is_cut_off
    assert on_disk()[:10] == [str(number) for number in range(10)]
    api.is_there = True
    manager.enqueue(line("20"), HERE)
    assert manager.flush(20)
    assert api.stored == [str(number) for number in range(21)]
    assert not manager.is_cut_off
    assert waiting_files(outbox_directory()) == []
    manager.stop(0.2)


@pytest.mark.filterwarnings("ignore:Failed to write logs")
def test_a_short_outage_does_not_touch_the_disk_until_the_process_ends(home):
    api = Api()
    manager = LogManager(api)
    logged(manager, api, range(3))
    assert not outbox_directory().exists()
    manager.stop(0.5)
    assert on_disk() == ["0", "1", "2"]
    # and nothing is left behind by a process that could send everything
    api.is_there = True
    manager.enqueue(line("3"), HERE)
    manager.stop(10)
    assert api.stored == ["3"]


@pytest.mark.filterwarnings("ignore:Failed to write logs")
def test_much_goes_to_disk_early(home, monkeypatch):
    monkeypatch.setattr(log_shipping, "_LOUD_SIZE", 2000)
    api = Api()
    manager = LogManager(api)
    logged(manager, api, range(1))
    messages = ["0", *(f"{number:0500}" for number in range(10))]
    for message in messages[1:]:
        manager.enqueue(line(message), HERE)
    assert on_disk()[:6] == messages[:6]
    api.is_there = True
    assert manager.flush(20)
    assert api.stored == messages
    manager.stop(0.2)


@pytest.mark.filterwarnings("ignore:Failed to write logs")
def test_a_home_that_cannot_be_written_is_said_once_and_memory_serves(home, soon):
    (home / "outbox").write_text("no directory")
    api = Api()
    manager = LogManager(api)
    with pytest.warns(UserWarning, match="cannot be kept on disk") as said:
        logged(manager, api, range(20))
    assert len([one for one in said if "on disk" in str(one.message)]) == 1
    api.is_there = True
    assert manager.flush(20)
    assert api.stored == [str(number) for number in range(20)]
    manager.stop(0.2)


@pytest.mark.filterwarnings("ignore:Failed to write logs", "ignore:Log lines that wait")
def test_what_nothing_has_room_for_is_marked_where_it_is_missing(home, monkeypatch):
    (home / "outbox").write_text("no directory")
    monkeypatch.setattr(log_shipping, "MAX_PENDING_SIZE", 3000)
    api = Api()
    manager = LogManager(api)
    logged(manager, api, range(1))
    for number in range(1, 30):
        manager.enqueue(line(str(number)), HERE)
    api.is_there = True
    manager.flush(20)
    manager.enqueue(line("later"), HERE)
    assert manager.flush(20)
    kept = [int(message) for message in api.stored if message.isdecimal()]
    assert kept == list(range(len(kept)))
    assert api.stored[len(kept)].startswith(f"{30 - len(kept)} log lines are missing here")
    assert api.stored[len(kept) + 1 :] == ["later"]
    manager.stop(0.2)


@pytest.mark.filterwarnings("ignore:Failed to write logs")
def test_what_is_on_disk_outlives_a_shortage_of_open_files(home, soon, monkeypatch):
    api = Api()
    manager = LogManager(api)
    logged(manager, api, range(5))
    short = threading.Event()

    def peek(self):
        short.set()
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(OutboxFile, "peek", peek)
        assert short.wait(20)
    api.is_there = True
    assert manager.flush(20)
    assert api.stored == ["0", "1", "2", "3", "4"]
    manager.stop(0.2)


@pytest.mark.filterwarnings("ignore:Failed to write logs")
def test_a_forked_child_leaves_its_parents_file_alone(home, soon):
    api = Api()
    manager = LogManager(api)
    logged(manager, api, range(4))
    child = os.fork()
    if child == 0:
        manager.after_fork()
        manager.stop(0.1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    (path,) = waiting_files(outbox_directory())
    assert OutboxFile.adopt(path) is None, "the parent holds it"
    api.is_there = True
    assert manager.flush(20)
    assert api.stored == ["0", "1", "2", "3"]
    manager.stop(0.2)


# -- patience --------------------------------------------------------------------------------------------------------


def test_patience_counts_from_the_beginning_of_the_outage_over_all_requests(monkeypatch, caplog):
    now = 1000.0
    monkeypatch.setattr("prefect.client.retries.time.monotonic", lambda: now)
    patience = Patience(lambda: 100.0)
    policy = RetryPolicy(retry_for=1.0)

    def attempt(error):
        return Attempts(policy, retry=True, patience=patience).pause_after(TransientError(error))

    assert attempt(GONE) <= 0.1
    now += 50
    assert attempt(GONE) <= 0.1
    assert not patience.is_over
    now += 60
    with pytest.raises(ApiUnreachable):
        attempt(GONE)
    assert patience.is_over
    patience.succeeded()
    assert not patience.is_over
    assert attempt(GONE) <= 0.1
    assert [record.levelname for record in caplog.records if record.name == "prefect.client"] == ["WARNING", "INFO"]


def test_a_defect_of_the_api_is_no_outage():
    from prefect.client.errors import ApiError

    away = {"message": "Unable to connect to postgres.", "extensions": {"code": "API_ERROR"}}
    defect = {"message": "An internal error.", "extensions": {"code": "API_ERROR", "id": "ab12"}}
    assert is_outage(ApiError([away]))
    assert not is_outage(ApiError([defect]))
    assert not is_outage(OSError())
