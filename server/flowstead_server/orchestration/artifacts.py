"""What task runs publish: links, texts and other things to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flowstead_server.domain.errors import (
    BadInputError,
    NotFoundError,
    PayloadTooLargeError,
    UniquenessViolationError,
)
from flowstead_server.domain.serialized_states import encode
from flowstead_server.orchestration.claims import check_claim
from flowstead_server.store import artifacts
from flowstead_server.store.task_runs import flow_run_of

if TYPE_CHECKING:
    from uuid import UUID

    from flowstead_server.db import Database
    from flowstead_server.domain.caller import Caller

MAX_DATA_BYTES: Final = 1_000_000
_MAX_KIND: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateArtifact:
    """An artifact to store; `id`: one that its sender chose, so that it may send it again."""

    task_run_id: UUID
    kind: str
    data: object
    tenant_id: UUID | None = None
    id: UUID | None = None


async def create_task_run_artifact(database: Database, caller: Caller, wanted: CreateArtifact) -> UUID:
    """Store an artifact, once if it has an id of its own.

    Raises BadInputError (tenant, kind, size), NotFoundError, StaleWriteError (ended claim), UniquenessViolationError
    (the id is that of another task run's artifact).
    """
    if not 0 < len(wanted.kind) <= _MAX_KIND:
        raise BadInputError(
            f"The kind of an artifact must have 1 to {_MAX_KIND} characters, but it is {wanted.kind[:80]!r}."
        )
    text = _encoded(wanted.data)
    tenant_id, task_run_id = caller.tenant_id, wanted.task_run_id
    flow_run_id = await flow_run_of(database, tenant_id, task_run_id)
    if flow_run_id is not None and wanted.tenant_id not in {None, tenant_id}:
        raise BadInputError("Invalid tenant ID.")
    artifact_id = await artifacts.create(
        database, tenant_id, task_run_id, wanted.kind, text, caller.claim_token, wanted.id
    )
    if artifact_id is not None:
        return artifact_id
    await check_claim(database, caller, flow_run_id)
    if flow_run_id is None or wanted.id is None:
        raise NotFoundError(f"Task run {task_run_id} not found")
    if not await artifacts.is_of_task_run(database, tenant_id, task_run_id, wanted.id):
        raise UniquenessViolationError
    return wanted.id


async def update_task_run_artifact(database: Database, caller: Caller, artifact_id: UUID, data: object) -> bool:
    """Replace an artifact's data; false if there is none. Raises PayloadTooLargeError, StaleWriteError (claim)."""
    if await artifacts.update(database, caller.tenant_id, artifact_id, _encoded(data), caller.claim_token):
        return True
    await check_claim(database, caller, await artifacts.flow_run_of(database, caller.tenant_id, artifact_id))
    return False


async def delete_task_run_artifact(database: Database, caller: Caller, artifact_id: UUID) -> bool:
    """Delete an artifact; false if there is none. Raises StaleWriteError (ended claim)."""
    if await artifacts.delete(database, caller.tenant_id, artifact_id, caller.claim_token):
        return True
    await check_claim(database, caller, await artifacts.flow_run_of(database, caller.tenant_id, artifact_id))
    return False


def _encoded(data: object) -> str:
    text = encode(data)
    if len(text.encode()) > MAX_DATA_BYTES:
        raise PayloadTooLargeError(f"Artifact data payload exceeds {MAX_DATA_BYTES} bytes limit.", MAX_DATA_BYTES)
    return text
