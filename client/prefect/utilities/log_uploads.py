"""Uploads of log lines: one attempt for one batch, to the API of its destination.

Lines that an API will never take, because their run was deleted, say, are dropped with a `UserWarning`, lest all others
wait for them.  Everything else that goes wrong is the caller's to handle.
"""

import contextlib
import uuid
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from prefect.utilities.log_spill import Batch, Destination

__all__ = ["LogUploader", "Uploads", "write_acceptable"]

_MOST_CLIENTS = 64
_RUN_IS_GONE = "FOREIGN_KEY_VIOLATION"
# The last of them is the word of a proxy, too: many take a megabyte at most.
_NEVER = frozenset({_RUN_IS_GONE, "BAD_USER_INPUT", "REQUEST_TOO_LARGE"})


class LogUploader(Protocol):
    """What the manager needs of a client."""

    def write_run_logs(self, logs: list[dict[str, Any]], batch_id: str) -> None:
        """Store the lines, once for each `batch_id`; raises if they were not stored."""


def write_acceptable(
    write: Callable[[list[dict[str, Any]], str], None], lines: list[dict[str, Any]], batch_id: str
) -> Iterator[tuple[int, Exception]]:
    """Write lines but for those that the API will never take, and yield how many these are and why; raises all else."""
    try:
        write(lines, batch_id)
    except Exception as error:
        code = getattr(error, "code", None)
        if code not in _NEVER:
            raise
        if len(lines) == 1 or (code == _RUN_IS_GONE and len({line["flow_run_id"] for line in lines}) == 1):
            yield len(lines), error
            return
        half = len(lines) // 2
        for part, name in ((lines[:half], "first"), (lines[half:], "second")):
            yield from write_acceptable(write, part, str(uuid.uuid5(uuid.UUID(batch_id), name)))


class Uploads:
    """Clients by destination, made when they are needed; `uploader` takes the lines of all of them if it is given."""

    def __init__(self, uploader: LogUploader | None = None) -> None:
        self._uploader = uploader
        self._clients: dict[Destination, LogUploader] = {}

    def send(self, batch: Batch) -> BaseException | None:
        """Send a batch, and return what kept it from being stored."""
        destination = batch.entries[0].destination
        try:
            uploader = self._uploader or self._clients.get(destination) or self._connect(destination)
            lines = [entry.line for entry in batch.entries]
            for number, error in write_acceptable(uploader.write_run_logs, lines, batch.id):
                with contextlib.suppress(Warning):
                    warnings.warn(f"The API refuses {number} log lines, which are dropped: {error}", stacklevel=2)
        except BaseException as error:
            return error
        return None

    def _connect(self, destination: Destination) -> LogUploader:
        from prefect.client import Client  # noqa: PLC0415 - only runs under a backend pay for the client
        from prefect.client.endpoint import CLAIM_TOKEN_HEADER  # noqa: PLC0415 - as above
        from prefect.client.retries import Patience  # noqa: PLC0415 - as above

        client = Client(destination.api, destination.api_key, destination.tenant_id)
        # Trying again is done here, where more lines can be taken meanwhile.
        client.patience = Patience(lambda: 0.0)
        if destination.claim_token:
            client.attach_headers({CLAIM_TOKEN_HEADER: destination.claim_token})
        if len(self._clients) >= _MOST_CLIENTS:
            self._clients.clear()
        self._clients[destination] = client
        return client
