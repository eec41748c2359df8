"""`prefect.Client`: the API for users and for the engine, one method per thing that can be done.

Constructing a client sends nothing.  Methods raise what sessions raise (`prefect.client.session`): `ClientError` and
its children, or `VersionLockMismatchSignal`; and `ValueError` or `TypeError` for arguments that cannot be right.
"""

from typing import TYPE_CHECKING

from prefect.client.facade.administration import AdministrationMethods
from prefect.client.facade.artifacts import ArtifactMethods
from prefect.client.facade.flow_runs import FlowRunMethods
from prefect.client.facade.projects import ProjectMethods
from prefect.client.facade.task_runs import TaskRunMethods
from prefect.client.registration import register_flow

if TYPE_CHECKING:
    from prefect.core.flow import Flow

__all__ = ["Client"]


class Client(ProjectMethods, FlowRunMethods, TaskRunMethods, ArtifactMethods, AdministrationMethods):
    """A connection to an API.

    Missing arguments come from `prefect.context.config.cloud` (`api`, `api_key`, `tenant_id`), then from `auth.toml` in
    the home directory.  Raises `ValueError` if `tenant_id` is no UUID, `ClientError` if the URL cannot be one.  An API
    that is away is waited for during a minute, or as long as the attribute `patience` says.
    """

    def register(
        self,
        flow: "Flow",
        project_name: str | None = None,
        build: bool = True,
        set_schedule_active: bool = True,
        version_group_id: str | None = None,
        compressed: bool = True,
        no_url: bool = False,
        idempotency_key: str | None = None,
    ) -> str:
        """Register a flow with a project, print where it is unless `no_url`, and return its id.

        With an `idempotency_key` equal to that of the latest registration nothing new is made.  Raises `ClientError`
        for a schedule that cannot provide the parameters, `ValueError` for an unknown project, `TypeError` for none.
        """
        return register_flow(
            self,
            flow,
            project_name,
            build=build,
            set_schedule_active=set_schedule_active,
            version_group_id=version_group_id,
            compressed=compressed,
            no_url=no_url,
            idempotency_key=idempotency_key,
        )
