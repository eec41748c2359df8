"""`CloudTaskRunner`: a task run whose states are the API's.

What cannot be reported ends the run as ClientFailed, so that nothing after it starts; an end that the API refuses to
store (for its size, say) becomes Failed; what it refuses because another process moved the run on goes on with the
API's state.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from prefect.client.errors import ApiError
from prefect.engine.cloud.outage import patient_client
from prefect.engine.cloud.reporting import ReportingRunner
from prefect.engine.cloud.state_writer import writer_of
from prefect.engine.cloud.waiting import due_soon, sleep_until, wait_for_slot
from prefect.engine.runner import ENDRUN
from prefect.engine.state import Cached, ClientFailed, Failed, Mapped, Pending, Queued, Retrying, State
from prefect.engine.task_runner import TaskRunner
from prefect.exceptions import VersionLockMismatchSignal
from prefect.utilities.context import context as prefect_context
from prefect.utilities.datetimes import utcnow

if TYPE_CHECKING:
    from prefect.core.edge import Edge
    from prefect.core.task import Task
    from prefect.engine.result import Result
    from prefect.engine.task_steps import TaskRun

__all__ = ["CloudTaskRunner"]


class CloudTaskRunner(ReportingRunner, TaskRunner):
    """Runs one task run of the flow run in the context; one object runs one task run, however often it retries."""

    def __init__(
        self,
        task: "Task",
        state_handlers: Sequence[Callable[..., Any]] | None = None,
        flow_result: "Result | None" = None,
    ) -> None:
        self.client = patient_client()
        self._flow_result = flow_result
        self._task_run_id: str | None = None
        self._version: int | None = None
        super().__init__(task=task, state_handlers=state_handlers, flow_result=flow_result)

    def run(
        self,
        state: State | None = None,
        upstream_states: "dict[Edge, State] | None" = None,
        context: dict[str, Any] | None = None,
        is_mapped_parent: bool = False,
    ) -> State:
        """Run the task, and again while it is to be retried or asked for soon; see `TaskRunner.run`."""
        end = super().run(state, upstream_states, context, is_mapped_parent)
        while isinstance(end, (Retrying, Queued)) and due_soon(end):
            if isinstance(end, Queued):
                wait_for_slot(self.client, end.start_time, task_run_id=self._task_run_id)
                # Others may have moved the run while we stood in the queue.
                self._task_run_id = None
            else:
                sleep_until(end.start_time)
            end = super().run(end, upstream_states, context, is_mapped_parent)
        return end

    def initialize_run(self, state: State | None, context: dict[str, Any]) -> tuple[State, dict[str, Any]]:
        """Learn id, version and state of the run from the API, unless the flow run was told them at its start."""
        if self._task_run_id is None:
            map_index = prefect_context.get("map_index")
            known = prefect_context.get("task_run_id")
            is_own = map_index == prefect_context.get("task_run_map_index")
            if is_own and known and state is not None and not isinstance(state, Queued):
                self._task_run_id, self._version = known, prefect_context.get("task_run_version")
            else:
                state = self._ask(state, map_index)
        if state is not None and "_loop_count" in state.context:
            # The failed iteration of a loop may have begun in another process.
            state.load_result(self.result)
        context.update(
            task_run_id=self._task_run_id,
            task_run_version=self._version,
            flow_run_id=prefect_context.get("flow_run_id"),
            checkpointing=True,
        )
        return super().initialize_run(state, context)

    def _ask(self, state: State | None, map_index: int | None) -> State:
        try:
            info = self.client.get_task_run_info(
                prefect_context.get("flow_run_id", ""), prefect_context.get("task_id", ""), map_index=map_index
            )
        except Exception as error:
            self.logger.exception(f"Failed to retrieve task state with error: {error!r}")  # noqa: TRY401 - the text is that of 1.x
            raise ENDRUN(state or Failed("Could not retrieve state from Prefect Cloud")) from error
        self._task_run_id, self._version = info.id, info.version
        return state if state is not None else info.state

    # -- states ------------------------------------------------------------------------------------------------------

    def _report(self, old_state: State, new_state: State, *, is_substitute: bool = False) -> State:
        task_run_id = str(self._task_run_id)
        version = self._version if new_state.is_running() else None
        writer = writer_of(prefect_context.get("flow_run_id"))
        try:
            # A task with tags may hold places that others wait for.
            if writer is not None and not self.task.tags and writer.write_later(task_run_id, new_state):
                self._count_version()
                return new_state
            answer = (writer.write if writer is not None else self.client.set_task_run_state)(
                task_run_id, state=new_state, version=version
            )
        except VersionLockMismatchSignal as refusal:
            return self._go_on_with_stored(task_run_id, refusal)
        except Exception as error:
            self.logger.exception(f"Failed to set task state with error: {error!r}")  # noqa: TRY401 - the text is that of 1.x
            if isinstance(error, ApiError) and new_state.is_finished() and not is_substitute:
                # The API is there but refuses this very state (too large, say); left Running, the run would never end.
                failed = Failed(f"The state {type(new_state).__name__} could not be stored: {error}")
                return self._report(old_state, failed, is_substitute=True)
            raise ENDRUN(ClientFailed(state=new_state)) from error
        if isinstance(answer, Queued):
            answer.state = old_state
            raise ENDRUN(answer)
        self._count_version()
        return answer

    def _count_version(self) -> None:
        self._version = prefect_context["task_run_version"] = (self._version or 0) + 1

    def _go_on_with_stored(self, task_run_id: str, refusal: BaseException) -> State:
        name = prefect_context.get("task_full_name", self.task.name)
        try:
            stored = self.client.get_task_run_state(task_run_id)
        except Exception as error:
            self.logger.exception(f"Failed to retrieve task state with error: {error!r}")  # noqa: TRY401 - the text is that of 1.x
            raise ENDRUN(ClientFailed()) from error
        if stored.is_running():
            self.logger.debug("Version lock encountered and task %s is already in a running state.", name)
            raise ENDRUN(stored) from refusal
        self.logger.debug(
            "Version lock encountered for task %s, proceeding with state %s...", name, type(stored).__name__
        )
        try:
            stored.load_result(self.result)
        except Exception as error:
            self.logger.debug("Error encountered attempting to load result for state of %s: %r", name, error)
        return stored

    def report_task_run_name(self, name: str) -> None:
        """Rename the task run."""
        self.client.set_task_run_name(str(self._task_run_id), name)

    # -- values of other processes -----------------------------------------------------------------------------------

    def load_upstream_results(self, state: State, upstream_states: "dict[Edge, State]") -> "dict[Edge, State]":
        """Read the values of upstream tasks that ended in another process; raises `ENDRUN` if that fails."""
        if state.is_mapped():
            # Its children have been counted; those that run ask for what they need.
            return upstream_states
        name = ""
        try:
            for edge, upstream in upstream_states.items():
                name = edge.upstream_task.name
                if edge.key is not None and _is_elsewhere(upstream):
                    result = edge.upstream_task.result
                    upstream.load_result(result if result is not None else self._flow_result)
        except Exception as error:
            # Whoever restarts the run has to know what would give the value again.
            again = f"prefect run --restart {prefect_context.get('flow_run_id')} --again '{name}'"
            message = f"Failed to retrieve task results: {error} (of the task '{name}', which runs again with: {again})"
            self.logger.exception(message)
            raise ENDRUN(self.handle_state_change(state, Failed(message, result=error))) from error
        return upstream_states

    def check_task_is_cached(self, run: "TaskRun", state: State) -> State:
        """Return a valid Cached state (the given one, or one that the API remembers), else one that can run."""
        task = self.task
        if isinstance(state, Cached):
            if task.cache_validator(state, run.values(), prefect_context.get("parameters")):
                return state.load_result(self.result)
            state = Pending("Cache was invalid; ready to run.")
        if task.cache_for is None:
            return state
        candidates = self.client.get_latest_cached_states(
            task_id=prefect_context.get("task_id", ""),
            cache_key=task.cache_key,
            created_after=utcnow() - task.cache_for,
        )
        if not candidates:
            self.logger.debug("Task '%s': can't use cache because no Cached states were found", run.name)
            return state
        self.logger.debug("Task '%s': %d candidate cached states were found", run.name, len(candidates))
        for candidate in candidates:
            if not isinstance(candidate, Cached) or not task.cache_validator(
                candidate, run.values(), prefect_context.get("parameters")
            ):
                continue
            try:
                return candidate.load_result(self.result)
            except Exception:
                location = candidate._result.location  # noqa: SLF001 - states and engine are one part
                self.logger.warning("Failed to load cached state data from %s.", location, exc_info=True)
        self.logger.debug("Task '%s': can't use cache because no candidate Cached states were valid", run.name)
        return state


def _is_elsewhere(state: State) -> bool:
    """Return whether a value is known by its location only."""
    if isinstance(state, Mapped):
        return any(child is not None and _is_elsewhere(child) for child in state.map_states)
    kept = state._result  # noqa: SLF001 - states and engine are one part
    return kept.value is None and kept.location is not None
