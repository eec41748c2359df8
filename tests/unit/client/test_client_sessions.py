"""Sessions against a real server on a socket: what is sent, what comes back, and what happens when things go wrong."""

import asyncio
import json
import logging
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from prefect._generated import operations as ops
from prefect.client import plain_http
from prefect.client.errors import (
    ApiError,
    ApiUnreachable,
    MalformedAnswerError,
    SubscriptionLost,
    SubscriptionsUnavailable,
)
from prefect.client.session import AsyncSession, Session
from prefect.exceptions import AuthorizationError, ClientError, ObjectNotFoundError, VersionLockMismatchSignal

CREATED = {"data": {"create_flow_run": {"id": "a"}}}


def failed(message, code=None):
    error = {"message": message, "path": ["x"]}
    if code:
        error["extensions"] = {"code": code}
    return {"data": None, "errors": [error]}


@pytest.fixture(params=["plain", "gql"])
def session(api, request, monkeypatch):
    """Return a session over either transport; which one it is must not be seen."""
    if request.param == "gql":
        monkeypatch.setattr(plain_http, "is_plain", lambda _url: False)
    with Session(api.url, retry_for=20) as open_session:
        yield open_session


@pytest.fixture
def dead_url(unused_tcp_port_url):
    return unused_tcp_port_url


def test_sends_text_name_and_variables_as_object(api, session):
    api.answers = [CREATED]
    assert session.execute(ops.create_flow_run(flow_id="f", parameters={"x": [1]}, labels=None)).id == "a"
    headers, body = api.requests[0]
    assert body["operationName"] == "create_flow_run"
    assert body["variables"] == {"input": {"flow_id": "f", "parameters": {"x": [1]}, "labels": None}}
    assert body["query"].startswith("mutation create_flow_run($input: create_flow_run_input!)")
    assert headers["x-prefect-core-version"] == "1.5.0"
    assert "authorization" not in headers
    assert "x-prefect-tenant-id" not in headers


def test_credentials_and_own_headers(api):
    api.answers = [CREATED]
    with Session(api.url, api_key="secret", tenant_id="t", headers={"X-One": "1"}) as session:
        session.execute_text("{ hello }")
        session.attach_headers({"X-Two": "2"})
        session.execute_text("{ hello }", headers={"X-Three": "3"})
    first, second = (headers for headers, _ in api.requests)
    assert (first["authorization"], first["x-prefect-tenant-id"], first["x-one"]) == ("Bearer secret", "t", "1")
    assert "x-two" not in first
    assert (second["x-one"], second["x-two"], second["x-three"]) == ("1", "2", "3")


def test_moments_are_sent_as_iso_text(api, session):
    api.answers = [{"data": {"write_run_logs": {"success": True, "error": None}}}]
    east = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))
    naive = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 - what a user may pass
    session.execute(ops.write_run_logs(logs=[{"flow_run_id": "f", "timestamp": at} for at in (east, naive)]))
    sent = [line["timestamp"] for line in api.requests[0][1]["variables"]["input"]["logs"]]
    assert sent == ["2026-01-02T03:04:05+02:00", "2026-01-02T03:04:05+00:00"]


def test_answers_are_parsed(api, session):
    api.answers = [
        {
            "data": {
                "claim_flow_runs": {
                    "next_start_time": None,
                    "now": "2026-01-01T00:00:00Z",
                    "flow_runs": [
                        {
                            "id": "r", "name": "n", "version": 2, "claim_token": "t", "restart": False,
                            "lease_expires": "2026-01-01T00:00:00.5+00:00", "start_time": "2026-01-01T00:00:00Z",
                            "parameters": {"x": 1}, "run_config": None, "flow_id": "f", "flow_name": "hello",
                            "storage": {"type": "Local"}, "core_version": "1.5.0",
                        }
                    ],
                }
            }
        }
    ]  # fmt: skip
    [run] = session.execute(ops.claim_flow_runs(agent_id="a", labels=["x"], limit=3)).flow_runs
    assert run.lease_expires == datetime(2026, 1, 1, 0, 0, 0, 500_000, UTC)
    assert run.parameters == {"x": 1}
    assert run.restart is False


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (failed("Unknown flow."), ApiError, "Unknown flow."),
        (failed("no", "UNAUTHENTICATED"), AuthorizationError, "no"),
        (failed("Malformed Authorization header"), AuthorizationError, "Malformed"),
        (failed("gone", "NOT_FOUND"), ObjectNotFoundError, "gone"),
        (failed("stale", "VERSION_LOCKING_ERROR"), VersionLockMismatchSignal, "stale"),
        ({"data": None, "errors": []}, ApiError, "empty list of errors"),
        (PlainTextResponse("<html>"), MalformedAnswerError, "Malformed response received from API."),
        (JSONResponse({"detail": 1}), MalformedAnswerError, "does not speak GraphQL"),
        (PlainTextResponse("no", 404), MalformedAnswerError, "HTTP status 404"),
        (PlainTextResponse("no", 401), AuthorizationError, "HTTP status 401"),
        (PlainTextResponse("no", 413), ClientError, "larger than"),
        (Response(status_code=301, headers={"location": "https://x/"}), MalformedAnswerError, "https://x/"),
        (JSONResponse(failed("Syntax", "GRAPHQL_PARSE_FAILED"), 400), ApiError, "Syntax"),
        ({"data": {"create_flow_run": None}}, MalformedAnswerError, "null for create_flow_run"),
        ({"data": {"create_flow_run": {}}}, MalformedAnswerError, "KeyError"),
        ({"data": None}, MalformedAnswerError, "create_flow_run"),
    ],
)
def test_what_is_raised_without_another_attempt(api, session, answer, kind, text):
    api.answers = [answer]
    with pytest.raises(kind, match=text):
        session.execute(ops.create_flow_run(flow_id="f"))
    assert len(api.requests) == 1


def test_api_errors_keep_their_data(api, session):
    api.answers = [failed("Uniqueness violation.", "X")]
    with pytest.raises(ApiError) as caught:
        session.execute(ops.create_project(name="p"))
    assert caught.value.code == "X"
    assert caught.value.errors[0]["path"] == ["x"]
    assert str(caught.value) == "Uniqueness violation."


@pytest.mark.parametrize(
    "trouble", [PlainTextResponse("", 500), PlainTextResponse("", 503), failed("try again", "API_ERROR")]
)
def test_tries_again_until_it_works(api, session, trouble):
    api.answers = [trouble, trouble, CREATED]
    assert session.execute(ops.create_flow_run(flow_id="f")).id == "a"
    assert len(api.requests) == 3


def test_sends_once_without_retry(api, session):
    api.answers = [failed("try again", "API_ERROR"), CREATED]
    with pytest.raises(ApiError, match="try again"):
        session.execute(ops.create_flow_run(flow_id="f"), retry=False)
    assert len(api.requests) == 1


def test_gives_up_with_the_last_reason(api, session):
    api.answers = [JSONResponse(failed("The database is away."), 503)]
    with pytest.raises(ApiUnreachable, match="HTTP status 503: The database is away"):
        session.execute(ops.hello(), retry_for=0.3)
    assert len(api.requests) > 1


def test_rate_limits_wait_as_long_as_the_api_says(api, session, caplog):
    api.answers = [PlainTextResponse("", 429, headers={"Retry-After": "0.01"}), {"data": {"hello": "hi"}}]
    with caplog.at_level(logging.WARNING, "prefect.client"):
        assert session.execute(ops.hello()) == "hi"
    assert "Rate limit encountered (attempt 1)" in caplog.text


def test_rate_limits_do_not_outlast_a_strict_limit(api):
    api.answers = [PlainTextResponse("", 429)]
    with Session(api.url, retry_for=1) as session, pytest.raises(ClientError, match="limits the rate"):
        session.execute(ops.hello())
    assert len(api.requests) == 1


def test_unreachable_api_is_one_sentence_with_url_and_setting(dead_url, monkeypatch):
    with Session(dead_url, retry_for=0) as session, pytest.raises(ApiUnreachable) as caught:
        session.execute(ops.hello())
    assert dead_url in str(caught.value)
    assert "connection refused" in str(caught.value)
    assert "prefect server start" in str(caught.value)
    monkeypatch.setenv("PREFECT__CLOUD__API", dead_url)
    from prefect.utilities.configuration import set_temporary_config

    with set_temporary_config({"cloud.api": dead_url}), pytest.raises(ApiUnreachable, match="PREFECT__CLOUD__API"):
        Session(retry_for=0).execute(ops.hello())


def test_a_server_that_comes_up_late_is_waited_for(dead_url):
    host, _, port = dead_url.removeprefix("http://").partition(":")
    refused_once = threading.Event()
    results = []

    def call():
        with Session(dead_url, retry_for=20) as session:
            results.append(session.execute(ops.hello()))

    thread = threading.Thread(target=call)
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((host, int(port)))
        thread.start()
        refused_once.wait(0.3)
        server.listen()
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            body = json.dumps({"data": {"hello": "late"}}).encode()
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
            thread.join(10)
    assert results == ["late"]


def test_a_silent_server_times_out():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        started = time.monotonic()
        with Session(url, timeout=0.2, retry_for=0) as session, pytest.raises(ApiUnreachable, match=r"within 0\.2 s"):
            session.execute(ops.hello())
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("url", ["localhost:4200", "ftp://x", "http://", "http://h:99999", ""])
def test_bad_urls_are_refused_at_once(url):
    from prefect.utilities.configuration import set_temporary_config

    with (
        set_temporary_config({"cloud.api": url or "nonsense"}),
        pytest.raises(ClientError, match="no http:// or https://"),
    ):
        Session(url)


def test_what_has_no_json_form_is_named(session, api):
    api.answers = [CREATED]
    with pytest.raises(TypeError, match="type object"):
        session.execute(ops.create_flow_run(flow_id="f", parameters={"x": object()}))
    assert api.requests == []


def test_integers_beyond_64_bits_travel(session, api):
    api.answers = [CREATED]
    session.execute(ops.create_flow_run(flow_id="f", parameters={"x": 2**70}))
    assert api.requests[0][1]["variables"]["input"]["parameters"]["x"] == 2**70


def test_connections_are_reused(api, session):
    api.answers = [{"data": {"hello": "hi"}}]
    for _ in range(5):
        session.execute(ops.hello())
    assert len(api.connections) == 1


def test_threads_share_a_session(api, session):
    api.answers = [lambda body: {"data": {"create_flow_run": {"id": body["variables"]["input"]["flow_id"]}}}]
    with ThreadPoolExecutor(8) as pool:
        numbers = [str(number) for number in range(100)]
        found = pool.map(lambda number: session.execute(ops.create_flow_run(flow_id=number)).id, numbers)
        assert list(found) == numbers


def _in_child(session, answers):
    try:
        answers.put(session.execute(ops.hello()))
    finally:
        answers.close()
        answers.join_thread()
        os._exit(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_goes_on_with_the_session(api, session):
    api.answers = [{"data": {"hello": "hi"}}]
    assert session.execute(ops.hello()) == "hi"
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_in_child, args=(session, answers))
    child.start()
    assert answers.get(timeout=20) == "hi"
    child.join(20)
    assert session.execute(ops.hello()) == "hi"
    assert len(api.connections) == 2


def test_exit_is_quiet_and_late_handlers_can_still_send(api):
    api.answers = [{"data": {"hello": "hi"}}]
    url = api.url.replace("127.0.0.1", "localhost")
    program = (
        "import atexit\n"
        "atexit.register(lambda: print(session.execute(ops.hello())))\n"
        "from prefect.client.session import Session\n"
        "from prefect._generated import operations as ops\n"
        f"session = Session({url!r}, retry_for=5)\n"
        "print(session.execute(ops.hello()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "hi\nhi\n"
    noise = [line for line in done.stderr.splitlines() if "Warning" in line or "Error" in line]
    assert noise == []


def test_exit_in_the_middle_of_a_stream_is_quiet(api):
    api.streams = [[{"data": {"runs_ready": HINT}}, "hold"]]
    program = (
        "import threading\n"
        "from prefect.client.session import Session\n"
        "from prefect._generated import operations as ops\n"
        f"session = Session({api.url!r})\n"
        "first = threading.Event()\n"
        "def read():\n"
        "    for hint in session.subscribe(ops.runs_ready()):\n"
        "        first.set()\n"
        "threading.Thread(target=read, daemon=True).start()\n"
        "print(first.wait(20))\n"
    )
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "True\n"
    assert "Task was destroyed" not in done.stderr
    assert "ResourceWarning" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals are sent to a process")
def test_ctrl_c_ends_a_request_at_once():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        program = (
            "from prefect.client.session import Session\n"
            "from prefect._generated import operations as ops\n"
            "try:\n"
            f"    Session('http://127.0.0.1:{server.getsockname()[1]}').execute(ops.hello())\n"
            "except KeyboardInterrupt:\n"
            "    print('interrupted')\n"
        )
        child = subprocess.Popen(
            [sys.executable, "-X", "dev", "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=20)
    assert out == "interrupted\n"
    assert "never retrieved" not in err
    assert "Task was destroyed" not in err


def test_importing_sessions_loads_no_graphql_library():
    program = (
        "import sys, prefect.client.session, prefect.client.client, prefect._generated.operations\n"
        "print(sorted({'gql', 'graphql', 'httpx', 'websockets', 'asyncpg', 'strawberry'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


HINT = {"waiting": 1, "next_start_time": None, "cancelling": []}


async def test_subscription_yields_until_it_completes(api):
    api.streams = [[{"data": {"runs_ready": HINT}}, {"data": {"runs_ready": {**HINT, "waiting": 2}}}]]
    async with AsyncSession(api.url, api_key="k", headers={"X-One": "1"}) as session:
        found = [hint.waiting async for hint in session.subscribe(ops.runs_ready(labels=["a"]))]
    assert found == [1, 2]
    headers, payload = api.subscriptions[0]
    assert payload["variables"] == {"labels": ["a"]}
    assert (headers["authorization"], headers["x-one"]) == ("Bearer k", "1")


@pytest.mark.parametrize(
    ("stream", "kind"),
    [
        (["x", 1011], None),
        ([1012], SubscriptionLost),
        ([4403], AuthorizationError),
        ([[{"message": "gone", "extensions": {"code": "NOT_FOUND"}}]], ObjectNotFoundError),
        ([{"data": None, "errors": [{"message": "broken"}]}], ApiError),
        ("refuse", SubscriptionsUnavailable),
    ],
)
async def test_subscription_failures(api, stream, kind):
    if kind is None:
        stream, kind = [{"data": {"runs_ready": HINT}}, 1011], SubscriptionLost
    api.streams = [stream]
    async with AsyncSession(api.url) as session:
        with pytest.raises(kind):
            async for _ in session.subscribe(ops.runs_ready()):
                pass


async def test_subscription_to_nobody(dead_url):
    async with AsyncSession(dead_url) as session:
        with pytest.raises(ApiUnreachable, match="connection refused"):
            async for _ in session.subscribe(ops.runs_ready()):
                pass


async def test_a_slow_reader_slows_the_api_down(api):
    wide = {"data": {"runs_ready": HINT}, "extensions": {"padding": os.urandom(2**19).hex()}}
    api.streams = [[wide] * 50]
    async with AsyncSession(api.url) as session:
        hints = session.subscribe(ops.runs_ready())
        await anext(hints)
        assert not await asyncio.to_thread(api.all_sent.wait, 0.5)
        assert len([hint async for hint in hints]) == 49
        assert await asyncio.to_thread(api.all_sent.wait, 10)


def test_synchronous_subscription_can_be_left_early(api):
    api.streams = [[{"data": {"runs_ready": HINT}}] * 50]
    with Session(api.url) as session:
        hints = session.subscribe(ops.runs_ready())
        assert next(hints).waiting == 1
        hints.close()
        api.answers = [{"data": {"hello": "hi"}}]
        assert session.execute(ops.hello()) == "hi"
