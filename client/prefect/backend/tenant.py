"""`TenantView`: a tenant of the API."""

from dataclasses import dataclass

from prefect._generated import operations as ops
from prefect.client import Client

__all__ = ["TenantView"]


@dataclass(frozen=True)
class TenantView:
    """A tenant, as it was when it was asked for."""

    tenant_id: str
    name: str
    slug: str

    @classmethod
    def from_tenant_id(cls, tenant_id: str) -> "TenantView":
        """Return the tenant of this id; raises `ValueError` if there is none."""
        for tenant in Client().execute(ops.tenants()):
            if tenant.id == tenant_id:
                return cls(tenant_id=tenant.id, name=tenant.name, slug=tenant.slug)
        raise ValueError(f"No results found while querying for tenants where {{'id': {{'_eq': {tenant_id!r}}}}}")

    @classmethod
    def from_current_tenant(cls) -> "TenantView":
        """Return the tenant that the client acts for."""
        return cls.from_tenant_id(Client().tenant_id)
