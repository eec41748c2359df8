"""Registering a flow: check it, send it, and say where it is.

The flow, its tasks and its edges go in one request, so that there is no half-registered flow; only one that is too
large for a request is sent in parts, as 1.x does.  Raises `ClientError` or `ValueError` before anything is sent if the
flow cannot be registered.
"""

import sys
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from prefect._generated import operations as ops
from prefect.client.request import Request
from prefect.exceptions import ClientError
from prefect.utilities.graphql import compress

if TYPE_CHECKING:
    from prefect.client.client import Client
    from prefect.client.session import Session
    from prefect.core.flow import Flow

__all__ = ["check_described", "check_flow", "check_schedule", "register_flow", "send_flow"]

_BATCH = 500
_ONE_REQUEST = 3_000_000


def check_schedule(flow: "Flow") -> None:
    """Raise `ClientError` for a flow that its schedule could not start."""
    required = {parameter.name for parameter in flow.parameters() if parameter.required}
    schedule = flow.schedule
    if required and schedule is not None:
        clocks = list(schedule.clocks)
        if any(not required <= set(clock.parameter_defaults or {}) for clock in clocks):
            raise ClientError("Flows with required parameters can not be scheduled automatically.")


def check_flow(flow: "Flow") -> None:
    """Raise `ClientError` for a flow that its schedule could not start; warn about results that will be lost."""
    check_schedule(flow)
    if flow.result is None and any(edge.key is not None for edge in flow.edges):
        warnings.warn(
            "No result handler was specified on your Flow. Cloud features such as input caching and resuming task "
            "runs from failure may not work properly.",
            UserWarning,
            stacklevel=4,
        )


def check_described(serialized: Mapping[str, Any]) -> "Flow":
    """Return the flow that JSON-able data describes; raises `ValueError` if it does not describe one."""
    from prefect.serialization.flow import flow_from_dict  # noqa: PLC0415 - only registration needs it

    try:
        return flow_from_dict(serialized)
    except Exception as error:
        raise ValueError(f"Flow could not be deserialized successfully. Error was: {error!r}") from error


def _serialize(flow: "Flow", *, build: bool) -> dict[str, Any]:
    serialized: dict[str, Any] = flow.serialize(build=build)
    check_described(serialized)
    return serialized


def _batches(items: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, max(len(items), 1), _BATCH):
        yield items[start : start + _BATCH]


def _creation(
    payload: Mapping[str, Any],
    project_id: str,
    version_group_id: str | None,
    idempotency_key: str | None,
    *,
    packed: bool,
    set_schedule_active: bool = False,
) -> tuple[Request[Any], int]:
    """Return the request that creates the flow, and its size in characters."""
    function: Callable[..., Request[Any]] = ops.create_flow_from_compressed_string if packed else ops.create_flow
    content: Any = compress(payload) if packed else payload
    request = function(
        project_id=project_id,
        serialized_flow=content,
        set_schedule_active=set_schedule_active,
        version_group_id=version_group_id,
        # Without a key a request that is sent again would make another version.
        idempotency_key=idempotency_key or uuid.uuid4().hex,
    )
    return request, len(content) if packed else len(str(content))


def send_flow(
    client: "Client | Session",
    serialized: Mapping[str, Any],
    project_id: str,
    *,
    set_schedule_active: bool = False,
    version_group_id: str | None = None,
    compressed: bool = True,
    idempotency_key: str | None = None,
    previous_id: str | None = None,
) -> str:
    """Register a serialized flow and return its id.

    With an `idempotency_key` equal to that of the latest registration nothing is changed, also not whether the
    schedule is active; `previous_id` is the id that the API then answers with.
    """
    request, size = _creation(
        serialized,
        project_id,
        version_group_id,
        idempotency_key,
        packed=compressed,
        set_schedule_active=set_schedule_active,
    )
    if size <= _ONE_REQUEST:
        flow_id: str = client.execute(request).id
        return flow_id
    head = {key: value for key, value in serialized.items() if key not in {"tasks", "edges"}}
    request, _ = _creation(head, project_id, version_group_id, idempotency_key, packed=compressed)
    flow_id = client.execute(request).id
    if flow_id == previous_id:
        return flow_id
    for tasks in _batches(serialized.get("tasks") or []):
        client.execute(ops.register_tasks(flow_id=flow_id, serialized_tasks=tasks))
    for edges in _batches(serialized.get("edges") or []):
        client.execute(ops.register_edges(flow_id=flow_id, serialized_edges=edges))
    if set_schedule_active:
        client.execute(ops.set_schedule_active(flow_id=flow_id))
    return flow_id


def register_flow(
    client: "Client",
    flow: "Flow",
    project_name: str | None,
    *,
    build: bool,
    set_schedule_active: bool,
    version_group_id: str | None,
    compressed: bool,
    no_url: bool,
    idempotency_key: str | None,
) -> str:
    """Register a flow with a project and return its id; as `Client.register`, which is documented."""
    check_flow(flow)
    if project_name is None:
        raise TypeError("'project_name' is a required field when registering a flow.")
    project_id = client.find_project(project_name)
    if project_id is None:
        raise ValueError(
            f"Project {project_name} not found. Run `prefect create project '{project_name}'` to create it."
        )
    serialized = _serialize(flow, build=build)
    flow_id = send_flow(
        client,
        serialized,
        project_id,
        version_group_id=version_group_id,
        compressed=compressed,
        idempotency_key=idempotency_key,
    )
    if set_schedule_active:
        client.execute(ops.set_schedule_active(flow_id=flow_id))
    if not no_url:
        labels = sorted(flow.run_config.labels) if flow.run_config is not None else []
        sys.stdout.write(_report(client, flow_id, project_name, labels))
    return flow_id


def _report(client: "Client", flow_id: str, project_name: str, labels: Iterable[str]) -> str:
    flow = client.execute(ops.flow_group_of_flow(id=flow_id))
    url = client.get_cloud_url("flow", flow.flow_group_id if flow is not None else flow_id)
    return f"Flow URL: {url}\n └── ID: {flow_id}\n └── Project: {project_name}\n └── Labels: {list(labels)}\n"
