"""A Kubernetes cluster as its HTTP API has it, over a real socket: it keeps Jobs and pods as told, and runs nothing."""

import copy
import json
import re
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


def container(name="flow", **state):
    return {"name": name, "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}


class KubernetesCluster:
    """`refuse[(method, path pattern)]` is (status, message); `lost_answers` counts creations whose answer gets lost."""

    def __init__(self):
        self.requests, self.tokens = [], set()
        self.jobs, self.pods, self.logs, self.events = {}, {}, {}, []
        self.refuse, self.lost_answers, self.expired_watches = {}, 0, 0
        self.dies_with = 143
        self._version, self._events = 1, []
        self.changed = threading.Condition(threading.RLock())
        self.watches, self._generation, self._closed = 0, 0, False
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                cluster._handle(self, "GET")

            def do_POST(self):
                cluster._handle(self, "POST")

            def do_DELETE(self):
                cluster._handle(self, "DELETE")

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self):
        self.break_watches(for_good=True)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def break_watches(self, for_good=False):
        with self.changed:
            self._closed = self._closed or for_good
            self._generation += 1
            self.changed.notify_all()

    def wait_for(self, what, seconds=10):
        """Return when `what()` is true."""
        with self.changed:
            assert self.changed.wait_for(what, seconds)

    def sent(self, method, pattern):
        return [(path, body) for sent, path, body in self.requests if sent == method and re.search(pattern, path)]

    # -- what happens in the cluster --

    def finish(self, name, condition="Complete", message="", quietly=False, at=None):
        """End a Job; `quietly` shows that to listings only."""
        moment = (at or datetime.now(UTC)).isoformat(timespec="seconds").replace("+00:00", "Z")
        with self.changed:
            self.jobs[name]["status"] = {
                "conditions": [{"type": condition, "status": "True", "message": message, "lastTransitionTime": moment}]
            }
            if not quietly:
                self._note("jobs", "MODIFIED", self.jobs[name])

    def pod(self, job, name, phase, *statuses, **status):
        """Create a pod of a Job, or change it."""
        with self.changed:
            kind = "MODIFIED" if name in self.pods else "ADDED"
            labels = self.jobs[job]["spec"]["template"]["metadata"]["labels"]
            self.pods[name] = {
                "metadata": {"name": name, "labels": {**labels, "job-name": job}},
                "status": {"phase": phase, "containerStatuses": list(statuses), **status},
            }
            self._note("pods", kind, self.pods[name])

    def _note(self, what, kind, resource):
        self._version += 1
        resource["metadata"]["resourceVersion"] = str(self._version)
        self._events.append((self._version, what, kind, copy.deepcopy(resource)))
        self.changed.notify_all()

    def _remove_job(self, name):
        job = self.jobs[name]
        job["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        self._note("jobs", "MODIFIED", job)
        for pod in self._pods_of(name):
            if self.pods[pod]["status"]["phase"] in {"Failed", "Succeeded", "Pending"}:
                self._remove_pod(pod)
        self._collect(name)

    def _pods_of(self, job):
        return [name for name, pod in self.pods.items() if pod["metadata"]["labels"]["job-name"] == job]

    def _collect(self, job):
        if "deletionTimestamp" in self.jobs[job]["metadata"] and not self._pods_of(job):
            self._note("jobs", "DELETED", self.jobs.pop(job))

    def _remove_pod(self, name):
        job = self.pods[name]["metadata"]["labels"]["job-name"]
        if self.pods[name]["status"]["phase"] == "Running":
            self.pod(job, name, "Failed", container(terminated={"exitCode": self.dies_with}))
        self._note("pods", "DELETED", self.pods.pop(name))
        self._collect(job)

    # -- its API --

    def _handle(self, handler, method):
        length = int(handler.headers.get("Content-Length") or 0)
        body = json.loads(handler.rfile.read(length)) if length else None
        parts = urlsplit(handler.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        with self.changed:
            self.requests.append((method, handler.path, body))
            self.tokens.add(handler.headers.get("Authorization"))
            self.changed.notify_all()
            for (refused, pattern), (status, message) in self.refuse.items():
                if refused == method and re.fullmatch(pattern, parts.path):
                    return self._answer(handler, status, {"kind": "Status", "code": status, "message": message})
        if query.get("watch"):
            return self._watch(handler, parts.path.rpartition("/")[2], int(query["resourceVersion"]))
        with self.changed:
            return self._answer(handler, *self._route(method, parts.path, query, body), body)

    def _route(self, method, path, query, body):  # noqa: PLR0911 - one answer per address
        found = re.fullmatch(r"/(?:apis/batch|api)/v1/namespaces/([^/]+)/(jobs|pods|events)(?:/([^/]+))?(/log)?", path)
        assert found, path
        what, name = found[2], found[3]
        if what == "events":
            of = query["fieldSelector"].removeprefix("involvedObject.name=")
            return 200, {"items": [one for one in self.events if one["involvedObject"]["name"] == of]}
        resources = getattr(self, what)
        if method == "POST":
            if body["metadata"]["name"] in resources:
                return 409, {"message": "already exists"}
            job = resources[body["metadata"]["name"]] = copy.deepcopy(body)
            self._note(what, "ADDED", job)
            return 201, job
        if found[4]:
            return (200, self.logs[name]) if name in self.logs else (403, {"message": "no logs for you"})
        if name is None:
            key, _, value = query["labelSelector"].partition("=")
            labelled = [one for one in resources.values() if key in one["metadata"].get("labels", {})]
            items = [one for one in labelled if not value or one["metadata"]["labels"][key] == value]
            return 200, {"kind": "List", "metadata": {"resourceVersion": str(self._version)}, "items": items}
        if name not in resources:
            return 404, {"message": "not found"}
        (self._remove_job if what == "jobs" else self._remove_pod)(name)
        return 200, {"kind": "Status", "status": "Success"}

    def _watch(self, handler, what, version):
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.flush()
        with self.changed:
            generation, position = self._generation, 0
            self.watches += 1
            self.changed.notify_all()
        try:
            while True:
                with self.changed:
                    if self.expired_watches:
                        self.expired_watches -= 1
                        gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
                        self._chunk(handler, {"type": "ERROR", "object": gone})
                        break
                    while len(self._events) == position and self._generation == generation:
                        self.changed.wait()
                    if self._generation > generation:
                        break
                    new, position = self._events[position:], len(self._events)
                for at, of, kind, resource in new:
                    if of == what and at > version:
                        self._chunk(handler, {"type": kind, "object": resource})
            handler.wfile.write(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        handler.close_connection = True

    @staticmethod
    def _chunk(handler, event):
        line = json.dumps(event).encode() + b"\n"
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        handler.wfile.flush()

    def _answer(self, handler, status, content, body=None):
        if handler.command == "POST" and self.lost_answers and status < 400:
            self.lost_answers -= 1
            handler.close_connection = True
            return
        text = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)
