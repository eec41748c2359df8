"""Who calls: the scope of every verb."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class Caller:
    """One request's identity. No verb reads or writes outside `tenant_id`.

    `agent_id` and `core_version` are what the request's headers say, not proven. `claim_token` is the token of a
    claimed run's process or agent; null for people and 1.4.1 processes.
    """

    tenant_id: UUID
    agent_id: UUID | None = None
    claim_token: UUID | None = None
    core_version: str | None = None
