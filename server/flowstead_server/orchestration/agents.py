"""Agents: the programs that start flow runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowstead_server.domain.errors import BadInputError, ForeignKeyViolationError
from flowstead_server.domain.labels import normalized
from flowstead_server.domain.serialized_states import encode
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


async def delete_agent(database: Database, caller: Caller, agent_id: UUID) -> bool:
    """Forget an agent; its runs stay. False if there is none."""
    return await agents.delete(database, caller.tenant_id, agent_id)


async def create_agent_config(
    database: Database, caller: Caller, tenant_id: UUID | None, name: str | None, settings: object
) -> UUID:
    """Store a configuration for agents (null settings: empty).

    Raises ForeignKeyViolationError (another tenant), BadInputError (settings that are no JSON object).
    """
    if tenant_id not in {None, caller.tenant_id}:
        raise ForeignKeyViolationError
    text = _settings(settings)
    return await agents.create_config(database, caller.tenant_id, name, "{}" if text is None else text)


async def update_agent_config(
    database: Database, caller: Caller, config_id: UUID, name: str | None, settings: object
) -> bool:
    """Change the members of a configuration that are not null; false if there is none. Raises BadInputError."""
    return await agents.update_config(database, caller.tenant_id, config_id, name, _settings(settings))


async def delete_agent_config(database: Database, caller: Caller, config_id: UUID) -> bool:
    """Delete a configuration; its agents stay. False if there is none."""
    return await agents.delete_config(database, caller.tenant_id, config_id)


def _settings(settings: object) -> str | None:
    if settings is None:
        return None
    if not isinstance(settings, dict):
        raise BadInputError(f"The settings of agents must be a JSON object, but they are {str(settings)[:80]!r}.")
    return encode(settings)
