"""Requests by the standard library: answers of every form, connections that break, and what is left to others."""

import contextlib
import socket
import threading

import pytest

from prefect._generated import operations as ops
from prefect.client.errors import ApiUnreachable, MalformedAnswerError
from prefect.client.plain_http import is_plain
from prefect.client.session import Session
from prefect.exceptions import ClientError

BODY = b'{"data": {"hello": "hi"}}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


class Peer:
    """Answers each request with the next of some bytes, and closes the connection after those that say so."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []
        self.connections = 0
        self.closed = threading.Semaphore(0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/graphql?x=1"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                with connection:
                    self._answer(connection)
                self.closed.release()

    def _answer(self, connection):
        while data := connection.recv(65536):
            self.requests.append(data)
            answer, ends = self.answers.pop(0)
            for part in answer if isinstance(answer, list) else [answer]:
                connection.sendall(part)
            if ends:
                return

    def close(self):
        self._listener.close()


@pytest.fixture
def peer():
    made = []

    def make(*answers):
        made.append(Peer(*answers))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_what_is_sent(peer):
    it = peer((WHOLE, True))
    with Session(it.url, api_key="k", headers={"X-Own": "1"}, retry_for=0) as session:
        assert session.execute(ops.hello()) == "hi"
    head, _, body = it.requests[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /graphql?x=1 HTTP/1.1"
    assert lines[1] == b"Host: " + it.url.split("/")[2].encode()
    assert {b"Authorization: Bearer k", b"X-Own: 1", b"Content-Length: %d" % len(body)} <= set(lines)


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
        HEAD + b"\r\n" + BODY,
        HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY),
        [WHOLE[:20], WHOLE[20:90], WHOLE[90:]],
        b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE,
        b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    ],
)
def test_answers_of_every_form(peer, answer):
    it = peer((answer, True), (WHOLE, True))
    with Session(it.url, retry_for=0) as session:
        assert session.execute(ops.hello()) == "hi"
        it.closed.acquire(timeout=10)
        # the connection that has ended is not used again
        assert session.execute(ops.hello(), retry=False) == "hi"
    assert it.connections == 2


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (b"", ApiUnreachable, "disconnected without sending a response"),
        (WHOLE[:-5], ApiUnreachable, "in the middle of its answer"),
        (b"SSH-2.0-OpenSSH\r\n", ApiUnreachable, "rules of HTTP"),
        (HEAD + b"Content-Length: 4\r\n\r\nnull", MalformedAnswerError, "does not speak GraphQL"),
        (b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n", MalformedAnswerError, "/login"),
    ],
)
def test_answers_that_are_none(peer, answer, kind, text):
    it = peer((answer, True))
    with Session(it.url, retry_for=0) as session, pytest.raises(kind, match=text):
        session.execute(ops.hello())


@pytest.mark.parametrize("value", ["the-key\r\nX-Other: b", "the-key\n", "the-k\N{LATIN SMALL LETTER E WITH ACUTE}y"])
def test_a_header_that_http_cannot_carry(peer, value):
    it = peer()
    for arguments, name in (
        ({"api_key": value}, "'Authorization'.*cloud.api_key"),
        ({"headers": {"X-Own": value}}, "X-Own"),
    ):
        with (
            Session(it.url, **arguments, retry_for=0) as session,
            pytest.raises(ClientError, match=f"cannot be sent: .*{name}") as caught,
        ):
            session.execute(ops.hello())
        assert "the-k" not in str(caught.value)
    assert it.requests == []


def test_a_request_that_is_refused_before_all_of_it_has_come(peer):
    it = peer()
    refused = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

    def answer(connection):
        it.requests.append(connection.recv(1))
        connection.sendall(refused)
        # with bytes that nobody has read, the end of the connection is a reset

    it._answer = answer
    with Session(it.url, retry_for=0) as session, pytest.raises(ClientError, match="larger than the API"):
        session.execute(ops.write_run_logs(logs=[{"message": "x" * 50_000_000}]))
    assert it.connections == 1


@pytest.mark.parametrize(
    ("url", "environment", "expected"),
    [
        ("http://localhost:4200", {}, True),
        ("http://[::1]:4200/graphql", {"no_proxy": "x", "https_proxy": "http://p"}, True),
        ("https://localhost:4200", {}, False),
        ("http://me:secret@localhost:4200", {}, False),
        ("http://h\N{LATIN SMALL LETTER O WITH DIAERESIS}st", {}, False),
        ("http://localhost:4200", {"HTTP_PROXY": "http://p"}, False),
        ("http://localhost:4200", {"all_proxy": "http://p"}, False),
        ("http://localhost:4200", {"http_proxy": ""}, True),
    ],
)
def test_what_is_left_to_gql(monkeypatch, url, environment, expected):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_plain(url) is expected
