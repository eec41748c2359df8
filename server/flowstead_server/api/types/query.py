"""The query root: the tables, and the few fields beside them that are ordinary resolvers.

Table fields have no resolvers; `api.types.execution` answers them before GraphQL's own execution starts. The other
fields fail with the errors of the verbs that they call.
"""

import os
from datetime import datetime
from functools import cache
from importlib.metadata import version
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import UNSET
from strawberry.scalars import JSON

from flowstead_server.api.context import Info
from flowstead_server.api.fields import query
from flowstead_server.api.scalars import stored_json
from flowstead_server.api.slots import MOST_SECONDS, wait_for_slot
from flowstead_server.api.streams import read_cursor
from flowstead_server.api.types.builder import add_fields
from flowstead_server.api.types.events import FlowRunEventPage, page_of
from flowstead_server.api.types.explanations import FlowRunExplanation, explanation_of
from flowstead_server.api.types.tables import root_fields
from flowstead_server.domain.states import state_colors, state_hierarchy
from flowstead_server.orchestration.events import MAX_PAGE, read_events
from flowstead_server.orchestration.explanations import explain_flow_run
from flowstead_server.orchestration.key_values import secret_names, secret_value
from flowstead_server.orchestration.projects import project_retention
from flowstead_server.orchestration.task_runs import get_task_run_info, mapped_children


@cache
def _package_version() -> str:
    return version("flowstead")


@strawberry.type(name="api_info", description="What answers, and in which version.")
class ApiInfo:
    """Payload of `api`."""

    backend: str | None = strawberry.field(description="Which kind of backend this is: always `SERVER`.")
    mode: str | None = strawberry.field(description="Whether the server works as usual: always `normal`.")
    version: str | None = strawberry.field(description="Version of the server.")
    core_version: str | None = strawberry.field(description="Version of the library that belongs to the server.")
    release_timestamp: str | None = strawberry.field(description="When the server was released; null: not known.")


@strawberry.type(name="task_run_info_payload", description="A task run and its stored state.")
class TaskRunInfoPayload:
    """Payload of `get_task_run_info`."""

    id: UUID | None = strawberry.field(description="Id of the task run.")
    version: int | None = strawberry.field(description="Stored version of its state.")
    state: str | None = strawberry.field(description="Name of its state, such as `Running`.")
    serialized_state: JSON | None = strawberry.field(description="Its state, whole.")


@strawberry.type(name="reference_data", description="What never changes: facts about the states of runs.")
class ReferenceData:
    """Payload of `reference_data`."""

    state_hierarchy: JSON = strawberry.field(description="For each state: itself and all states that are kinds of it.")
    state_info: JSON = strawberry.field(description="For each state an object with its `color`.")


@strawberry.type(name="retention_rule", description="How long runs in one state, and their logs, are kept.")
class RetentionRule:
    """One answer of `project_retention`."""

    state: str = strawberry.field(description="A finished state.")
    logs_days: int = strawberry.field(description="For how many days after the end of a run its log is kept.")
    runs_days: int = strawberry.field(description="For how many days after its end a run is kept.")
    is_own: bool = strawberry.field(description="Whether the project says so; otherwise the server does.")


@strawberry.type(name="mapped_children_payload", description="Figures about the children of a mapped task run.")
class MappedChildrenPayload:
    """Payload of `mapped_children`."""

    min_start_time: datetime | None = strawberry.field(description="When the first of them started; null: none has.")
    max_end_time: datetime | None = strawberry.field(description="When the last of them ended; null: none has.")
    state_counts: JSON | None = strawberry.field(description="How many there are in each state.")


@strawberry.type(name="auth_info", description="Who asks.")
class AuthInfo:
    """Payload of `auth_info`."""

    tenant_id: UUID | None = strawberry.field(description="Tenant that the caller belongs to.")
    user_id: UUID | None = strawberry.field(
        description="User that the caller is. Without users it is the id of the tenant, which has no other."
    )


@strawberry.type(name="Query", description="Everything that can be read.")
class Query:
    """The query root."""

    @query(description="A sign of life.")
    def hello(self) -> str | None:
        """Answer with a waving hand."""
        return "👋"

    @query(description="What answers, and in which version.")
    def api(self) -> ApiInfo | None:
        """Answer from the environment of the process, as 1.x did, or from the installed package."""
        return ApiInfo(
            backend="SERVER",
            mode="normal",
            version=os.environ.get("PREFECT_SERVER_VERSION") or _package_version(),
            core_version=os.environ.get("PREFECT_CORE_VERSION") or _package_version(),
            release_timestamp=os.environ.get("RELEASE_TIMESTAMP") or None,
        )

    @query(description="The states of runs: which are kinds of which, and their colors.")
    def reference_data(self) -> ReferenceData | None:
        """Answer from the tables of the domain."""
        info = {name: {"color": color} for name, color in state_colors().items()}
        return ReferenceData(state_hierarchy=JSON(state_hierarchy()), state_info=JSON(info))

    @query(description="Figures about the children of a mapped task run; empty ones for any other id.")
    async def mapped_children(
        self,
        info: Info,
        task_run_id: Annotated[UUID, strawberry.argument(description="Id of the mapped parent.")],
    ) -> MappedChildrenPayload | None:
        """Count the children of one task run of the caller's tenant."""
        found = await mapped_children(info.context.database, info.context.caller, task_run_id)
        return MappedChildrenPayload(
            min_start_time=found.min_start_time,
            max_end_time=found.max_end_time,
            state_counts=JSON(found.state_counts),
        )

    @query(description="Who asks: the tenant and user of the caller.")
    def auth_info(self, info: Info) -> AuthInfo | None:
        """Answer what the server knows of the caller."""
        tenant_id = info.context.caller.tenant_id
        # 1.4.1 makes no key for nobody, and there are no users yet
        return AuthInfo(tenant_id=tenant_id, user_id=tenant_id)

    @query(description="The names of all secrets.")
    async def secret_names(self, info: Info) -> list[str] | None:
        """List the names of the tenant's secrets."""
        return await secret_names(info.context.database, info.context.caller)

    @query(description="A secret, by its name.")
    async def secret_value(
        self, info: Info, name: Annotated[str, strawberry.argument(description="Name of the secret.")]
    ) -> JSON | None:
        """Read one secret.

        Raises:
            FlowsteadError: the tenant has no such secret.
        """
        return stored_json(await secret_value(info.context.database, info.context.caller, name))

    @query(description="A task run and its stored state, by id.")
    async def get_task_run_info(
        self, info: Info, task_run_id: Annotated[UUID, strawberry.argument(description="Id of the task run.")]
    ) -> TaskRunInfoPayload | None:
        """Read one task run of the caller's tenant.

        Raises:
            FlowsteadError: the tenant has no such task run.
        """
        found = await get_task_run_info(info.context.database, info.context.caller, task_run_id)
        return TaskRunInfoPayload(
            id=found.id,
            version=found.version,
            state=found.state,
            serialized_state=stored_json(found.serialized_state),
        )

    @query(description="For how long a project's finished runs and their logs are kept: one answer for each state.")
    async def project_retention(
        self, info: Info, project_id: Annotated[UUID, strawberry.argument(description="Id of the project.")]
    ) -> list[RetentionRule] | None:
        """Answer with the rules in force, the project's own and the server's.

        Raises:
            FlowsteadError: the tenant has no such project.
        """
        found = await project_retention(info.context.database, info.context.caller, project_id)
        return [RetentionRule(**{name: getattr(rule, name) for name in rule.__slots__}) for rule in found]

    @query(description="Why a flow run is where it is: the one thing that it waits for, since when, and what to do.")
    async def flow_run_explanation(
        self, info: Info, flow_run_id: Annotated[UUID, strawberry.argument(description="Id of the flow run.")]
    ) -> FlowRunExplanation | None:
        """Explain one run of the caller's tenant.

        Raises:
            FlowsteadError: the tenant has no such run.
        """
        return explanation_of(await explain_flow_run(info.context.database, info.context.caller, flow_run_id))

    @query(
        description=(
            "Waits for a slot of a concurrency limit, for a run that was answered `QUEUED`: true as soon as it should "
            "ask again, false when the time is up."
        )
    )
    async def wait_for_slot(
        self,
        info: Info,
        flow_run_id: Annotated[
            UUID | None, strawberry.argument(description="Id of a flow run that is Queued.")
        ] = strawberry.UNSET,
        task_run_id: Annotated[
            UUID | None, strawberry.argument(description="Id of a task run that is Queued, instead.")
        ] = strawberry.UNSET,
        seconds: Annotated[
            int | None,
            strawberry.argument(description=f"How long to wait: 0 to {MOST_SECONDS}, default {MOST_SECONDS}."),
        ] = strawberry.UNSET,
    ) -> bool | None:
        """Wait for a slot of one run of the caller's tenant.

        Raises:
            FlowsteadError: the tenant has no such run, or the arguments make no sense.
        """
        return await wait_for_slot(
            info.context,
            flow_run_id or None,
            task_run_id or None,
            MOST_SECONDS if seconds in {None, UNSET} else seconds,
        )

    @query(
        description=(
            "A page of what the subscription `flow_run_events` tells, for those who cannot subscribe: state changes, "
            "task run changes and log lines of one flow run, in their order."
        )
    )
    async def flow_run_event_page(
        self,
        info: Info,
        flow_run_id: Annotated[UUID, strawberry.argument(description="Id of the flow run.")],
        after: Annotated[
            str | None, strawberry.argument(description="Cursor to go on from; null means from the beginning.")
        ] = strawberry.UNSET,
        limit: Annotated[
            int | None, strawberry.argument(description=f"How many events at most: 1 to {MAX_PAGE}, the default.")
        ] = strawberry.UNSET,
    ) -> FlowRunEventPage | None:
        """Read one page.

        Raises:
            FlowsteadError: the tenant has no such run, or cursor or limit cannot be used.
        """
        size = MAX_PAGE if limit is None or limit is strawberry.UNSET else limit
        cursor = read_cursor(after or None)
        return page_of(await read_events(info.context.database, info.context.caller, flow_run_id, cursor, size))


add_fields(Query, root_fields())
