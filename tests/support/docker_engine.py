"""A Docker engine as its HTTP API has it, over a real socket: it remembers what it was told, and runs nothing."""

import json
import re
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Container:
    def __init__(self, ident, name, body):
        self.id, self.name, self.body = ident, name, body
        self.status, self.code = "created", 0
        self.output = b""
        self.ended = threading.Event()


class DockerEngine:
    """Answers the Docker SDK. `die` ends a container; `refuse[(method, path pattern)]` is (status, message)."""

    def __init__(self):
        self.requests, self.containers, self.volumes = [], {}, ["there-already"]
        self.refuse, self.pull_error = {}, None
        self.version = "27.3.1"
        self.dies_of_stop = 143
        self._events, self._changed = [], threading.Condition()
        self._closed = False
        engine = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                engine._handle(self, "GET")

            def do_POST(self):
                engine._handle(self, "POST")

            def do_DELETE(self):
                engine._handle(self, "DELETE")

            def do_HEAD(self):
                engine._handle(self, "HEAD")

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"tcp://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self):
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for container in self.containers.values():
            container.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def sent(self, pattern):
        return [(method, path, body) for method, path, body in self.requests if re.search(pattern, path)]

    def die(self, ident, code, output=b""):
        container = self.containers[ident]
        container.status, container.code, container.output = "exited", code, output
        container.ended.set()
        with self._changed:
            self._events.append(
                {"id": ident, "time": 1, "status": "die", "Actor": {"ID": ident, "Attributes": {"exitCode": str(code)}}}
            )
            self._changed.notify_all()

    def _handle(self, handler, method):
        length = int(handler.headers.get("Content-Length") or 0)
        body = json.loads(handler.rfile.read(length) or "null") if length else None
        parts = urlsplit(handler.path)
        path = re.sub(r"^/v[\d.]+", "", parts.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.requests.append((method, path + (f"?{parts.query}" if parts.query else ""), body))
        for (refused, pattern), (status, message) in self.refuse.items():
            if refused == method and re.fullmatch(pattern, path):
                return self._answer(handler, status, {"message": message})
        return self._route(handler, method, path, query, body)

    def _route(self, handler, method, path, query, body):  # noqa: PLR0911 - one answer per address
        if path == "/_ping":
            return self._answer(handler, 200, "OK")
        if path == "/version":
            return self._answer(handler, 200, {"Version": self.version, "ApiVersion": "1.47", "MinAPIVersion": "1.24"})
        if path == "/images/create":
            lines = [{"status": "Pulling"}, {"error": self.pull_error} if self.pull_error else {"status": "Done"}]
            return self._stream(handler, (json.dumps(line).encode() + b"\n" for line in lines))
        if path == "/volumes":
            return self._answer(handler, 200, {"Volumes": [{"Name": name} for name in self.volumes]})
        if path == "/volumes/create":
            self.volumes.append(body["Name"])
            return self._answer(handler, 201, {"Name": body["Name"]})
        if path == "/events":
            return self._stream(handler, self._event_lines())
        if path == "/containers/create":
            if query["name"] in {container.name for container in self.containers.values()}:
                return self._answer(handler, 409, {"message": "Conflict. The container name is in use"})
            ident = f"{len(self.containers):064x}"
            self.containers[ident] = Container(ident, query["name"], body)
            return self._answer(handler, 201, {"Id": ident, "Warnings": []})
        if found := re.fullmatch(r"/containers/(\w+)/(\w+)", path):
            return self._container(handler, self.containers[found[1]], found[2])
        return self._answer(handler, 204, None)

    def _container(self, handler, container, what):
        if what == "start":
            container.status = "running"
        elif what == "json":
            state = {"Status": container.status, "ExitCode": container.code}
            return self._answer(handler, 200, {"Id": container.id, "State": state, "Config": {"Tty": False}})
        elif what == "logs":
            return self._stream(handler, self._output(container))
        elif what == "stop":
            self.die(container.id, self.dies_of_stop)
        return self._answer(handler, 204, None)

    def _output(self, container):
        container.ended.wait()
        yield struct.pack(">BxxxL", 1, len(container.output)) + container.output

    def _event_lines(self):
        seen = 0
        while True:
            with self._changed:
                while not self._closed and len(self._events) == seen:
                    self._changed.wait()
                if self._closed:
                    return
                events, seen = self._events[seen:], len(self._events)
            for event in events:
                yield json.dumps(event).encode() + b"\n"

    @staticmethod
    def _answer(handler, status, body):
        text = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json" if isinstance(body, dict) else "text/plain")
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(text)

    @staticmethod
    def _stream(handler, chunks):
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.flush()
        try:
            for chunk in chunks:
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                handler.wfile.flush()
            handler.wfile.write(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
