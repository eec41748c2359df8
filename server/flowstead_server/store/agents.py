"""Agents: who registered, and when each last asked for work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from flowstead_server.db import load_statements
from flowstead_server.domain.errors import ForeignKeyViolationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from flowstead_server.db import Transaction
    from flowstead_server.db.database import Executor

_SQL: Final = load_statements(__package__, "agents.sql")


async def find_or_create(
    transaction: Transaction,
    tenant_id: UUID,
    agent_type: str,
    name: str | None,
    core_version: str | None,
    labels: Sequence[str],
    agent_config_id: UUID | None,
) -> UUID:
    """Return the agent with this identity, made if there is none. Labels must be sorted.

    Raises ForeignKeyViolationError for an unknown agent config.
    """
    encoded = orjson.dumps(list(labels)).decode()
    await transaction.execute(_SQL["lock_identity"], f"{tenant_id} {agent_type} {encoded}")
    agent_id: UUID | None = await transaction.fetch_value(
        _SQL["find"], tenant_id, agent_type, name, core_version, encoded
    )
    if agent_id is None:
        agent_id = await transaction.fetch_value(
            _SQL["create"], tenant_id, agent_type, name, core_version, encoded, agent_config_id
        )
    if agent_id is None:
        raise ForeignKeyViolationError
    return agent_id


async def touch(executor: Executor, tenant_id: UUID, agent_id: UUID) -> bool:
    """Note that an agent asked for work just now. Returns whether it exists."""
    return await executor.execute(_SQL["touch"], tenant_id, agent_id) > 0


async def delete(executor: Executor, tenant_id: UUID, agent_id: UUID) -> bool:
    """Delete an agent; its runs stay. False if there is none."""
    return await executor.execute(_SQL["delete"], tenant_id, agent_id) > 0


async def create_config(executor: Executor, tenant_id: UUID, name: str | None, settings: str) -> UUID:
    """Insert an agent configuration (settings: JSON text)."""
    config_id: UUID = await executor.fetch_value(_SQL["create_config"], tenant_id, name, settings)
    return config_id


async def update_config(
    executor: Executor, tenant_id: UUID, config_id: UUID, name: str | None, settings: str | None
) -> bool:
    """Change the members of an agent configuration that are not null; false if there is none."""
    return await executor.execute(_SQL["update_config"], tenant_id, config_id, name, settings) > 0


async def delete_config(executor: Executor, tenant_id: UUID, config_id: UUID) -> bool:
    """Delete an agent configuration; its agents stay. False if there is none."""
    return await executor.execute(_SQL["delete_config"], tenant_id, config_id) > 0
