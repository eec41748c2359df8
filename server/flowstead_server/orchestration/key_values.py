"""Key-value pairs, which anybody in the tenant reads as a table, and secrets, which are given out by name only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowstead_server.domain.errors import BadInputError, NotFoundError, PayloadTooLargeError
from flowstead_server.domain.serialized_states import encode
from flowstead_server.store import cloud

if TYPE_CHECKING:
    from uuid import UUID

    from flowstead_server.db import Database
    from flowstead_server.domain.caller import Caller

MAX_VALUE_CHARACTERS: Final = 10_000
MAX_SECRET_BYTES: Final = 1_000_000
_MAX_NAME_BYTES: Final = 1000


async def set_key_value(database: Database, caller: Caller, key: str, value: object) -> UUID:
    """Store a JSON value under a key, in place of what was there; returns the pair's id.

    Raises BadInputError (key), PayloadTooLargeError (more than 10,000 characters of JSON).
    """
    _check_name(key, "A key")
    text = encode(value)
    if len(text) > MAX_VALUE_CHARACTERS:
        raise PayloadTooLargeError(
            f"A value may have {MAX_VALUE_CHARACTERS} characters of JSON at most, but this one has {len(text)}.",
            MAX_VALUE_CHARACTERS,
        )
    return await cloud.set_key_value(database, caller.tenant_id, key, text)


async def delete_key_value(database: Database, caller: Caller, pair_id: UUID) -> bool:
    """Delete a pair; false if there is none."""
    return await cloud.delete_key_value(database, caller.tenant_id, pair_id)


async def set_secret(database: Database, caller: Caller, name: str, value: object) -> None:
    """Store a JSON value as a secret, in place of what was there. Raises BadInputError, PayloadTooLargeError."""
    _check_name(name, "The name of a secret")
    text = encode(value)
    if len(text.encode()) > MAX_SECRET_BYTES:
        raise PayloadTooLargeError(f"A secret may have {MAX_SECRET_BYTES} bytes at most.", MAX_SECRET_BYTES)
    await cloud.set_secret(database, caller.tenant_id, name, text)


async def secret_value(database: Database, caller: Caller, name: str) -> str:
    """Return a secret as JSON text. Raises NotFoundError, with a text that 1.x programs look for."""
    value = None if "\0" in name else await cloud.secret_value(database, caller.tenant_id, name)
    if value is None:
        raise NotFoundError("No value found for the requested key")
    return value


async def secret_names(database: Database, caller: Caller) -> list[str]:
    """Return the names of the tenant's secrets, sorted."""
    return await cloud.secret_names(database, caller.tenant_id)


def _check_name(name: str, what: str) -> None:
    size = len(name.encode())
    if not 0 < size <= _MAX_NAME_BYTES:
        raise BadInputError(f"{what} must have 1 to {_MAX_NAME_BYTES} bytes, but this one has {size}.")
