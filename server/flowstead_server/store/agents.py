"""Agents: who registered, and when each last asked for work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from flowstead_server.db import load_statements

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
    assert agent_id is not None
    return agent_id


async def touch(executor: Executor, tenant_id: UUID, agent_id: UUID) -> bool:
    """Note that an agent asked for work just now. Returns whether it exists."""
    return await executor.execute(_SQL["touch"], tenant_id, agent_id) > 0
