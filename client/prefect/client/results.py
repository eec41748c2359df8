"""What `Client` answers with: plain values."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from prefect.engine.state import State

__all__ = ["FlowRunInfoResult", "ProjectInfo", "TaskRunInfoResult"]


class ProjectInfo(NamedTuple):
    """The project of a flow."""

    id: str
    name: str


class TaskRunInfoResult(NamedTuple):
    """A task run as its runner needs it; `version` is what the next move to Running has to name."""

    id: str
    task_id: str
    task_slug: str
    version: int
    state: "State"


class FlowRunInfoResult(NamedTuple):
    """A flow run as its runner needs it, with the task runs that are not mapped children."""

    id: str
    name: str
    flow_id: str
    project: ProjectInfo
    parameters: dict[str, Any] | None
    context: dict[str, Any] | None
    version: int
    scheduled_start_time: datetime
    state: "State"
    task_runs: list[TaskRunInfoResult]
    flow_settings: dict[str, Any]
