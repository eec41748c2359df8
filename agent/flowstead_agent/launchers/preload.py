"""Imported by the fork server last: does once what every run would do first.

Loads what the library imports on first use, and sends a few requests to an answering machine on the loopback interface,
which leaves caches filled and code specialised.  Nothing here is needed: whatever fails is left to the run, which will
say so.  No thread is left behind.
"""

import contextlib
import importlib
import socket
import threading

from prefect.client.plain_http import is_plain
from prefect.configuration import config

__all__ = ["LAZY_MODULES"]

LAZY_MODULES: tuple[str, ...] = (
    "concurrent.futures.thread",
    "multiprocessing",
    "cloudpickle",
    "pendulum",
    "prefect.client.plain_http",
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
_READ_BYTES = 1 << 16


def _answer(listener: socket.socket) -> None:
    """Have the same answer for every request of one connection."""
    with contextlib.suppress(OSError):
        connection, _ = listener.accept()
        connection.settimeout(_SECONDS)
        with connection:
            while data := connection.recv(_READ_BYTES):
                # A request may come in two parts; its body is what ends with a brace.
                if data.endswith(b"}"):
                    connection.sendall(_ANSWER)


def _talk() -> None:
    from prefect._generated import operations  # noqa: PLC0415 - loaded here like everything that a run loads
    from prefect.client.session import Session  # noqa: PLC0415 - as above

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(_SECONDS)
        machine = threading.Thread(target=_answer, args=(listener,))
        machine.start()
        try:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with Session(url, retry_for=0, timeout=_SECONDS) as session:
                for _ in range(_REQUESTS):
                    session.execute(operations.hello())
        finally:
            machine.join()


if not is_plain(str(config.cloud.api)):
    LAZY_MODULES += ("prefect.client.transport",)
for _module in LAZY_MODULES:
    with contextlib.suppress(ImportError):
        importlib.import_module(_module)
with contextlib.suppress(Exception):
    _talk()
