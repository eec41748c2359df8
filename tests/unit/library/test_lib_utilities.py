"""§18.4, §29: debugging helpers, files by URL, delays, qualified names, the choice of a backend."""

import threading
from datetime import timedelta

import pytest
from receivers import Files

import prefect
from prefect import Flow, task
from prefect.engine import signals
from prefect.exceptions import TaskTimeoutSignal
from prefect.utilities import backend
from prefect.utilities.datetimes import retry_delay
from prefect.utilities.debug import is_serializable, raise_on_exception
from prefect.utilities.filesystems import ParsedPath, parse_path, read_bytes_from_path
from prefect.utilities.importtools import import_object
from prefect.utilities.serialization import from_qualified_name, to_qualified_name


def flow_of(function, **options):
    with Flow("debugged") as flow:
        task(function, **options)()
    return flow


def broken():
    raise LookupError("broken")


def refuse(*_):
    raise LookupError("broken")


@pytest.mark.parametrize("options", [{}, {"trigger": refuse}, {"state_handlers": [refuse]}])
def test_exceptions_come_out_on_demand(options):
    flow = flow_of(broken, **options)
    assert flow.run().is_failed()
    with raise_on_exception(), pytest.raises(LookupError, match="broken"):
        flow.run()
    assert "raise_on_exception" not in prefect.context


def test_signals_stay_inside_and_timeouts_come_out():
    def skip():
        raise signals.SKIP("no")

    with raise_on_exception():
        assert flow_of(skip).run().is_successful()
    waiting = flow_of(threading.Event().wait, name="waiting", timeout=1)
    with raise_on_exception(), pytest.raises(TaskTimeoutSignal):
        waiting.run()


def test_what_travels_to_other_processes():
    assert is_serializable(lambda: timedelta(1))
    assert not is_serializable(threading.Lock())
    with pytest.raises(TypeError, match="lock"):
        is_serializable(threading.Lock(), raise_on_error=True)


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("a/b.txt", ("file", "", "a/b.txt")),
        ("/a/b.txt", ("file", "", "/a/b.txt")),
        ("file:///a/b%20c.txt", ("file", "", "/a/b c.txt")),
        ("C:\\a\\b.txt", ("file", "", "C:\\a\\b.txt")),
        ("s3://bucket/a/b", ("s3", "bucket", "/a/b")),
        ("https://host/a", ("https", "host", "/a")),
    ],
)
def test_parts_of_paths(path, parts):
    assert parse_path(path) == ParsedPath(*parts)


def test_files_by_path_and_url(tmp_path):
    (tmp_path / "a b").write_bytes(b"here")
    assert read_bytes_from_path(str(tmp_path / "a b")) == read_bytes_from_path((tmp_path / "a b").as_uri()) == b"here"
    with Files(tmp_path) as server:
        assert read_bytes_from_path(f"{server.url}/a%20b") == b"here"
        with pytest.raises(OSError, match="cannot be read: it answers with HTTP status 404"):
            read_bytes_from_path(f"{server.url}/nothing")
    with pytest.raises(OSError, match="cannot be read"):
        read_bytes_from_path(f"{server.url}/a%20b")
    with pytest.raises(ValueError, match=r"its scheme is 'ftp', not file"):
        read_bytes_from_path("ftp://host/x")


def test_delays_between_retries():
    assert [retry_delay(seconds=10)(number) for number in (1, 2, 3)] == [timedelta(seconds=10)] * 3
    growing = retry_delay(timedelta(minutes=30), exponential_backoff=True)
    assert [growing(number) for number in (1, 2, 3, 4, 5)] == [timedelta(minutes=m) for m in (30, 30, 60, 120, 120)]
    with pytest.raises(ValueError, match=r"^Provide an interval or interval keywords, but not both\.$"):
        retry_delay(timedelta(1), days=1)
    with pytest.raises(ValueError, match=r"^Provide either an interval or interval keywords\.$"):
        retry_delay()


def test_names_of_objects():
    assert to_qualified_name(Flow) == "prefect.core.flow.Flow"
    assert from_qualified_name("prefect.core.flow.Flow") is Flow
    with pytest.raises(ValueError, match=r'^Couldn\'t load "nothing\.X"; maybe it hasn\'t been imported yet\?$'):
        from_qualified_name("nothing.X")
    assert import_object("prefect.core.flow.Flow") is import_object("prefect.core.flow:Flow") is Flow


def test_the_choice_of_a_backend(tmp_path, monkeypatch):
    monkeypatch.setattr(backend, "BACKEND_CONFIG", str(tmp_path / "new" / "backend.toml"))
    assert backend.load_backend() == {}
    backend.save_backend("cloud")
    assert backend.load_backend() == {"backend": "cloud"}
    with pytest.raises(ValueError, match="nothing is not a valid backend API; choose one of server, cloud"):
        backend.save_backend("nothing")
