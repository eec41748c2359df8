"""Servers on sockets that keep what programs send to people: webhooks and mail."""

import base64
import http.server
import json
import socketserver
import threading
from email import message_from_bytes, policy
from functools import partial


class _Receiver:
    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.port = self.server.server_address[1]
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)


class Webhook(_Receiver):
    """Answers every POST with `status` and keeps path, headers and JSON in `received`."""

    def __init__(self):
        received = self.received = []
        self.status = 200
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.append((self.path, dict(self.headers), json.loads(body)))
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/hook"


class MailServer(_Receiver):
    """Takes mail; keeps logins in `logins`, and who gets which message in `received`."""

    def __init__(self):
        received, logins = self.received, self.logins = [], []

        class Handler(socketserver.StreamRequestHandler):
            def say(self, text):
                self.wfile.write(f"{text}\r\n".encode())

            def handle(self):
                self.say("220 ready")
                people = []
                for raw in self.rfile:
                    line = raw.decode().rstrip()
                    verb = line.split(" ", 1)[0].upper()
                    if verb == "EHLO":
                        self.say("250-here")
                        self.say("250 AUTH PLAIN")
                    elif verb == "AUTH":
                        logins.append(tuple(base64.b64decode(line.rsplit(" ", 1)[1]).decode().split("\0")[1:]))
                        self.say("235 fine")
                    elif verb == "RCPT":
                        people.append(line.partition("<")[2].partition(">")[0])
                        self.say("250 fine")
                    elif verb == "DATA":
                        self.say("354 go on")
                        lines = []
                        while (part := self.rfile.readline()) != b".\r\n":
                            lines.append(part)
                        received.append((people, message_from_bytes(b"".join(lines), policy=policy.default)))
                        self.say("250 fine")
                    elif verb == "QUIT":
                        self.say("221 bye")
                        return
                    else:
                        self.say("250 fine")

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True


class Files(_Receiver):
    """Serves the files of a directory."""

    def __init__(self, folder):
        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"
