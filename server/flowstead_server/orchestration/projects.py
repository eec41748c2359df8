"""Projects: the folders of flows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowstead_server.domain.errors import BadInputError, ForeignKeyViolationError
from flowstead_server.store import projects

if TYPE_CHECKING:
    from uuid import UUID

    from flowstead_server.db import Database
    from flowstead_server.domain.caller import Caller


@dataclass(frozen=True, slots=True)
class CreateProject:
    """`name` is unique in the tenant; a null `tenant_id` is the caller's."""

    name: str
    description: str | None = None
    tenant_id: UUID | None = None


async def create_project(database: Database, caller: Caller, request: CreateProject) -> UUID:
    """Make a project. Raises UniquenessViolationError, ForeignKeyViolationError (tenant), BadInputError (name)."""
    if request.tenant_id not in {None, caller.tenant_id}:
        raise ForeignKeyViolationError
    longest = 1000
    if not 0 < len(request.name.encode()) <= longest:
        raise BadInputError(f"A project's name must have 1 to {longest} bytes, but this one has {len(request.name)}.")
    return await projects.create(database, caller.tenant_id, request.name, request.description)
