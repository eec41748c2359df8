"""What is set up beside flows and runs: secrets, limits of tags, and agents."""

from collections.abc import Sequence
from typing import Any

from prefect._generated import operations as ops
from prefect.client.encoding import check_finite
from prefect.client.facade.tenants import TenantMethods
from prefect.exceptions import ObjectNotFoundError

__all__ = ["AdministrationMethods"]


class AdministrationMethods(TenantMethods):
    """Methods about secrets, limits of tags, and agents."""

    def set_secret(self, name: str, value: Any) -> None:
        """Store a secret, any JSON value, under a name; raises `ValueError` if the API did not take it."""
        check_finite(value, "The secret")
        if not self.execute(ops.set_secret(name=name, value=value)).success:
            raise ValueError("Setting secret failed.")

    def get_task_tag_limit(self, tag: str) -> int | None:
        """Return how many task runs with a tag may run at the same time; None means any number."""
        found = self.execute(ops.task_tag_limit(tag=tag))
        return found[0].limit if found else None

    def update_task_tag_limit(self, tag: str, limit: int) -> None:
        """Set how many task runs with a tag may run at the same time; raises `ValueError` below 0."""
        if limit < 0:
            raise ValueError("Concurrency limits must be >= 0")
        self.execute(ops.update_task_tag_limit(tag=tag, limit=limit))

    def delete_task_tag_limit(self, limit_id: str) -> None:
        """Remove a limit of task runs by its id; raises `ValueError` if there is no such limit."""
        if not self.execute(ops.delete_task_tag_limit(limit_id=limit_id)).success:
            raise ValueError("Deleting the task tag concurrency limit failed.")

    def register_agent(
        self,
        agent_type: str,
        name: str | None = None,
        labels: Sequence[str] | None = None,
        agent_config_id: str | None = None,
    ) -> str:
        """Make an agent known to the API and return its id."""
        request = ops.register_agent(
            type=agent_type,
            name=name,
            labels=list(labels or []),
            tenant_id=self.tenant_id,
            agent_config_id=agent_config_id,
        )
        return self.execute(request).id

    def get_agent_config(self, agent_config_id: str) -> dict[str, Any]:
        """Return the settings of an agent configuration; raises `ObjectNotFoundError`."""
        found = self.execute(ops.agent_config(id=agent_config_id))
        if found is None:
            raise ObjectNotFoundError(f"There is no agent configuration with the id {agent_config_id!r}.")
        return dict(found.settings)
