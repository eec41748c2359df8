"""Whom a client acts for: its tenant, the credentials that are remembered, and addresses of pages."""

from urllib.parse import urlsplit, urlunsplit

import prefect
from prefect._generated import operations as ops
from prefect.client.auth import load_auth, save_auth
from prefect.client.facade.connection import Connection
from prefect.exceptions import ClientError, ObjectNotFoundError

__all__ = ["TenantMethods"]


class TenantMethods(Connection):
    """Methods about tenants and credentials."""

    @property
    def tenant_id(self) -> str:
        """The tenant of this client: the configured one, else the first that the API names (asked once)."""
        if self._tenant_id is None:
            if prefect.config.backend == "cloud":
                return self._tenant_of_key()
            tenants = self.execute(ops.first_tenant())
            if not tenants:
                raise ClientError(
                    "Your Prefect Server instance has no tenants. Create a tenant with `prefect server create-tenant`"
                )
            self._tenant_id = tenants[0].id
        return self._tenant_id

    @tenant_id.setter
    def tenant_id(self, tenant_id: str | None) -> None:
        self._tenant_id = self._checked_tenant(tenant_id)

    def _tenant_of_key(self) -> str:
        if not self.api_key:
            raise ValueError("You have not set an API key for authentication.")
        tenant_id = self.execute(ops.auth_info()).tenant_id
        if tenant_id is None:
            raise ClientError("The API does not say which tenant your API key belongs to.")
        self._tenant_id = tenant_id
        return tenant_id

    def get_available_tenants(self) -> list[dict[str, str]]:
        """Return `{"id", "slug", "name"}` of every tenant that the caller may see, by slug."""
        return [{"id": item.id, "slug": item.slug, "name": item.name} for item in self.execute(ops.tenants())]

    def get_default_tenant_slug(self) -> str:
        """Return the slug of this client's tenant; raises `ClientError` if the API does not know it."""
        for tenant in self.execute(ops.tenants()):
            if tenant.id == self.tenant_id:
                return tenant.slug
        raise ObjectNotFoundError(f"The API at {self.api_server} has no tenant with the id {self.tenant_id}.")

    def create_tenant(self, name: str, slug: str | None = None) -> str:
        """Create a tenant and return its id; raises `ValueError` unless the backend is "server"."""
        from slugify import slugify  # noqa: PLC0415 - few programs create tenants

        if prefect.config.backend != "server":
            raise ValueError(f"Tenants can only be created with the backend 'server', not {prefect.config.backend!r}.")
        return self.execute(ops.create_tenant(name=name, slug=slug or slugify(name))).id

    def switch_tenant(self, tenant_slug: str | None = None, tenant_id: str | None = None) -> str:
        """Act for another tenant that the API key may act for, and return its id.

        Raises `ValueError` without slug and id, `ClientError` if there is no such tenant.
        """
        if not (tenant_slug or tenant_id):
            raise ValueError("A `tenant_slug` or a `tenant_id` must be provided to switch tenants.")
        for tenant in self.execute(ops.tenants()):
            if tenant_slug in {None, tenant.slug} and tenant_id in {None, tenant.id}:
                self.tenant_id = tenant.id
                return tenant.id
        raise ObjectNotFoundError(f"No tenant of yours has the slug or id {tenant_slug or tenant_id!r}.")

    def load_auth_from_disk(self) -> dict[str, str]:
        """Return the key and the tenant that are remembered for this API."""
        return load_auth(self.api_server)

    def save_auth_to_disk(self) -> None:
        """Remember this client's key and tenant for its API."""
        save_auth(self.api_server, api_key=self.api_key, tenant_id=self._tenant_id)

    def get_cloud_url(self, subdirectory: str, id: str) -> str:  # noqa: A002 - the name is part of the 1.x API
        """Return the address of a page about a "flow", "flow-run" or "task-run"."""
        return f"{self._page_base()}/{self.get_default_tenant_slug()}/{subdirectory}/{id}"

    def _page_base(self) -> str:
        parts = urlsplit(self.api_server)
        if parts.hostname and parts.hostname.endswith(".prefect.io"):
            return urlunsplit((parts.scheme, parts.netloc.replace("api", "cloud", 1), "", "", ""))
        server = prefect.config.server
        # The server shows its own pages: an address that nobody configured is the API's.
        if str(server.ui.endpoint) == str(server.endpoint) and str(server.endpoint).rstrip("/") != self.api_server:
            return self.api_server
        return str(server.ui.endpoint).rstrip("/")
