"""The part of a process's log that waits on disk because the API is away; see `outbox` for the files.

Not safe for threads: the `LogManager` that has it locks.  What the disk does not take stays with the manager, which is
said once as a `UserWarning`.
"""

import contextlib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from prefect.utilities.outbox import OutboxFile

__all__ = ["Batch", "Destination", "Entry", "LogSpill"]


class Destination(NamedTuple):
    """Where lines go: which API, as whom, and as which claim of a flow run; what is None is as configured."""

    api: str | None = None
    api_key: str | None = None
    tenant_id: str | None = None
    claim_token: str | None = None


class Entry(NamedTuple):
    """One line on its way; `size` is what it counts for."""

    line: dict[str, Any]
    size: int
    destination: Destination

    @property
    def run(self) -> tuple[Destination, str]:
        """Whose log it belongs to."""
        return self.destination, str(self.line.get("flow_run_id") or "")


@dataclass(slots=True, eq=False)
class Batch:
    """Lines that travel together, to one destination, under one id however often they are sent."""

    id: str
    entries: list[Entry] = field(default_factory=list)
    size: int = 0
    file: "OutboxFile | None" = None
    """the file that has them, if one does"""
    end: int = 0
    """where they end in it"""


class LogSpill:
    """The files of one process, one per run; `main_run` is the run that the process was made for."""

    def __init__(self, main_run: str | None = None) -> None:
        self.main_run = main_run
        self._files: dict[tuple[Destination, str], OutboxFile] = {}
        self._told = False

    def __bool__(self) -> bool:
        return bool(self._files)

    def put(self, batches: Iterable[Batch]) -> list[Batch]:
        """Write batches in their order, behind what is there, and return those that the disk did not take."""
        left: list[Batch] = []
        for batch in batches:
            run = batch.entries[0].run
            destination, flow_run_id = run
            # Without an address they could not be sent by anybody else; and the order of a run's lines is kept.
            if not destination.api or not flow_run_id or any(other.entries[0].run == run for other in left):
                left.append(batch)
                continue
            try:
                file = self._files.get(run) or self._create(run)
                batch.end = file.append({"batch_id": batch.id, "logs": [entry.line for entry in batch.entries]})
                batch.file = file
            except (OSError, TypeError) as error:
                self._tell(error)
                left.append(batch)
        return left

    def _create(self, run: tuple[Destination, str]) -> "OutboxFile":
        from prefect.utilities.outbox import Address, OutboxFile, outbox_directory  # noqa: PLC0415 - few processes need it

        destination, flow_run_id = run
        address = Address(str(destination.api), flow_run_id, destination.tenant_id or None, destination.claim_token)
        self._files[run] = OutboxFile.create(outbox_directory(), address, "log", is_main=flow_run_id == self.main_run)
        return self._files[run]

    def take(self) -> Batch | None:
        """Return what is to be sent next; it stays here until it is `sent`.  `OSError` if it cannot be read now."""
        for run, file in list(self._files.items()):
            try:
                found = file.peek()
            except FileNotFoundError as error:
                self._tell(error)
                found = None
            if found is None:
                self._forget(run)
                continue
            record, end = found
            entries = [Entry(line, 0, run[0]) for line in record.get("logs") or ()]
            if entries:
                return Batch(str(record["batch_id"]), entries, 0, file, end)
            file.mark_sent(end)
        return None

    def sent(self, batch: Batch) -> None:
        """Note that a batch was stored; a file without anything left is removed."""
        for run, file in list(self._files.items()):
            if file is batch.file:
                file.mark_sent(batch.end)
                if file.is_empty:
                    self._forget(run)

    def drop(self, destination: Destination) -> None:
        """Forget everything that was to go to a destination."""
        for run in [run for run in self._files if run[0] == destination]:
            self._forget(run)

    def leave(self) -> None:
        """Let go of all files: another process sends what is in them."""
        for run, file in list(self._files.items()):
            if file.is_empty:
                self._forget(run)
            else:
                file.leave()
        self._files.clear()

    def abandon(self) -> None:
        """Forget, in a forked child, the files of the parent."""
        for file in self._files.values():
            file.abandon()
        self._files.clear()

    def _forget(self, run: tuple[Destination, str]) -> None:
        with contextlib.suppress(OSError):
            self._files.pop(run).discard()

    def _tell(self, error: Exception) -> None:
        if self._told:
            return
        self._told = True
        with contextlib.suppress(Warning):
            warnings.warn(
                f"Log lines that wait for the API cannot be kept on disk ({error}); they wait in memory, and are lost "
                "if this process ends before the API is back.",
                stacklevel=2,
            )
