"""Projects: the folders of flows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowstead_server.domain.errors import BadInputError, ForeignKeyViolationError, NotFoundError
from flowstead_server.domain.retention import FINISHED, Kept, Rule, check_rules, kept
from flowstead_server.orchestration.retention import Retention
from flowstead_server.store import projects

if TYPE_CHECKING:
    from collections.abc import Sequence
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
    _check_name(request.name)
    return await projects.create(database, caller.tenant_id, request.name, request.description)


async def set_project_name(database: Database, caller: Caller, project_id: UUID, name: str) -> UUID:
    """Rename a project; returns its id. Raises NotFoundError, UniquenessViolationError, BadInputError (name)."""
    _check_name(name)
    if not await projects.set_name(database, caller.tenant_id, project_id, name):
        raise NotFoundError("Update failed")
    return project_id


async def set_project_description(
    database: Database, caller: Caller, project_id: UUID, description: str | None
) -> UUID:
    """Describe a project anew; returns its id. Raises NotFoundError."""
    if not await projects.set_description(database, caller.tenant_id, project_id, description):
        raise NotFoundError("Update failed")
    return project_id


async def set_project_retention(database: Database, caller: Caller, project_id: UUID, rules: Sequence[Rule]) -> UUID:
    """Keep a project's logs and runs by these rules in place of those it had, without any by those of the server.

    Returns its id. Raises NotFoundError, BadInputError (a rule makes no sense).
    """
    check_rules(rules)
    if not await projects.set_retention(database, caller.tenant_id, project_id, rules):
        raise NotFoundError(f"There is no project {project_id}.")
    return project_id


async def project_retention(database: Database, caller: Caller, project_id: UUID) -> list[Kept]:
    """Return for every finished state how long a project's runs and their logs are kept. Raises NotFoundError."""
    own = await projects.retention(database, caller.tenant_id, project_id)
    if own is None:
        raise NotFoundError(f"There is no project {project_id}.")
    defaults = database.part(Retention).rules
    return [kept(state, own, defaults) for state in FINISHED]


def _check_name(name: str) -> None:
    longest = 1000
    size = len(name.encode())
    if not 0 < size <= longest:
        raise BadInputError(f"A project's name must have 1 to {longest} bytes, but this one has {size}.")
