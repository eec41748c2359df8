"""Many clients with the same idempotency keys over connections that break: each key makes one run, known to all."""

import asyncio
import json
import os
import random
from collections import Counter
from typing import Any

from tcp_proxy import TcpProxy

from flowstead_server.domain.caller import Caller
from flowstead_server.orchestration.flows import CreateFlow, create_flow
from flowstead_server.orchestration.projects import CreateProject, create_project

CLIENTS = 64
KEYS = 100
BREAK_RATE = 0.05


class Client:
    """Sends requests over one connection after the other, each until it is answered, and does nothing else."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.broken = 0
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, body: bytes) -> Any:
        """Return the answer, however many connections that takes."""
        head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        while True:
            try:
                if self._streams is None:
                    self._streams = await asyncio.open_connection("127.0.0.1", self.port)
                reader, writer = self._streams
                writer.write(head.encode() + body)
                answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = next(line for line in answer.splitlines() if line.startswith("content-length:"))
                content = await reader.readexactly(int(length.partition(":")[2]))
            except (OSError, asyncio.IncompleteReadError):
                self.broken += 1
                self.close()
                continue
            assert answer.startswith("http/1.1 200 "), (answer, content)
            return json.loads(content)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


async def create_all(client: Client, flow_id: str, order: list[int]) -> dict[int, str]:
    """Create a run for each key; return the ids by key."""
    query = "mutation($input: create_flow_run_input!) { create_flow_run(input: $input) { id } }"
    made = {}
    for key in order:
        given = {"flow_id": flow_id, "idempotency_key": f"key {key}", "parameters": {"key": key}}
        answer = await client.post(json.dumps({"query": query, "variables": {"input": given}}).encode())
        made[key] = answer["data"]["create_flow_run"]["id"]
    client.close()
    return made


async def test_64_clients_with_the_same_100_keys_over_connections_that_break(api: Any) -> None:
    seed = int(os.environ.get("FLOWSTEAD_TEST_SEED") or random.randrange(10**6))
    print(f"FLOWSTEAD_TEST_SEED={seed}")  # pytest shows it when the test fails
    caller = Caller(api.tenant_id)
    project = await create_project(api.database, caller, CreateProject("storm"))
    flow = {"name": "f", "tasks": [], "edges": [], "storage": {"type": "Local"}, "parameters": [{"name": "key"}]}
    flow_id = str(await create_flow(api.database, caller, CreateFlow(flow, project)))
    proxy = await TcpProxy(int(api.url.rpartition(":")[2]), seed=seed).start()
    proxy.break_rate = BREAK_RATE
    clients = [Client(proxy.port) for _ in range(CLIENTS)]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = []
            for number, client in enumerate(clients):
                order = random.Random(seed * CLIENTS + number).sample(range(KEYS), KEYS)
                tasks.append(group.create_task(create_all(client, flow_id, order)))
    finally:
        await proxy.close()
    answers = [task.result() for task in tasks]
    rows = await api.database.fetch("select id, idempotency_key, parameters->>'key' as key from flow_run")
    assert Counter(row["idempotency_key"] for row in rows) == {f"key {key}": 1 for key in range(KEYS)}
    assert all(row["idempotency_key"] == f"key {row['key']}" for row in rows)
    stored = {int(row["key"]): str(row["id"]) for row in rows}
    assert answers == [stored] * CLIENTS
    (states,) = await api.database.fetch("select count(*), count(distinct flow_run_id) from flow_run_state")
    assert tuple(states) == (KEYS, KEYS)
    # the storm was one
    assert sum(client.broken for client in clients) > CLIENTS
    assert proxy.lost > CLIENTS


async def test_answers_that_are_mostly_lost(api: Any) -> None:
    """One client, who hears of about every fourth answer."""
    caller = Caller(api.tenant_id)
    project = await create_project(api.database, caller, CreateProject("deaf"))
    flow_id = str(await create_flow(api.database, caller, CreateFlow({"name": "f", "tasks": []}, project)))
    proxy = await TcpProxy(int(api.url.rpartition(":")[2]), seed=7).start()
    proxy.break_rate = 0.5
    try:
        made = await create_all(Client(proxy.port), flow_id, list(range(20)))
    finally:
        await proxy.close()
    rows = await api.database.fetch("select id from flow_run")
    assert {str(row["id"]) for row in rows} == set(made.values())
    assert len(rows) == 20
