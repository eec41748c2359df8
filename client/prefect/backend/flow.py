"""`FlowView`: a registered flow."""

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prefect._generated import operations as ops
from prefect._generated.types import FlowRecord
from prefect.client import Client

if TYPE_CHECKING:
    from prefect.core.flow import Flow
    from prefect.run_configs import RunConfig
    from prefect.storage import Storage

__all__ = ["FlowView"]


@dataclass(frozen=True)
class FlowView:
    """A registered flow, as it was when it was asked for."""

    flow_id: str
    settings: dict[str, Any]
    run_config: "RunConfig | None"
    serialized_flow: dict[str, Any] = field(repr=False)
    archived: bool
    project_name: str
    core_version: str | None
    storage: "Storage"
    name: str
    flow_group_labels: list[str] | None

    @property
    def flow(self) -> "Flow":
        """The flow's structure, rebuilt from what was registered; its tasks cannot run."""
        from prefect.serialization.flow import flow_from_dict  # noqa: PLC0415 - few views are asked for it

        return flow_from_dict(self.serialized_flow)

    @classmethod
    def from_id(cls, flow_id: str) -> "FlowView":
        """Return a flow by its id, or the newest one of a flow group by the group's id; raises `ValueError`."""
        _check_text("flow_id", flow_id)
        client = Client()
        found = client.execute(ops.flow_by_id(id=flow_id)) if _is_uuid(flow_id) else None
        if found is None and _is_uuid(flow_id):
            found = next(iter(client.execute(ops.flows_by_group_id(flow_group_id=flow_id, limit=1))), None)
        if found is None:
            raise ValueError(f"Given id '{flow_id}' is not an existing flow or flow group id.")
        return cls._from_record(found)

    @classmethod
    def from_flow_id(cls, flow_id: str) -> "FlowView":
        """Return the flow of this id; raises `ValueError` if there is none, `TypeError` if it is no string."""
        _check_text("flow_id", flow_id)
        return cls._one({"id": {"_eq": flow_id}})

    @classmethod
    def from_flow_group_id(cls, flow_group_id: str) -> "FlowView":
        """Return the newest flow of a group; raises `ValueError` if there is none, `TypeError` for no string."""
        _check_text("flow_group_id", flow_group_id)
        return cls._one({"flow_group_id": {"_eq": flow_group_id}}, newest=True)

    @classmethod
    def from_flow_name(cls, flow_name: str, project_name: str | None = "", last_updated: bool = False) -> "FlowView":
        """Return the flow of this name that is not archived, in any project or in one.

        Raises `ValueError` if there is none, or several and `last_updated` is false.
        """
        where: dict[str, Any] = {"name": {"_eq": flow_name}, "archived": {"_eq": False}}
        if project_name:
            where["project"] = {"name": {"_eq": project_name}}
        elif project_name is None:
            where["project"] = {"name": {"_is_null": True}}
        return cls._one(where, newest=last_updated)

    @classmethod
    def _one(cls, where: dict[str, Any], *, newest: bool = False) -> "FlowView":
        found = Client().execute(ops.flows_where(where=where, limit=1 if newest else 2))
        if not found:
            raise ValueError(f"No results found while querying for flows where {where!r}")
        if len(found) > 1:
            raise ValueError(
                f"Found multiple flows matching {where}. Provide a `project_name` as well or toggle `last_updated` to "
                "use the flow that was most recently updated"
            )
        return cls._from_record(found[0])

    @classmethod
    def _from_record(cls, record: FlowRecord) -> "FlowView":
        from prefect.serialization.run_config import run_config_from_dict  # noqa: PLC0415 - loads the run configs
        from prefect.serialization.storage import storage_from_dict  # noqa: PLC0415 - loads the storage classes

        return cls(
            flow_id=record.id,
            settings=record.settings,
            run_config=run_config_from_dict(record.run_config) if record.run_config else None,
            serialized_flow=record.serialized_flow,
            archived=record.archived,
            project_name=record.project.name,
            core_version=record.core_version,
            storage=storage_from_dict(record.storage),
            name=record.name,
            flow_group_labels=record.flow_group.labels,
        )


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"`{name}` must be a string, not {type(value).__name__}: {value!r}.")
