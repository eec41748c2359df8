"""A real HTTP server on a socket of this machine, whose answers a test gives as a function."""

import contextlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Request:
    method: str
    raw_path: str
    path: str
    query: dict
    headers: dict
    body: bytes


@dataclass
class Stub:
    """`url` of the server, and the requests that arrived."""

    url: str = ""
    requests: list = field(default_factory=list)

    @property
    def paths(self):
        return [f"{request.method} {request.path}" for request in self.requests]


@contextlib.contextmanager
def http_stub(answer):
    """Serve; `answer(request)` returns `(status, headers, body)`; a list of bytes is sent in chunks."""
    stub = Stub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self):
            parts = urlsplit(self.path)
            request = Request(
                self.command,
                self.path,
                unquote(parts.path),
                {name: values[0] for name, values in parse_qs(parts.query).items()},
                {name.lower(): value for name, value in self.headers.items()},
                self._body(),
            )
            stub.requests.append(request)
            status, headers, body = answer(request)
            self.send_response(status)
            chunked = isinstance(body, list)
            length = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(len(body))}
            for name, value in {**headers, **length}.items():
                self.send_header(name, value)
            self.end_headers()
            for part in [*body, b""] if chunked else ():
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            if not chunked:
                self.wfile.write(body)

        def _body(self):
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        stub.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield stub
        finally:
            server.shutdown()
            thread.join()
