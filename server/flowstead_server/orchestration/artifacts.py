"""What task runs publish: links, texts and other things to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowstead_server.domain.errors import BadInputError, NotFoundError, PayloadTooLargeError
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


async def create_task_run_artifact(
    database: Database, caller: Caller, task_run_id: UUID, kind: str, data: object, tenant_id: UUID | None = None
) -> UUID:
    """Store an artifact. Raises BadInputError (tenant, kind, size), NotFoundError, StaleWriteError (ended claim)."""
    if not 0 < len(kind) <= _MAX_KIND:
        raise BadInputError(f"The kind of an artifact must have 1 to {_MAX_KIND} characters, but it is {kind[:80]!r}.")
    text = _encoded(data)
    flow_run_id = await flow_run_of(database, caller.tenant_id, task_run_id)
    if flow_run_id is not None and tenant_id not in {None, caller.tenant_id}:
        raise BadInputError("Invalid tenant ID.")
    artifact_id = await artifacts.create(database, caller.tenant_id, task_run_id, kind, text, caller.claim_token)
    if artifact_id is None:
        await check_claim(database, caller, flow_run_id)
        raise NotFoundError(f"Task run {task_run_id} not found")
    return artifact_id


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
