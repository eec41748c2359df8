"""Key-value pairs, secrets, concurrency limits and API keys. JSON goes in and out as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowstead_server.db import load_statements

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from flowstead_server.db.database import Executor

_SQL: Final = load_statements(__package__, "cloud.sql")


async def set_key_value(executor: Executor, tenant_id: UUID, key: str, value: str) -> UUID:
    """Store a value under a key, new or not; returns the pair's id."""
    pair_id: UUID = await executor.fetch_value(_SQL["set_key_value"], tenant_id, key, value)
    return pair_id


async def delete_key_value(executor: Executor, tenant_id: UUID, pair_id: UUID) -> bool:
    """Delete a pair; false if there is none."""
    return await executor.execute(_SQL["delete_key_value"], tenant_id, pair_id) > 0


async def set_secret(executor: Executor, tenant_id: UUID, name: str, value: str) -> None:
    """Store a secret under a name, new or not."""
    await executor.execute(_SQL["set_secret"], tenant_id, name, value)


async def secret_value(executor: Executor, tenant_id: UUID, name: str) -> str | None:
    """Return a secret; null if there is none of this name."""
    value: str | None = await executor.fetch_value(_SQL["secret_value"], tenant_id, name)
    return value


async def secret_names(executor: Executor, tenant_id: UUID) -> list[str]:
    """Return the names of all secrets, sorted."""
    return [row["name"] for row in await executor.fetch(_SQL["secret_names"], tenant_id)]


async def set_task_tag_limit(executor: Executor, tenant_id: UUID, tag: str, limit: int) -> UUID:
    """Set the limit of a tag, new or not; returns the limit's id."""
    limit_id: UUID = await executor.fetch_value(_SQL["set_task_tag_limit"], tenant_id, tag, limit)
    return limit_id


async def delete_task_tag_limit(executor: Executor, tenant_id: UUID, limit_id: UUID) -> bool:
    """Delete a limit; false if there is none."""
    return await executor.execute(_SQL["delete_task_tag_limit"], tenant_id, limit_id) > 0


async def set_flow_concurrency_limit(executor: Executor, tenant_id: UUID, label: str, limit: int) -> UUID:
    """Set the limit of a label, new or not; returns the limit's id."""
    limit_id: UUID = await executor.fetch_value(_SQL["set_flow_concurrency_limit"], tenant_id, label, limit)
    return limit_id


async def delete_flow_concurrency_limit(executor: Executor, tenant_id: UUID, limit_id: UUID) -> bool:
    """Delete a limit; false if there is none."""
    return await executor.execute(_SQL["delete_flow_concurrency_limit"], tenant_id, limit_id) > 0


async def create_api_key(
    executor: Executor, tenant_id: UUID, user_id: UUID | None, name: str, expires_at: datetime | None, key_hash: bytes
) -> UUID | None:
    """Store the hash of an API key; returns the id of its row, null if the hash belongs to a key of another name."""
    key_id: UUID | None = await executor.fetch_value(
        _SQL["create_api_key"], tenant_id, user_id, name, expires_at, key_hash
    )
    return key_id


async def delete_api_key(executor: Executor, tenant_id: UUID, key_id: UUID) -> bool:
    """Delete an API key; false if there is none."""
    return await executor.execute(_SQL["delete_api_key"], tenant_id, key_id) > 0
