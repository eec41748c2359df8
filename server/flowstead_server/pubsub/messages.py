"""The text of notifications: ids only, always shorter than PostgreSQL's limit of 8,000 bytes.

Unreadable text (from a newer process) means "anything may have happened", which is always safe.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

RUNS_CHANNEL = "flowstead_runs"
QUEUE_CHANNEL = "flowstead_queue"

_EVERYTHING = "*"
_ID_LENGTH = 32
_RUNS_PER_MESSAGE = 240
_SETS_PER_MESSAGE = 350


@dataclass(frozen=True, slots=True)
class QueueHint:
    """Runs were enqueued in these label sets of a tenant."""

    tenant_id: UUID | None
    """None: in any tenant."""
    label_set_ids: frozenset[int] | None
    """None: in any set."""


ANY_QUEUE = QueueHint(None, None)


def encode_runs(run_ids: Iterable[UUID] | None) -> Iterator[str]:
    """Write run ids (None: all runs) as payloads of `RUNS_CHANNEL`."""
    if run_ids is None:
        yield _EVERYTHING
        return
    ids = [run_id.hex for run_id in run_ids]
    for start in range(0, len(ids), _RUNS_PER_MESSAGE):
        yield "".join(ids[start : start + _RUNS_PER_MESSAGE])


def decode_runs(payload: str) -> frozenset[UUID] | None:
    """Read run ids from a payload; None means all runs."""
    if len(payload) % _ID_LENGTH:
        return None
    try:
        return frozenset(UUID(payload[i : i + _ID_LENGTH]) for i in range(0, len(payload), _ID_LENGTH))
    except ValueError:
        return None


def encode_queue(hint: QueueHint) -> Iterator[str]:
    """Write a queue hint as payloads of `QUEUE_CHANNEL`."""
    if hint.tenant_id is None:
        yield _EVERYTHING
    elif hint.label_set_ids is None:
        yield f"{hint.tenant_id.hex}:{_EVERYTHING}"
    else:
        ids = sorted(hint.label_set_ids)
        for start in range(0, len(ids), _SETS_PER_MESSAGE):
            yield f"{hint.tenant_id.hex}:{','.join(map(str, ids[start : start + _SETS_PER_MESSAGE]))}"


def decode_queue(payload: str) -> QueueHint:
    """Read a queue hint from a payload."""
    tenant, _, sets = payload.partition(":")
    try:
        tenant_id = UUID(tenant)
        return QueueHint(tenant_id, None if sets == _EVERYTHING else frozenset(map(int, sets.split(","))))
    except ValueError:
        return ANY_QUEUE
