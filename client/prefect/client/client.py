"""`prefect.Client`: the API for users and for the engine, one method per thing that can be done.

Constructing a client sends nothing.  Methods raise what sessions raise (`prefect.client.session`): `ClientError` and
its children, or `VersionLockMismatchSignal`; and `ValueError` or `TypeError` for arguments that cannot be right.
Clients of one API share their connections.  What a claimed run's process says about its own run carries the run's claim
token, so that the API can refuse a process that is no longer the run's; what it says about other runs does not.
"""

import logging
import math
import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import prefect
from prefect._generated import operations as ops
from prefect.client.auth import load_auth, save_auth
from prefect.client.endpoint import CLAIM_TOKEN_HEADER, HEARTBEAT_HEADER, resolve
from prefect.client.errors import ApiError, error_from_answer
from prefect.client.registration import register_flow
from prefect.client.request import UNSET, Request
from prefect.client.results import FlowRunInfoResult, ProjectInfo, TaskRunInfoResult
from prefect.client.session import Session
from prefect.exceptions import ClientError, ObjectNotFoundError
from prefect.utilities.graphql import GraphQLResult, parse_graphql

if TYPE_CHECKING:
    from prefect._generated.flow_runs import RestartFlowRun
    from prefect.core.flow import Flow
    from prefect.engine.state import State
    from prefect.run_configs import RunConfig

__all__ = ["Client", "queued_state"]

R = TypeVar("R")
_BAD_REQUEST = 400
_CHILDREN_AT_ONCE = 1000
_MUTATION = re.compile(r"^\s*mutation\b", re.MULTILINE)
_sessions: dict[tuple[Any, ...], Session] = {}


def _session(url: str, api_key: str | None, tenant_id: str | None, timeout: float) -> Session:
    key = (url, api_key, tenant_id, timeout)
    session = _sessions.get(key)
    if session is None:
        session = _sessions.setdefault(key, Session(url, api_key=api_key, tenant_id=tenant_id, timeout=timeout))
    return session


def _flow_runs_of(variables: Mapping[str, Any]) -> set[str]:
    """Return the ids of the flow runs that an operation changes."""
    given = variables.get("input")
    if not isinstance(given, Mapping):
        return set()
    members = [given, *(given.get("states") or ()), *(given.get("logs") or ())]
    return {str(member["flow_run_id"]) for member in members if member.get("flow_run_id")}


def _check_finite(value: Any, place: str) -> None:
    """Raise `ClientError` for a number that JSON does not have, which would silently become null."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ClientError(f"{place} is {value}, which JSON cannot express; use None or a string instead.")
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_finite(item, f"{place}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check_finite(item, f"{place}[{index}]")


class Client:
    """A connection to an API.

    Missing arguments come from `prefect.context.config.cloud` (`api`, `api_key`, `tenant_id`), then from `auth.toml` in
    the home directory.  Raises `ValueError` if `tenant_id` is no UUID, `ClientError` if the URL cannot be one.
    """

    def __init__(self, api_server: str | None = None, api_key: str | None = None, tenant_id: str | None = None) -> None:
        settings = prefect.context.get("config") or prefect.config
        endpoint = resolve(api_server, api_key=api_key, tenant_id=tenant_id, settings=settings)
        remembered = {} if endpoint.api_key and endpoint.tenant_id else load_auth(endpoint.url)
        self.api_server = endpoint.url
        self.api_key: str | None = endpoint.api_key or remembered.get("api_key")
        self._tenant_id = self._checked_tenant(endpoint.tenant_id or remembered.get("tenant_id"))
        self._timeout = endpoint.timeout
        self._setting = endpoint.setting
        self._attached_headers: dict[str, str] = {}
        self.logger = logging.getLogger("prefect.client.diagnostics")

    @staticmethod
    def _checked_tenant(tenant_id: str | None) -> str | None:
        if not tenant_id:
            return None
        try:
            return str(uuid.UUID(str(tenant_id)))
        except ValueError:
            raise ValueError(f"The `tenant_id` must be a valid UUID. Got {tenant_id!r}.") from None

    # sending

    def attach_headers(self, headers: Mapping[str, str]) -> None:
        """Send these headers with every later request of this client."""
        self._attached_headers.update(headers)

    def _headers(self, extra: Mapping[str, str] | None = None, *, is_claimed: bool = False) -> dict[str, str]:
        headers = {**self._attached_headers, **(extra or {})}
        token = prefect.context.get("claim_token") if is_claimed else None
        if token:
            headers.setdefault(CLAIM_TOKEN_HEADER, str(token))
        return headers

    @property
    def session(self) -> Session:
        """The session that this client sends with; other clients of the same API use it too."""
        return _session(self.api_server, self.api_key, self._tenant_id, self._timeout)

    def execute(self, request: Request[R], *, headers: Mapping[str, str] | None = None, retry: bool = True) -> R:
        """Send a generated request (`prefect._generated.operations`) and return its typed answer."""
        runs = _flow_runs_of(request.variables)
        # Without the id of a flow run it is about a task run, and those are the engine's own.
        is_claimed = not runs or runs == {str(prefect.context.get("flow_run_id"))}
        return self.session.execute(request, headers=self._headers(headers, is_claimed=is_claimed), retry=retry)

    def graphql(
        self,
        query: Any,
        raise_on_error: bool = True,
        headers: Mapping[str, str] | None = None,
        variables: Mapping[str, Any] | None = None,
        api_key: str | None = None,
        retry_on_api_error: bool = True,
    ) -> GraphQLResult:
        """Send a query or mutation, as text or as nested Python structure, and return the whole answer.

        Raises `ClientError` if the answer has errors, unless `raise_on_error` is false.  A mutation is sent again only
        if the API cannot have seen it: nobody but its author knows whether doing it twice does harm.
        """
        document = parse_graphql(query)
        retry = retry_on_api_error and _MUTATION.search(document) is None
        session = _session(self.api_server, api_key, self._tenant_id, self._timeout) if api_key else self.session
        try:
            answer = session.send(
                document, variables or {}, headers=self._headers(headers), retry=retry, raise_errors=False
            )
        except ApiError as error:
            if error.status == _BAD_REQUEST:
                raise _refused(error, document, variables) from error
            raise
        if raise_on_error and "errors" in answer:
            raise error_from_answer(answer["errors"])
        return GraphQLResult(answer)

    def get(
        self,
        path: str,
        server: str | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        api_key: str | None = None,
        retry_on_api_error: bool = True,
    ) -> dict[str, Any]:
        """Ask an address below the API's (or `server`'s) URL, and return the JSON object that it answers.

        `params` go into the query string.  Raises `ClientError`.
        """
        return self._fetch("GET", path, server, headers, params, api_key, retry=retry_on_api_error)

    def post(
        self,
        path: str,
        server: str | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        api_key: str | None = None,
        retry_on_api_error: bool = True,
    ) -> dict[str, Any]:
        """Post `params` as JSON to an address below the API's (or `server`'s) URL; otherwise as `get`."""
        return self._fetch("POST", path, server, headers, params, api_key, retry=retry_on_api_error)

    def _fetch(
        self,
        method: str,
        path: str,
        server: str | None,
        headers: Mapping[str, str] | None,
        params: Mapping[str, Any] | None,
        api_key: str | None,
        *,
        retry: bool,
    ) -> dict[str, Any]:
        url = f"{(server or self.api_server).rstrip('/')}/{path.lstrip('/')}"
        session = _session(self.api_server, api_key, self._tenant_id, self._timeout) if api_key else self.session
        return session.fetch(method, url, params, headers=self._headers(headers), retry=retry)

    # tenants and credentials

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

    # projects and flows

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

    # flow runs

    def create_flow_run(
        self,
        flow_id: str | None = None,
        context: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
        run_config: "RunConfig | None" = None,
        labels: Sequence[str] | None = None,
        scheduled_start_time: datetime | None = None,
        idempotency_key: str | None = None,
        run_name: str | None = None,
        version_group_id: str | None = None,
        flow_group_id: str | None = None,
        parent_flow_run_id: str | None = None,
    ) -> str:
        """Create a flow run and return its id.

        The flow is that of `flow_id`, else the newest of `flow_group_id`, else the newest of `version_group_id`;
        raises `ValueError` if none is given.  The same `idempotency_key` (random by default) gives the same run.
        A run that is created while this process executes another is its child, or that of `parent_flow_run_id`; see
        `prefect cancel --children`.
        """
        if not (flow_id or flow_group_id or version_group_id):
            raise ValueError("One of flow_id or version_group_id must be provided")
        _check_finite(parameters, "The parameters")
        _check_finite(context, "The context")
        flow = {"flow_id": flow_id} if flow_id else {"flow_group_id": flow_group_id} if flow_group_id else {}
        request = ops.create_flow_run(
            **flow,
            version_group_id=UNSET if flow or not version_group_id else version_group_id,
            idempotency_key=idempotency_key or uuid.uuid4().hex,
            parameters=UNSET if parameters is None else parameters,
            context=UNSET if context is None else context,
            run_config=UNSET if run_config is None else run_config.serialize(),
            labels=UNSET if labels is None else list(labels),
            scheduled_start_time=UNSET if scheduled_start_time is None else scheduled_start_time.isoformat(),
            flow_run_name=UNSET if run_name is None else run_name,
            parent_flow_run_id=parent_flow_run_id or self._executed_run() or UNSET,
        )
        return self.execute(request).id

    def _executed_run(self) -> str | None:
        """Return the id of the run that this process executes, if it is a run of this client's API."""
        context = prefect.context
        if not context.get("running_with_backend") or self.api_server != resolve().url:
            return None
        flow_run_id: str | None = context.get("flow_run_id")
        return flow_run_id

    def get_flow_run_info(self, flow_run_id: str) -> FlowRunInfoResult:
        """Return what a runner starts from; raises `ClientError` if there is no such run."""
        from prefect.utilities.datetimes import as_datetime  # noqa: PLC0415 - loads pendulum

        run = self.execute(ops.flow_run_info(id=flow_run_id))
        if run is None:
            raise ObjectNotFoundError(f'Flow run ID not found: "{flow_run_id}"')
        project = run.flow.project
        return FlowRunInfoResult(
            id=run.id,
            name=run.name or "",
            flow_id=run.flow_id,
            project=ProjectInfo(id=project.id, name=project.name),
            parameters=run.parameters,
            context=run.context,
            version=run.version,
            scheduled_start_time=as_datetime(run.scheduled_start_time),
            state=_state(run.serialized_state),
            task_runs=[
                TaskRunInfoResult(
                    item.id, item.task.id, item.task.slug or "", item.version, _state(item.serialized_state)
                )
                for item in run.task_runs
            ],
            flow_settings=run.flow.settings or {},
        )

    def get_flow_run_state(self, flow_run_id: str) -> "State":
        """Return the state of a flow run; raises `ObjectNotFoundError`."""
        run = self.execute(ops.flow_run_state(id=flow_run_id))
        if run is None:
            raise ObjectNotFoundError(f"There is no flow run with the id {flow_run_id!r}.")
        return _state(run.serialized_state)

    def set_flow_run_state(self, flow_run_id: str, state: "State", version: int | None = None) -> "State":
        """Move a flow run to a state and return the state to go on with: this one, or `Queued` if it has to wait.

        Raises `VersionLockMismatchSignal` if the run is no longer at `version`.
        """
        change = {"flow_run_id": flow_run_id, "version": version, "state": state.serialize()}
        [answer] = self.execute(ops.set_flow_run_states(states=[change])).states
        return queued_state(answer.message) if answer.status == "QUEUED" else state

    def set_flow_run_name(self, flow_run_id: str, name: str) -> bool:
        """Rename a flow run; returns whether it exists."""
        return bool(self.execute(ops.set_flow_run_name(flow_run_id=flow_run_id, name=name)).success)

    def cancel_flow_run(self, flow_run_id: str) -> str:
        """Cancel a flow run; returns the name of its new state."""
        return self.execute(ops.cancel_flow_run(flow_run_id=flow_run_id)).state

    def restart_flow_run(
        self,
        flow_run_id: str,
        tasks: Sequence[str] = (),
        dry_run: bool = False,
        idempotency_key: str | None = None,
    ) -> "RestartFlowRun":
        """Let a flow run that has ended go on: what did not succeed runs again, and what is needed and was not stored.

        `tasks` names tasks that are to run again although they succeeded.  The answer has `again`, with a `reason` for
        each task run, and `kept`, the number of the others; with `dry_run` nothing else happens.  Safe to repeat.
        Raises `ClientError` for a run that has not ended, or of which nothing has to run again.
        """
        return self.execute(
            ops.restart_flow_run(
                flow_run_id=flow_run_id,
                tasks=list(tasks),
                dry_run=dry_run,
                idempotency_key=idempotency_key or uuid.uuid4().hex,
            )
        )

    def update_flow_run_heartbeat(self, flow_run_id: str) -> None:
        """Say that the process of a flow run is alive."""
        self.execute(
            ops.update_flow_run_heartbeat(flow_run_id=flow_run_id), headers={HEARTBEAT_HEADER: str(flow_run_id)}
        )

    def write_run_logs(self, logs: Sequence[Mapping[str, Any]], batch_id: str | None = None) -> None:
        """Append log lines: `flow_run_id`, `task_run_id`, `timestamp`, `name`, `level`, `message` of each.

        Lines that are sent again with the same `batch_id`, a UUID (random by default), are stored once.  Raises
        `ValueError` if the API did not take them.
        """
        if not self.execute(ops.write_run_logs(logs=logs, batch_id=batch_id or str(uuid.uuid4()))).success:
            raise ValueError("Writing logs failed.")

    # task runs

    def get_task_run_info(self, flow_run_id: str, task_id: str, map_index: int | None = None) -> TaskRunInfoResult:
        """Return a task run as its runner needs it; the run is made if it does not exist.  No index means -1."""
        run = self.execute(
            ops.get_or_create_task_run_info(
                flow_run_id=flow_run_id, task_id=task_id, map_index=-1 if map_index is None else map_index
            )
        )
        return TaskRunInfoResult(run.id, task_id, "", run.version, _state(run.serialized_state))

    def get_mapped_task_runs(self, flow_run_id: str, task_id: str, count: int) -> list[TaskRunInfoResult]:
        """Return the first `count` mapped children of a task as their runners need them; missing ones are made."""
        found: list[TaskRunInfoResult] = []
        while len(found) < count:
            answer = self.execute(
                ops.get_or_create_mapped_task_runs(
                    flow_run_id=flow_run_id,
                    task_id=task_id,
                    first=len(found),
                    count=min(_CHILDREN_AT_ONCE, count - len(found)),
                )
            )
            found += [
                TaskRunInfoResult(run.id, task_id, "", run.version, _state(run.serialized_state))
                for run in answer.task_runs
            ]
        return found

    def get_task_run_state(self, task_run_id: str) -> "State":
        """Return the state of a task run; raises `ClientError` if there is no such run."""
        return _state(self.execute(ops.get_task_run_info(task_run_id=task_run_id)).serialized_state)

    def set_task_run_state(
        self,
        task_run_id: str,
        state: "State",
        version: int | None = None,
        cache_for: timedelta | None = None,
    ) -> "State":
        """Move a task run to a state and return the state to go on with: this one, or `Queued` if it has to wait.

        Raises `VersionLockMismatchSignal` if the run is no longer at `version`.  `cache_for` has no effect, as in 1.x.
        """
        change = {"task_run_id": task_run_id, "version": version, "state": state.serialize()}
        [answer] = self.execute(ops.set_task_run_states(states=[change])).states
        return queued_state(answer.message) if answer.status == "QUEUED" else state

    def set_task_run_name(self, task_run_id: str, name: str) -> bool:
        """Rename a task run; returns whether it exists."""
        return bool(self.execute(ops.set_task_run_name(task_run_id=task_run_id, name=name)).success)

    def get_latest_cached_states(self, task_id: str, cache_key: str | None, created_after: datetime) -> "list[State]":
        """Return the Cached states of a cache key, or without one of a task, newest first and at most 100."""
        found = self.execute(
            ops.cached_task_run_states(
                created_after=created_after,
                cache_key=cache_key if cache_key is not None else UNSET,
                task_id=task_id if cache_key is None else UNSET,
            )
        )
        return [_state(item.serialized_state) for item in found]

    # artifacts

    def create_task_run_artifact(
        self, task_run_id: str, kind: str, data: Mapping[str, Any], tenant_id: str | None = None
    ) -> str:
        """Publish something from a task run and return the artifact's id.

        `kind` is "link" with `data` `{"link": url}`, "markdown" with `{"markdown": text}`, or one of your own.
        """
        request = ops.create_task_run_artifact(
            task_run_id=task_run_id,
            kind=kind,
            data=data,
            tenant_id=UNSET if tenant_id is None else tenant_id,
            id=str(uuid.uuid4()),
        )
        return self.execute(request).id

    def update_task_run_artifact(self, task_run_artifact_id: str, data: Mapping[str, Any]) -> None:
        """Replace the content of an artifact; raises `ClientError` if there is no such artifact."""
        _check_success(
            self.execute(ops.update_task_run_artifact(task_run_artifact_id=task_run_artifact_id, data=data)).success,
            f"There is no artifact with the id {task_run_artifact_id!r} to update.",
        )

    def delete_task_run_artifact(self, task_run_artifact_id: str) -> None:
        """Delete an artifact; raises `ClientError` if there is no such artifact."""
        _check_success(
            self.execute(ops.delete_task_run_artifact(task_run_artifact_id=task_run_artifact_id)).success,
            f"There is no artifact with the id {task_run_artifact_id!r} to delete.",
        )

    # secrets and limits

    def set_secret(self, name: str, value: Any) -> None:
        """Store a secret, any JSON value, under a name; raises `ValueError` if the API did not take it."""
        _check_finite(value, "The secret")
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

    # agents

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


def _check_success(success: bool | None, otherwise: str) -> None:
    if not success:
        raise ObjectNotFoundError(otherwise)


def _state(serialized: Mapping[str, Any] | None) -> "State":
    from prefect.engine.state import Pending, State  # noqa: PLC0415 - sending needs no engine

    return State.deserialize(serialized) if serialized else Pending()


def queued_state(message: str | None) -> "State":
    """Return the state of a run that the API lets wait; it asks again after `cloud.queue_interval` seconds."""
    from prefect.engine.state import Queued  # noqa: PLC0415 - as above
    from prefect.utilities.datetimes import utcnow  # noqa: PLC0415 - as above

    start = utcnow() + timedelta(seconds=float(prefect.config.cloud.queue_interval))
    return Queued(message=message, start_time=start)


def _refused(error: ApiError, document: str, variables: Mapping[str, Any] | None) -> ClientError:
    lines = []
    for item in error.errors:
        extensions = item.get("extensions") or {}
        lines.append(f"{extensions.get('code') or 'UNKNOWN_ERROR'}: {item.get('message')}")
    listed = "\n".join(lines)
    return ApiError(
        error.errors,
        f"The API refused the request (HTTP 400).\n{listed}\n\nquery:\n{document}\n\nvariables: {variables}",
        status=error.status,
    )
