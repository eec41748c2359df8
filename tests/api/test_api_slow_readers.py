"""Many readers that do not read, against a server process: its memory stays where it was."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from uuid import UUID

import psutil
from eventually import eventually
from seeds import seed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from flowstead_server.db import Database

READERS = 40
SETTLED = 500
MIB = 1024 * 1024
EVENTS = "subscription($id: UUID!) { flow_run_events(flow_run_id: $id) { cursor events { cursor message } } }"


@contextlib.contextmanager
def server_process(dsn: str) -> Iterator[tuple[psutil.Process, int]]:
    command = [sys.executable, "-m", "flowstead_server", "--port", "0", "--postgres-url", dsn]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            yield psutil.Process(server.pid), json.loads(server.stdout.readline())["port"]
        finally:
            server.terminate()
            server.wait(60)


@contextlib.contextmanager
def slow_reader(port: int, run_id: UUID) -> Iterator[ClientConnection]:
    """Ask for everything that a run said, and read nothing but the greeting."""
    protocols = [Subprotocol("graphql-transport-ws")]
    with connect(f"ws://127.0.0.1:{port}", subprotocols=protocols, max_queue=1, max_size=None) as connection:
        connection.send('{"type": "connection_init"}')
        assert json.loads(connection.recv(15)) == {"type": "connection_ack"}
        payload = {"query": EVENTS, "variables": {"id": str(run_id)}}
        connection.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        yield connection
        connection.socket.close()


async def test_slow_readers_do_not_grow_the_server(database: Database, database_dsn: str) -> None:
    seeded = await seed(database)
    run_id = await seeded.run()
    await database.execute(
        "insert into log (tenant_id, flow_run_id, level, message)"
        " select $1, $2, 'INFO', n || repeat('x', 50000) from generate_series(1, 1000) n",
        seeded.caller.tenant_id,
        run_id,
    )
    with server_process(database_dsn) as (server, port), contextlib.ExitStack() as readers:
        readers.enter_context(slow_reader(port, run_id)).recv(15)
        before = server.memory_info().rss
        for _ in range(READERS):
            readers.enter_context(slow_reader(port, run_id))
        sizes: list[int] = []

        def has_settled() -> bool:
            sizes.append(server.memory_info().rss)
            return len(sizes) > SETTLED and max(sizes[-SETTLED:]) - min(sizes[-SETTLED:]) < MIB

        await eventually(has_settled)
        assert (max(sizes) - before) / READERS < 2 * MIB
