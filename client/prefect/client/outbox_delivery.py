"""Send what processes have left in the outbox because the API was away; see `prefect.utilities.outbox`.

Each file is sent in its order, under the claim that its process had: if the run belongs to another process by now the
API refuses it, and the file is removed.  What the API will never take is passed over.  Anything that may pass later
ends the round with the error, and the next round goes on where this one ended.  A file that is damaged is set aside.
What is about a run that is not to be seen with the session's API key may be of another tenant: it is left to others for
30 days.  One process at a time sends what is in a directory, lest what is said about one run gets out of order.
"""

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect._generated import operations as ops
from prefect.client.endpoint import CLAIM_TOKEN_HEADER
from prefect.client.errors import ApiError, RequestTooLargeError
from prefect.client.live import FINISHED_STATES
from prefect.client.retries import is_outage
from prefect.client.session import Session
from prefect.exceptions import AuthorizationError, ClientError, VersionLockMismatchSignal
from prefect.utilities.log_uploads import write_acceptable
from prefect.utilities.outbox import DirectoryLock, OutboxFile, UnreadableOutboxError, set_aside, waiting_files

__all__ = ["Delivery", "deliver"]


_LEFT_SECONDS = 30 * 86_400


@dataclass(slots=True)
class Delivery:
    """What a round has done, in files."""

    sent: int = 0
    waiting: int = 0
    """for their holder, or for somebody who speaks to another API"""


def deliver(directory: Path, session: Session, tell: Callable[[str], None]) -> Delivery:
    """Send what is in a directory to the API of `session`; `tell` is given sentences about what is worth a log line.

    Raises `ClientError` if the API is away or refuses the caller, `OSError` if the disk does not answer.
    """
    done = Delivery()
    if not waiting_files(directory):
        return done
    with DirectoryLock(directory) as is_ours:
        if not is_ours:
            done.waiting = len(waiting_files(directory))
            return done
        held_up: set[str] = set()
        for path in waiting_files(directory):
            flow_run_id = path.name.partition(".")[0]
            # What comes behind a file that cannot be sent now waits for it.
            try:
                is_sent = flow_run_id not in held_up and _deliver_file(path, session, tell)
            except ApiError as error:
                if is_outage(error) or isinstance(error, AuthorizationError):
                    raise
                tell(f"What was kept in {path} is not taken by the API now: {error}")
                is_sent = False
            if is_sent:
                done.sent += 1
            else:
                held_up.add(flow_run_id)
                done.waiting += 1
    return done


def _deliver_file(path: Path, session: Session, tell: Callable[[str], None]) -> bool:
    try:
        file = OutboxFile.adopt(path)
    except UnreadableOutboxError as error:
        tell(f"The file {path} cannot be read ({error}); it is kept as {set_aside(path)}, and nothing of it was sent.")
        return True
    if file is None:
        return not path.exists()
    try:
        if file.address.api.strip().rstrip("/") != session.endpoint.url or not _may_send(file, session):
            return False
        sender = _Sender(session, file, tell)
        for record, end in file.records():
            if not sender.send(record):
                break
            file.mark_sent(end)
        else:
            if _is_of_the_dead(file):
                sender.send(_death(file))
        if file.unreadable:
            tell(
                f"{file.unreadable} entries of the file {path} cannot be read; the others were sent, and the file is "
                f"kept as {set_aside(path)}."
            )
        else:
            path.unlink(missing_ok=True)
    finally:
        file.close()
    return True


def _is_of_the_dead(file: OutboxFile) -> bool:
    """Say whether the process of a run was killed, and nobody else reports that.

    Its lock is free although it had not let go of it.  Without a claim the run may be somebody else's by now.
    """
    is_last = waiting_files(file.path.parent, file.address.flow_run_id) == [file.path]
    return file.is_main and not file.was_left and is_last and file.address.claim_token is not None


def _may_send(file: OutboxFile, session: Session) -> bool:
    if not session.endpoint.api_key or time.time() - file.path.stat().st_mtime > _LEFT_SECONDS:
        return True
    return session.execute(ops.flow_run_state(id=file.address.flow_run_id), retry_for=0) is not None


def _death(file: OutboxFile) -> dict[str, Any]:
    reason = f"The process of the flow run (PID {file.pid}) was killed while the API was away."
    line = {
        "flow_run_id": file.address.flow_run_id,
        "timestamp": datetime.now(UTC).isoformat(),
        "name": "prefect.outbox",
        "level": "ERROR",
        "message": reason,
    }
    # The same name for the same file, should this round be cut short.
    return {"died": {"reason": reason, "logs": [line], "batch_id": str(uuid.uuid5(uuid.NAMESPACE_URL, file.path.name))}}


class _Sender:
    """Sends the records of one file."""

    def __init__(self, session: Session, file: OutboxFile, tell: Callable[[str], None]) -> None:
        self._session = session
        self._flow_run_id = file.address.flow_run_id
        token = file.address.claim_token
        self._headers = {CLAIM_TOKEN_HEADER: token} if token else {}
        self._tell = tell

    def send(self, record: Mapping[str, Any]) -> bool:
        """Send a record; returns False if nothing of this claim is taken any more."""
        try:
            if "logs" in record:
                self._send_logs(record["logs"], record["batch_id"])
            if "task_states" in record:
                self._send_task_states(record["task_states"])
            if "flow_state" in record:
                self._send_flow_state(record["flow_state"])
            if "died" in record:
                self._send_death(record["died"])
        except VersionLockMismatchSignal:
            self._tell(
                f"Flow run {self._flow_run_id} belongs to another process by now; what a former one had kept while the "
                "API was away is dropped."
            )
            return False
        except AuthorizationError:
            raise
        except ApiError as error:
            if is_outage(error) or error.code in {"API_ERROR", "RATE_LIMITED", None}:
                raise
            self._refused(error)
        except (RequestTooLargeError, KeyError, TypeError, ValueError) as error:
            self._refused(error)
        return True

    def _refused(self, error: Exception) -> None:
        self._tell(f"Something that was kept about flow run {self._flow_run_id} is not taken by the API: {error}")

    def _execute(self, request: Any) -> Any:
        return self._session.execute(request, headers=self._headers, retry_for=0)

    def _send_logs(self, lines: list[dict[str, Any]], batch_id: str) -> None:
        def write(part: list[dict[str, Any]], part_id: str) -> None:
            self._execute(ops.write_run_logs(logs=part, batch_id=part_id))

        for number, error in write_acceptable(write, lines, batch_id):
            self._refused(ClientError(f"{number} log lines: {error}"))

    def _send_task_states(self, states: Iterable[Mapping[str, Any]]) -> None:
        changes = [{"task_run_id": one["task_run_id"], "version": None, "state": one["state"]} for one in states]
        for answer in self._execute(ops.set_task_run_states(states=changes, report_refusals=True)).states:
            if answer.status == "REFUSED":
                self._refused(ClientError(str(answer.message)))

    def _send_flow_state(self, state: Mapping[str, Any]) -> None:
        change = {"flow_run_id": self._flow_run_id, "version": None, "state": state}
        self._execute(ops.set_flow_run_states(states=[change]))

    def _send_death(self, died: Mapping[str, Any]) -> None:
        """Say that the process of the run is gone, if that did not say itself how the run ended."""
        found = self._session.execute(ops.flow_run_state(id=self._flow_run_id), retry_for=0)
        if found is None or found.state in FINISHED_STATES:
            return
        self._send_logs(died["logs"], died["batch_id"])
        is_cancelled = found.state == "Cancelling"
        message = "Flow run is cancelled" if is_cancelled else died["reason"]
        self._send_flow_state({"type": "Cancelled" if is_cancelled else "Failed", "message": message})
