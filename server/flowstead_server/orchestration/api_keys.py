"""API keys: made here, shown once, stored as hashes."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from flowstead_server.domain.errors import BadInputError, UniquenessViolationError
from flowstead_server.store import cloud

if TYPE_CHECKING:
    from uuid import UUID

    from flowstead_server.db import Database
    from flowstead_server.domain.caller import Caller

_KEY_BYTES: Final = 32
_MAX_NAME: Final = 255
# What `secrets.token_urlsafe` makes of so many bytes. It has about 31 different characters, and never as few as these.
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_FEWEST_CHARACTERS: Final = 16


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key that was made; `key` cannot be had again."""

    id: UUID
    key: str


def hash_of(key: str) -> bytes:
    """Return what is stored of a key. It has 256 random bits, so one round of SHA-256 is enough."""
    return hashlib.sha256(key.encode()).digest()


async def create_api_key(
    database: Database,
    caller: Caller,
    name: str,
    user_id: UUID | None,
    expires_at: datetime | None,
    secret: str | None = None,
) -> NewApiKey:
    """Make a key for the caller's tenant, or take the one that the caller made, which may be sent again.

    Raises BadInputError for a bad name, a moment that has passed, or a secret that could be guessed, and
    UniquenessViolationError for the secret of another key.
    """
    if not 0 < len(name) <= _MAX_NAME:
        raise BadInputError(f"The name of an API key must have 1 to {_MAX_NAME} characters, but has {len(name)}.")
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise BadInputError(f"An API key must end in the future, but this one would at {expires_at.isoformat()}.")
    if secret is not None and not (_KEY.fullmatch(secret) and len(set(secret)) >= _FEWEST_CHARACTERS):
        raise BadInputError("The secret of an API key must be 43 random characters: 32 bytes in URL-safe base64.")
    key = secrets.token_urlsafe(_KEY_BYTES) if secret is None else secret
    key_id = await cloud.create_api_key(database, caller.tenant_id, user_id, name, expires_at, hash_of(key))
    if key_id is None:
        raise UniquenessViolationError
    return NewApiKey(key_id, key)


async def delete_api_key(database: Database, caller: Caller, key_id: UUID) -> bool:
    """Revoke a key; false if there is none."""
    return await cloud.delete_api_key(database, caller.tenant_id, key_id)
