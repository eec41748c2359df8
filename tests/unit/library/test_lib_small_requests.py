"""Behind a proxy that takes small requests only: what is large goes in parts, and what never passes is passed over."""

import json
import uuid

import pytest
from http_stub import http_stub

from prefect.client import Client
from prefect.client.outbox_delivery import deliver
from prefect.client.session import Session
from prefect.engine.cloud.state_writer import StateWriter
from prefect.engine.state import Success
from prefect.utilities.log_spill import Batch, Destination, Entry
from prefect.utilities.log_uploads import Uploads
from prefect.utilities.outbox import Address, OutboxFile, waiting_files

RUN = "11111111-1111-1111-1111-111111111111"
MOST = 3000


@pytest.fixture
def api():
    def answer(request):
        if len(request.body) > MOST:
            return 413, {"Content-Type": "text/html"}, b"<h1>Request Entity Too Large</h1>"
        name = json.loads(request.body)["operationName"]
        value = {"success": True, "error": None}
        if name == "set_task_run_states":
            states = json.loads(request.body)["variables"]["input"]["states"]
            value = {"states": [{"id": RUN, "status": "SUCCESS", "message": None, "code": None} for _ in states]}
        return 200, {"Content-Type": "application/json"}, json.dumps({"data": {name: value}}).encode()

    with http_stub(answer) as stub:
        yield stub


def taken(api, name, member):
    bodies = [json.loads(request.body) for request in api.requests if len(request.body) <= MOST]
    return [one for body in bodies if body["operationName"] == name for one in body["variables"]["input"][member]]


def line(message):
    return {"flow_run_id": RUN, "timestamp": None, "name": "n", "level": "INFO", "message": message}


def test_log_lines(api):
    messages = [f"{number:04}" * 100 for number in range(20)]
    messages[7] = "x" * MOST
    uploads, destination = Uploads(), Destination(api.url)
    with pytest.warns(UserWarning, match="refuses 1 log lines"):
        assert uploads.send(Batch(str(uuid.uuid4()), [Entry(line(text), 0, destination) for text in messages])) is None
    assert [one["message"] for one in taken(api, "write_run_logs", "logs")] == messages[:7] + messages[8:]


def test_what_was_kept_on_disk(api, tmp_path):
    for run in (RUN, RUN.replace("1", "2")):
        file = OutboxFile.create(tmp_path, Address(api.url, run), "run")
        large = {"type": "Success", "message": "x" * MOST}
        file.append({"task_states": [{"task_run_id": RUN, "state": large}]})
        file.append({"task_states": [{"task_run_id": run, "state": {"type": "Success", "message": "small"}}]})
        file.leave()
    told = []
    with Session(api.url, retry_for=0) as session:
        assert deliver(tmp_path, session, told.append).sent == 2
    assert [one["state"]["message"] for one in taken(api, "set_task_run_states", "states")] == ["small", "small"]
    assert len(told) == 2
    assert "larger than the API" in told[0]
    assert waiting_files(tmp_path) == []


def test_ends_of_task_runs(api):
    writer = StateWriter(Client(api.url), RUN)
    ids = [str(uuid.uuid4()) for _ in range(25)]
    with writer.opened():
        for task_run_id in ids:
            assert writer.write_later(task_run_id, Success("y" * 300))
        writer.flush()
    assert [one["task_run_id"] for one in taken(api, "set_task_run_states", "states")] == ids
    assert writer.refused == []
