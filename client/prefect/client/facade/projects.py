"""Projects: found by name, created once, deleted with what is in them."""

from prefect._generated import operations as ops
from prefect.client.errors import ApiError
from prefect.client.facade.tenants import TenantMethods
from prefect.client.request import UNSET

__all__ = ["ProjectMethods"]


class ProjectMethods(TenantMethods):
    """Methods about projects."""

    def find_project(self, project_name: str) -> str | None:
        """Return the id of a project by its name, or None."""
        found = self.execute(ops.projects_by_name(name=project_name, tenant_id=self._tenant_id or UNSET))
        return found[0].id if found else None

    def create_project(self, project_name: str, project_description: str | None = None) -> str:
        """Create a project, or find the one that has this name, and return its id."""
        try:
            return self.execute(
                ops.create_project(name=project_name, description=project_description, tenant_id=self.tenant_id)
            ).id
        except ApiError as error:
            existing = self.find_project(project_name) if "Uniqueness violation." in str(error) else None
            if existing is None:
                raise
            return existing

    def delete_project(self, project_name: str) -> bool:
        """Delete a project with its flows and their runs; returns whether it was there to the end.

        Raises `TypeError` for None and `ValueError` for a project that does not exist.
        """
        if project_name is None:
            raise TypeError("'project_name' is a required field for deleting a project.")
        project_id = self.find_project(project_name)
        if project_id is None:
            raise ValueError(f"Project {project_name} not found.")
        return bool(self.execute(ops.delete_project(project_id=project_id)).success)
