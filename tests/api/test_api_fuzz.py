"""Thousands of random operations against a server process: an answer to each, never an internal error.

FUZZ_OPERATIONS: how many, default 5,000; on a busy machine fewer, as many as can be sent within a minute.
FUZZ_SEED: repeats a run; the seed is in the message of a failure.
"""

import concurrent.futures
import contextlib
import http.client
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from typing import Any

import psutil
import pytest
from fuzz_operations import Operations, Sent
from serialized_flows import serialized_flow

from flowstead_server.api.schema import api_schema

CONNECTIONS = 4
SECONDS = 60.0
FORBIDDEN = {"API_ERROR", "INTERNAL_SERVER_ERROR"}
MIB = 1024 * 1024


def complaint(sent: Sent, status: int, body: bytes) -> str | None:
    """Return what is wrong with an answer."""
    try:
        content = json.loads(body)
    except ValueError:
        return "the answer is not JSON"
    errors = content.get("errors")
    if "errors" in content and not errors:
        return "errors without an error"
    if status != (400 if "data" not in content else 200):
        return f"status {status} does not fit the answer"
    for error in errors or ():
        code = error.get("extensions", {}).get("code")
        if not code or not error.get("message") or code in FORBIDDEN:
            return f"error {error}"
    return None


class Connection:
    """A kept connection; it costs less than a client that can do more."""

    def __init__(self, port: int) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def post(self, body: bytes) -> tuple[int, bytes]:
        """Return status and body of the answer; TimeoutError if none comes."""
        try:
            self._http.request("POST", "/", body)
            answer = self._http.getresponse()
            return answer.status, answer.read()
        except TimeoutError:
            self._http.close()
            raise

    def close(self) -> None:
        self._http.close()


def stored_ids(connection: Connection) -> list[str]:
    """Store a few rows; return their ids."""

    def ask(query: str, **variables: Any) -> Any:
        content = json.loads(connection.post(json.dumps({"query": query, "variables": variables}).encode())[1])
        assert "errors" not in content, content
        return content["data"]

    def mutate(name: str, /, **members: Any) -> str:
        query = f"mutation($input: {name}_input!) {{ found: {name}(input: $input) {{ id }} }}"
        return str(ask(query, input=members)["found"]["id"])

    project = mutate("create_project", name="sense")
    flow = mutate("create_flow", project_id=project, serialized_flow=serialized_flow())
    runs = [mutate("create_flow_run", flow_id=flow) for _ in range(5)]
    agent = mutate("register_agent", type="LocalAgent")
    found = ask("{ tenant { id } task { id } task_run { id } flow_group { id } }")
    return [project, flow, agent, *runs, *(row["id"] for rows in found.values() for row in rows)]


def outcome(body: bytes) -> str:
    """Return the code of an answer's first error, or `data`."""
    errors = json.loads(body).get("errors")
    return str(errors[0]["extensions"]["code"]) if errors else "data"


def attack(port: int, seed: int, count: int) -> tuple[list[str], Counter[str]]:
    outcomes: Counter[str] = Counter()
    complaints: list[str] = []
    with contextlib.closing(Connection(port)) as connection:
        operations = Operations(api_schema()._schema, seed, stored_ids(connection))
    rest = iter(range(count))
    turn = threading.Lock()
    deadline = time.monotonic() + SECONDS

    def send() -> None:
        with contextlib.closing(Connection(port)) as connection:
            while time.monotonic() < deadline:
                with turn:
                    number = next(rest, None)
                    if number is None:
                        break
                    sent = operations.next()
                try:
                    status, body = connection.post(sent.body)
                except TimeoutError:
                    complaints.append(f"{number} ({sent.kind}): no answer\n{sent.body[:1500]!r}")
                    continue
                if problem := complaint(sent, status, body):
                    complaints.append(f"{number} ({sent.kind}): {problem}\n{sent.body[:1500]!r}")
                else:
                    with turn:
                        outcomes[outcome(body)] += 1

    with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
        for sender in [pool.submit(send) for _ in range(CONNECTIONS)]:
            sender.result()
    return complaints, outcomes


@pytest.mark.timeout(240)
def test_random_operations_are_answered_without_internal_errors(database_dsn: str) -> None:
    seed = int(os.environ.get("FUZZ_SEED", random.randrange(2**32)))
    count = int(os.environ.get("FUZZ_OPERATIONS", "5000"))
    command = [sys.executable, "-m", "flowstead_server", "--port", "0", "--postgres-url", database_dsn]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = json.loads(server.stdout.readline())["port"]
            began = time.monotonic()
            complaints, outcomes = attack(port, seed, count)
            seconds = time.monotonic() - began
            assert server.poll() is None, f"seed {seed}"
            memory = psutil.Process(server.pid).memory_info().rss
        finally:
            server.terminate()
            _, log = server.communicate(timeout=60)
    print(f"seed {seed}: {outcomes.total()} operations in {seconds:.0f} s, {memory / MIB:.0f} MiB, {dict(outcomes)}")
    shown = "\n".join(complaints[:10])
    assert not complaints, f"seed {seed}: {len(complaints)} bad answers\n{shown}"
    assert server.returncode == 0, log
    # what is refused before it is executed tries little
    assert outcomes["data"] > outcomes.total() / 4, f"seed {seed}: {outcomes}"
    for sign in ("Traceback", "Internal error"):
        assert sign not in log, f"seed {seed}\n{log[:5000]}"
