"""A forwarder between 1.4.1 and the server, which keeps what was asked: so tests can say which operations they saw."""

import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Recorder(ThreadingHTTPServer):
    """Forwards every request as it is and keeps the texts of the GraphQL documents, without white space."""

    daemon_threads = True
    # a fleet opens many connections at once
    request_queue_size = 256

    def __init__(self, port):
        self.upstream_port = port
        self.documents = []
        super().__init__(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, client_address):
        """A process that was ended in the middle of a request is no news."""

    def close(self):
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # answers consist of two writes, the second of which must not wait for an acknowledgement of the first
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        self._upstream = http.client.HTTPConnection("127.0.0.1", self.server.upstream_port, timeout=60)

    def finish(self):
        self._upstream.close()
        super().finish()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in {"host", "connection"}}
        self._upstream.request("POST", self.path, body, headers)
        answer = self._upstream.getresponse()
        text = answer.read()
        self.server.documents.append("".join(json.loads(body)["query"].split()))
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"connection", "transfer-encoding", "content-length", "date", "server"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        """Nobody reads it."""
