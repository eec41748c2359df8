"""Tenants: the scope of everything else. One exists from the first start on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from slugify import slugify

from flowstead_server.domain.errors import ApiUnavailableError, BadInputError, NotFoundError
from flowstead_server.domain.serialized_states import encode
from flowstead_server.store import tenants

if TYPE_CHECKING:
    from uuid import UUID

    from flowstead_server.db import Database
    from flowstead_server.domain.caller import Caller


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
    """Make a tenant. Raises BadInputError (bad slug or name) and UniquenessViolationError (slug taken)."""
    _check_slug(request.slug)
    _check_length(request.name)
    return await tenants.create(database, request.name, request.slug)


async def update_tenant_name(database: Database, caller: Caller, tenant_id: UUID, name: str) -> UUID:
    """Rename the caller's tenant; returns its id. Raises NotFoundError for any other, BadInputError (name)."""
    _check_length(name)
    if tenant_id != caller.tenant_id or not await tenants.set_name(database, tenant_id, name):
        raise NotFoundError("Update failed.")
    return tenant_id


async def update_tenant_slug(database: Database, caller: Caller, tenant_id: UUID, slug: str) -> UUID:
    """Give the caller's tenant another slug; returns its id.

    Raises BadInputError (bad slug), UniquenessViolationError (slug taken), NotFoundError (any other tenant).
    """
    _check_slug(slug)
    if tenant_id != caller.tenant_id or not await tenants.set_slug(database, tenant_id, slug):
        raise NotFoundError("Update failed.")
    return tenant_id


async def update_tenant_settings(database: Database, caller: Caller, tenant_id: UUID, settings: object) -> UUID:
    """Merge members into the settings of the caller's tenant (null: none); returns its id.

    Raises BadInputError unless they are a JSON object, NotFoundError for any other tenant.
    """
    if settings is not None and not isinstance(settings, dict):
        raise BadInputError(f"The settings of a tenant must be a JSON object, but they are {str(settings)[:80]!r}.")
    text = encode(settings or {})
    if tenant_id != caller.tenant_id or not await tenants.merge_settings(database, tenant_id, text):
        raise NotFoundError("Invalid tenant id.")
    return tenant_id


def _check_slug(slug: str) -> None:
    if not slug or slugify(slug) != slug:
        raise BadInputError('Slug must be "slugified" (lowercase; no spaces)')
    _check_length(slug)


def _check_length(text: str) -> None:
    longest = 255
    if len(text) > longest:
        raise BadInputError(f"A tenant's name and slug may have {longest} characters at most.")
