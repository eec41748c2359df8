"""Agents: the programs that start flow runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowstead_server.domain.errors import BadInputError
from flowstead_server.domain.labels import normalized
from flowstead_server.store import agents

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from flowstead_server.db import Database, Transaction
    from flowstead_server.domain.caller import Caller


@dataclass(frozen=True, slots=True)
class RegisterAgent:
    """An agent's identity: type, name, labels (null: none) and the caller's core version."""

    type: str
    name: str | None = None
    labels: Sequence[str] | None = None
    agent_config_id: UUID | None = None
    tenant_id: UUID | None = None


async def register_agent(database: Database, caller: Caller, request: RegisterAgent) -> UUID:
    """Return the id of the agent with this identity, made at first sight; the same at once from many places.

    A null name, or a caller without core version, finds any. Raises BadInputError (another tenant, bad label) and
    ForeignKeyViolationError (unknown agent config).
    """
    if request.tenant_id not in {None, caller.tenant_id}:
        raise BadInputError("No tenant found.")
    labels = normalized(request.labels or ())

    async def work(transaction: Transaction) -> UUID:
        return await agents.find_or_create(
            transaction,
            caller.tenant_id,
            request.type,
            request.name,
            caller.core_version,
            labels,
            request.agent_config_id,
        )

    return await database.transact(work)
