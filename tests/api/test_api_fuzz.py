"""Thousands of random operations against a server process: an answer to each, never an internal error.

FUZZ_OPERATIONS: how many, default 5,000; on a busy machine fewer, as many as can be sent within a minute.
FUZZ_SEED: repeats a run; the seed is in the message of a failure.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from typing import Any

import httpx
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


async def stored_ids(client: httpx.AsyncClient) -> list[str]:
    """Store a few rows; return their ids."""

    async def ask(query: str, **variables: Any) -> Any:
        content = (await client.post("/", json={"query": query, "variables": variables})).json()
        assert "errors" not in content, content
        return content["data"]

    async def mutate(name: str, /, **members: Any) -> str:
        query = f"mutation($input: {name}_input!) {{ found: {name}(input: $input) {{ id }} }}"
        return str((await ask(query, input=members))["found"]["id"])

    project = await mutate("create_project", name="sense")
    flow = await mutate("create_flow", project_id=project, serialized_flow=serialized_flow())
    runs = [await mutate("create_flow_run", flow_id=flow) for _ in range(5)]
    agent = await mutate("register_agent", type="LocalAgent")
    found = await ask("{ tenant { id } task { id } task_run { id } flow_group { id } }")
    return [project, flow, agent, *runs, *(row["id"] for rows in found.values() for row in rows)]


def outcome(body: bytes) -> str:
    """Return the code of an answer's first error, or `data`."""
    errors = json.loads(body).get("errors")
    return str(errors[0]["extensions"]["code"]) if errors else "data"


async def attack(url: str, seed: int, count: int) -> tuple[list[str], Counter[str]]:
    outcomes: Counter[str] = Counter()
    complaints: list[str] = []
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        operations = Operations(api_schema()._schema, seed, await stored_ids(client))
        rest = iter(range(count))
        deadline = time.monotonic() + SECONDS

        async def send() -> None:
            for number in rest:
                if time.monotonic() > deadline:
                    break
                sent = operations.next()
                try:
                    response = await client.post("/", content=sent.body)
                except httpx.TimeoutException:
                    complaints.append(f"{number} ({sent.kind}): no answer\n{sent.body[:1500]!r}")
                    continue
                if problem := complaint(sent, response.status_code, response.content):
                    complaints.append(f"{number} ({sent.kind}): {problem}\n{sent.body[:1500]!r}")
                else:
                    outcomes[outcome(response.content)] += 1

        await asyncio.gather(*(send() for _ in range(CONNECTIONS)))
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
            complaints, outcomes = asyncio.run(attack(f"http://127.0.0.1:{port}", seed, count))
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
