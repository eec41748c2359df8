"""Tenants: the scope of everything else. One exists from the first start on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from slugify import slugify

from flowstead_server.domain.errors import ApiUnavailableError, BadInputError
from flowstead_server.store import tenants

if TYPE_CHECKING:
    from uuid import UUID

    from flowstead_server.db import Database


@dataclass(frozen=True, slots=True)
class CreateTenant:
    """`name` for people, `slug` for links: unique, lower case, no spaces."""

    name: str
    slug: str


class _DefaultTenant:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._id: UUID | None = None

    async def id(self) -> UUID:
        if self._id is None:
            self._id = await tenants.default_id(self._database)
        if self._id is None:
            raise ApiUnavailableError("There is no tenant yet; the server has not finished starting.")
        return self._id

    def forget(self) -> None:
        self._id = None


async def ensure_default_tenant(database: Database) -> UUID:
    """Make the tenant `default` unless there is a tenant already; return the default tenant's id. Safe to repeat."""
    await tenants.ensure_default(database)
    database.part(_DefaultTenant).forget()
    return await default_tenant_id(database)


async def default_tenant_id(database: Database) -> UUID:
    """Return the id of the tenant of callers who name none; remembered after the first time.

    Raises ApiUnavailableError if there is no tenant.
    """
    return await database.part(_DefaultTenant).id()


async def create_tenant(database: Database, request: CreateTenant) -> UUID:
    """Make a tenant. Raises BadInputError (bad slug) and UniquenessViolationError (slug taken)."""
    if not request.slug or slugify(request.slug) != request.slug:
        raise BadInputError('Slug must be "slugified" (lowercase; no spaces)')
    longest = 255
    if len(request.name) > longest or len(request.slug) > longest:
        raise BadInputError(f"A tenant's name and slug may have {longest} characters at most.")
    return await tenants.create(database, request.name, request.slug)
