"""Imported by the fork server last: does once what every run would do first.

Loads what the library imports on first use, and sends a few requests to an answering machine on the loopback interface,
which leaves caches filled and code specialised.  Nothing here is needed: whatever fails is left to the run, which will
say so.  No thread is left behind.
"""

import asyncio
import contextlib
import importlib

__all__ = ["LAZY_MODULES"]

LAZY_MODULES = (
    "concurrent.futures.thread",
    "multiprocessing",
    "anyio._backends._asyncio",
    "cloudpickle",
    "httpcore",
    "pendulum",
    "prefect.client.transport",
    "prefect.client.client",
    "prefect.engine.cloud.task_runner",
    "prefect.engine.task_runner",
    "prefect.executors.local",
    "prefect.storage.local",
    "prefect.tasks.core.constants",
    "prefect.utilities.storage",
)
_BODY = b'{"data":{"hello":"warm"}}'
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
_REQUESTS = 3
_SECONDS = 5.0


class _AnsweringMachine(asyncio.Protocol):
    """Has the same answer for every request of one connection."""

    def __init__(self) -> None:
        self.gone = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        # A request may come in two parts; its body is what ends with a brace.
        if data.endswith(b"}"):
            self._transport.write(_ANSWER)

    def connection_lost(self, error: Exception | None) -> None:
        self.gone.set_result(None)


async def _talk() -> None:
    from prefect._generated import operations  # noqa: PLC0415 - loaded here like everything that a run loads
    from prefect.client.session import AsyncSession  # noqa: PLC0415 - as above

    machines: list[_AnsweringMachine] = []

    def machine() -> _AnsweringMachine:
        machines.append(_AnsweringMachine())
        return machines[-1]

    server = await asyncio.get_running_loop().create_server(machine, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with AsyncSession(f"http://127.0.0.1:{port}", retry_for=0) as session:
            for _ in range(_REQUESTS):
                await session.execute(operations.hello())
        for connection in machines:
            await connection.gone


async def _talk_for_a_while() -> None:
    async with asyncio.timeout(_SECONDS):
        await _talk()


for _module in LAZY_MODULES:
    with contextlib.suppress(ImportError):
        importlib.import_module(_module)
with contextlib.suppress(Exception):
    asyncio.run(_talk_for_a_while())
