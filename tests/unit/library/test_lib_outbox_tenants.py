"""An outbox that several tenants share: what is not to be seen with a key is left to those who have another."""

import json
import os
import time

import pytest
from http_stub import http_stub

from prefect.client.outbox_delivery import deliver
from prefect.client.session import Session
from prefect.utilities.outbox import Address, OutboxFile, waiting_files

MINE, THEIRS = ("11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222")
OWNERS = {MINE: "my-key", THEIRS: "their-key"}


@pytest.fixture
def api():
    def answer(request):
        body = json.loads(request.body)
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if body["operationName"] == "flow_run_state":
            run = body["variables"]["id"]
            found = {"id": run, "state": "Running", "version": 2, "serialized_state": {"type": "Running"}}
            data = {"flow_run_by_pk": found if OWNERS[run] == key else None}
        else:
            run = body["variables"]["input"]["states"][0]["flow_run_id"]
            if OWNERS[run] != key:
                error = {"message": "not found", "extensions": {"code": "NOT_FOUND"}}
                return 200, {"Content-Type": "application/json"}, json.dumps({"errors": [error], "data": None}).encode()
            stored.append(run)
            data = {"set_flow_run_states": {"states": [{"id": run, "status": "SUCCESS", "message": None}]}}
        return 200, {"Content-Type": "application/json"}, json.dumps({"data": data}).encode()

    stored = []
    with http_stub(answer) as stub:
        stub.stored = stored
        yield stub


def test_each_key_sends_what_is_of_its_tenant(api, tmp_path):
    for run in (MINE, THEIRS):
        file = OutboxFile.create(tmp_path, Address(api.url, run), "run", is_main=True)
        file.append({"flow_state": {"type": "Success", "message": "done"}})
        file.leave()
    told = []
    for key, waiting in (("my-key", 1), ("their-key", 0)):
        with Session(api.url, api_key=key, retry_for=0) as session:
            done = deliver(tmp_path, session, told.append)
        assert (done.sent, done.waiting) == (1, waiting)
    assert api.stored == [MINE, THEIRS]
    assert told == []
    assert waiting_files(tmp_path) == []


def test_what_nobody_can_see_goes_in_the_end(api, tmp_path):
    file = OutboxFile.create(tmp_path, Address(api.url, THEIRS), "run", is_main=True)
    file.append({"flow_state": {"type": "Success", "message": "done"}})
    file.leave()
    long_ago = time.time() - 31 * 86_400
    os.utime(file.path, (long_ago, long_ago))
    told = []
    with Session(api.url, api_key="my-key", retry_for=0) as session:
        assert deliver(tmp_path, session, told.append).sent == 1
    assert "not found" in told[0]
    assert waiting_files(tmp_path) == []
