"""Task runs: found or made, moved from state to state, and the cached states of others."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from prefect._generated import operations as ops
from prefect.client.facade.connection import Connection
from prefect.client.facade.states import queued_state, state_of
from prefect.client.request import UNSET
from prefect.client.results import TaskRunInfoResult

if TYPE_CHECKING:
    from prefect.engine.state import State

__all__ = ["TaskRunMethods"]

_CHILDREN_AT_ONCE = 1000


class TaskRunMethods(Connection):
    """Methods about task runs."""

    def get_task_run_info(self, flow_run_id: str, task_id: str, map_index: int | None = None) -> TaskRunInfoResult:
        """Return a task run as its runner needs it; the run is made if it does not exist.  No index means -1."""
        run = self.execute(
            ops.get_or_create_task_run_info(
                flow_run_id=flow_run_id, task_id=task_id, map_index=-1 if map_index is None else map_index
            )
        )
        return TaskRunInfoResult(run.id, task_id, "", run.version, state_of(run.serialized_state))

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
                TaskRunInfoResult(run.id, task_id, "", run.version, state_of(run.serialized_state))
                for run in answer.task_runs
            ]
        return found

    def get_task_run_state(self, task_run_id: str) -> "State":
        """Return the state of a task run; raises `ClientError` if there is no such run."""
        return state_of(self.execute(ops.get_task_run_info(task_run_id=task_run_id)).serialized_state)

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
        return [state_of(item.serialized_state) for item in found]
