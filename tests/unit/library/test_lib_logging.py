"""§18: loggers, and how lines of a run travel to the API."""

import logging
import os
import threading

import pytest

import prefect
from prefect.exceptions import VersionLockMismatchSignal
from prefect.utilities.configuration import set_temporary_config
from prefect.utilities.log_shipping import MAX_LOG_SIZE, LogManager
from prefect.utilities.logging import (
    LOG_MANAGER,
    CloudHandler,
    RedirectToLog,
    get_logger,
    prefect_logger,
    temporary_logger_config,
)


class Shelf:
    """Keeps what is uploaded; fails as often as it is told to."""

    def __init__(self, failures=0):
        self.batches = []
        self.attempts = []
        self.failures = failures
        self.changed = threading.Condition()

    def write_run_logs(self, logs, batch_id):
        with self.changed:
            self.changed.notify_all()
            self.attempts.append((batch_id, [line["message"] for line in logs]))
            if self.failures:
                self.failures -= 1
                raise OSError("no network")
            self.batches.append(list(logs))

    def lines(self):
        return [line["message"] for batch in self.batches for line in batch]

    def await_lines(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.lines()) >= count, timeout=20)


def line(message):
    return {"message": message, "level": "INFO"}


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def manager(shelf):
    manager = LogManager(shelf)
    yield manager
    manager.stop(timeout=1)


def test_lines_travel_promptly_and_in_order(manager, shelf):
    for number in range(100):
        manager.enqueue(line(str(number)))
    shelf.await_lines(100)
    assert shelf.lines() == [str(number) for number in range(100)]


def test_flush_does_not_wait_for_company(manager, shelf):
    with set_temporary_config({"cloud.logging_delay": 600}):
        manager.enqueue(line("a"))
        assert manager.flush(timeout=20)
    assert shelf.lines() == ["a"]


def test_batches_stay_below_the_limit(manager, shelf):
    with set_temporary_config({"cloud.logging_delay": 600}):
        for _ in range(7):
            manager.enqueue(line("x" * 999_000))
        assert manager.flush(timeout=20)
    assert max(sum(len(entry["message"]) for entry in batch) for batch in shelf.batches) <= 3_000_000
    assert len(shelf.lines()) == 7


def test_failed_uploads_are_kept_and_tried_again(recwarn):
    shelf = Shelf(failures=2)
    manager = LogManager(shelf)
    with set_temporary_config({"cloud.logging_heartbeat": 0.01}):
        manager.enqueue(line("a"))
        manager.enqueue(line("b"))
        shelf.await_lines(2)
    manager.stop()
    assert shelf.lines() == ["a", "b"]


@pytest.mark.filterwarnings("ignore:Failed to write logs")
def test_a_batch_is_sent_again_as_it_was():
    """So that the API knows it by its id if only the answer was lost."""
    shelf = Shelf(failures=2)
    manager = LogManager(shelf)
    with set_temporary_config({"cloud.logging_delay": 600, "cloud.logging_heartbeat": 600}):
        manager.enqueue(line("a"))
        for later in ("b", "c", "d"):
            manager.flush(timeout=20)
            manager.enqueue(line(later))
        assert manager.flush(timeout=20)
    manager.stop()
    (first, _), *others = shelf.attempts
    assert others[:2] == [(first, ["a"]), (first, ["a"])]
    assert shelf.lines() == ["a", "b", "c", "d"]
    assert first not in {batch_id for batch_id, _ in others[2:]}


def test_failures_warn():
    shelf = Shelf(failures=1)
    manager = LogManager(shelf)
    expected = r"^Failed to write logs with error: OSError\('no network'\), Pending log length"
    with set_temporary_config({"cloud.logging_delay": 600}):
        manager.enqueue(line("a"))
        with pytest.warns(UserWarning, match=expected):
            manager.stop()
    assert shelf.lines() == ["a"]


def test_stop_tries_three_times_and_gives_up_in_time():
    shelf = Shelf(failures=1000)
    manager = LogManager(shelf)
    with set_temporary_config({"cloud.logging_delay": 600}):
        manager.enqueue(line("a"))
        with pytest.warns(UserWarning, match=r"^Failed to write logs"):
            manager.stop(timeout=10)
    assert 1000 - shelf.failures >= 3
    assert shelf.lines() == []


def test_a_manager_starts_again_after_a_stop(manager, shelf):
    manager.enqueue(line("a"))
    manager.stop()
    manager.enqueue(line("b"))
    assert manager.flush(timeout=20)
    assert shelf.lines() == ["a", "b"]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # Python 3.12 and later: the child does very little
def test_a_forked_child_starts_with_nothing_and_ships_its_own(manager, shelf):
    with set_temporary_config({"cloud.logging_delay": 600}):
        manager.enqueue(line("parent's"))
        child = os.fork()
        if child == 0:
            manager.after_fork()
            manager._uploader = shelf
            shelf.changed = threading.Condition()
            manager.enqueue(line("child's"))
            flushed = manager.flush(timeout=20)
            os._exit(0 if flushed and shelf.lines() == ["child's"] else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert manager.flush(timeout=20)
    assert shelf.lines() == ["parent's"]


def test_refused_lines_are_dropped_at_once():
    class Closed(Shelf):
        def write_run_logs(self, logs, batch_id):
            self.batches.append(list(logs))
            raise VersionLockMismatchSignal("another process has the run")

    shelf = Closed()
    manager = LogManager(shelf)
    manager.enqueue(line("a"))
    assert manager.flush(timeout=20)
    manager.enqueue(line("b"))
    assert manager.flush(timeout=20)
    manager.stop()
    assert shelf.lines() == ["a"]


@pytest.fixture
def shipped(monkeypatch):
    lines = []
    monkeypatch.setattr(LOG_MANAGER, "enqueue", lambda line, destination: lines.append(line))
    return lines


def test_only_runs_under_a_backend_ship(shipped):
    get_logger("x").info("local")
    with prefect.context(running_with_backend=True, flow_run_id="f", task_run_id="t"):
        get_logger("x").info("a %s", "b")
        get_logger("x").debug("below the level")
        with set_temporary_config({"cloud.send_flow_run_logs": False}):
            get_logger("x").info("unwanted")
    [entry] = shipped
    assert {key: entry[key] for key in ("flow_run_id", "task_run_id", "name", "level", "message")} == {
        "flow_run_id": "f",
        "task_run_id": "t",
        "name": "prefect.x",
        "level": "INFO",
        "message": "a b",
    }
    assert entry["timestamp"].endswith("+00:00")


def test_tracebacks_travel_and_long_messages_are_cut(shipped):
    with prefect.context(running_with_backend=True):
        try:
            raise ValueError("inner")
        except ValueError:
            get_logger("x").exception("outer")
        with pytest.warns(UserWarning, match=r"exceeding the limit of 1000000\. The message will be truncated\.$"):
            get_logger("x").info("y" * (MAX_LOG_SIZE + 5))
    assert "ValueError: inner" in shipped[0]["message"]
    assert len(shipped[1]["message"]) <= MAX_LOG_SIZE


def test_records_know_the_run(caplog):
    with (
        prefect.context(flow_run_id="f", task_name="t", extra="e"),
        set_temporary_config({"logging.log_attributes": ["extra", "none"]}),
    ):
        get_logger("x").info("m")
    record = caplog.records[-1]
    assert (record.flow_run_id, record.task_name, record.extra, record.none) == ("f", "t", "e", None)


def test_redirect_to_log(caplog):
    stream = RedirectToLog(get_logger("out"))
    stream.write("text")
    stream.write("\n")
    stream.flush()
    with pytest.raises(TypeError):
        stream.write(1)
    assert [r.getMessage() for r in caplog.records] == ["text"]


def test_temporary_logger_config():
    before = prefect_logger.level
    with temporary_logger_config(level="ERROR", stream_fmt="%(message)s"):
        assert prefect_logger.level == logging.ERROR
    assert prefect_logger.level == before
    assert any(isinstance(handler, CloudHandler) for handler in prefect_logger.handlers)


def test_get_logger_names():
    assert get_logger() is prefect_logger
    assert get_logger("a").name == "prefect.a"
    assert os.getpid() > 0


def test_lines_that_the_api_never_takes_do_not_keep_others(manager, shelf, monkeypatch):
    class NeverError(Exception):
        code = "BAD_USER_INPUT"

    store = shelf.write_run_logs

    def write(logs, batch_id):
        if any(item["message"] == "bad" for item in logs):
            raise NeverError
        store(logs, batch_id)

    monkeypatch.setattr(shelf, "write_run_logs", write)
    for message in ("a", "bad", "b", "c"):
        manager.enqueue(line(message))
    with pytest.warns(UserWarning, match="The API refuses 1 log lines, which are dropped"):
        manager.flush(10)
    assert shelf.lines() == ["a", "b", "c"]
