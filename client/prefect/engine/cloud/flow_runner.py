"""`CloudFlowRunner`: a flow run whose states, parameters and task runs are the API's.

What cannot be reported ends the run here with the state that it would have had; what the API refuses, because another
process moved the run on, ends it with the API's state.
"""

import copy
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prefect.client.retries import is_outage
from prefect.engine.cloud.cancellation import CancellationWatcher
from prefect.engine.cloud.heartbeat import heartbeat
from prefect.engine.cloud.outage import PATIENCE, flush_logs, has_kept, hasty_client, keep_flow_end, patient_client
from prefect.engine.cloud.reporting import ReportingRunner
from prefect.engine.cloud.state_writer import StateWriter
from prefect.engine.cloud.task_runner import CloudTaskRunner
from prefect.engine.cloud.waiting import due_soon, wait_for_slot
from prefect.engine.flow_pass import FlowPass
from prefect.engine.flow_runner import FlowRunner
from prefect.engine.runner import ENDRUN
from prefect.engine.state import Cancelled, Failed, Queued, State
from prefect.exceptions import ClientError, VersionLockMismatchSignal
from prefect.utilities.context import context as prefect_context
from prefect.utilities.datetimes import utcnow

if TYPE_CHECKING:
    import contextlib
    from concurrent.futures import Future

    from prefect.client.results import FlowRunInfoResult
    from prefect.core.flow import Flow
    from prefect.core.task import Task
    from prefect.executors import Executor

__all__ = ["CloudFlowRunner"]

_FEW_CHILDREN = 2
_SLUG_MISMATCH = (
    "Task slug {slug} is not found in the current Flow. This is usually caused by a mismatch between the flow version "
    "stored in the Prefect backend and the flow that was loaded from storage.\n"
    "- Did you change the flow without re-registering it?\n"
    "- Did you register the flow without updating it in your storage location (if applicable)?"
)


class CloudFlowRunner(ReportingRunner, FlowRunner):
    """Runs the flow run that `prefect.context.flow_run_id` names; its tasks are run by `CloudTaskRunner`."""

    def __init__(self, flow: "Flow", state_handlers: Sequence[Callable[..., Any]] | None = None) -> None:
        self.client = patient_client()
        self._heartbeat_enabled = True
        self._told_to_end: SystemExit | None = None
        self._expected_info: Future[FlowRunInfoResult] | None = None
        super().__init__(flow=flow, task_runner_cls=CloudTaskRunner, state_handlers=state_handlers)

    def expect_info(self, info: "Future[FlowRunInfoResult]") -> None:
        """Begin with an answer that was asked for already, instead of asking again."""
        self._expected_info = info

    def _info(self, flow_run_id: str) -> "FlowRunInfoResult":
        expected, self._expected_info = self._expected_info, None
        return expected.result() if expected is not None else self.client.get_flow_run_info(flow_run_id)

    def run(
        self,
        state: State | None = None,
        task_states: "dict[Task, State] | None" = None,
        return_tasks: "Iterable[Task] | None" = None,
        parameters: Mapping[str, Any] | None = None,
        task_runner_state_handlers: Sequence[Callable[..., Any]] | None = None,
        executor: "Executor | None" = None,
        context: Mapping[str, Any] | None = None,
        task_contexts: "dict[Task, dict[str, Any]] | None" = None,
    ) -> State:
        """Make one pass over the flow, after waiting while the API queues the run; see `FlowRunner.run`."""
        with prefect_context(running_with_backend=True):
            while True:
                end = super().run(
                    state=state,
                    task_states=task_states,
                    return_tasks=return_tasks,
                    parameters=parameters,
                    task_runner_state_handlers=task_runner_state_handlers,
                    executor=executor,
                    context=context,
                    task_contexts=task_contexts,
                )
                if not (isinstance(end, Queued) and due_soon(end)):
                    return end
                self._wait_in_queue(end)
                # What was given is out of date; the API knows better.
                state = None

    def _wait_in_queue(self, queued: Queued) -> None:
        self.logger.debug(
            "Flow run is in a Queued state. Sleeping for at most %.2f seconds and attempting to run again.",
            max((queued.start_time - utcnow()).total_seconds(), 0),
        )
        wait_for_slot(self.client, queued.start_time, flow_run_id=prefect_context.flow_run_id)

    def initialize_run(
        self,
        state: State | None,
        task_states: "dict[Task, State]",
        context: dict[str, Any],
        task_contexts: "dict[Task, dict[str, Any]]",
        parameters: Mapping[str, Any],
    ) -> "tuple[State, dict[Task, State], dict[str, Any], dict[Task, dict[str, Any]]]":
        """Read the run, its parameters and its task runs from the API."""
        try:
            info = self._info(context.get("flow_run_id", ""))
        except ClientError as error:
            # The run is left as it is: when its lease ends another process tries.
            self.logger.warning("Failed to retrieve flow state with error: %r", error)
            raise ENDRUN(state or Failed("Could not retrieve state from Prefect Cloud")) from error
        context.update(info.context or {})
        context.update(
            flow_id=info.flow_id,
            flow_run_id=info.id,
            flow_run_version=info.version,
            flow_run_name=info.name,
            scheduled_start_time=info.scheduled_start_time,
            project_name=info.project.name,
            project_id=info.project.id,
            checkpointing=True,
        )
        self._heartbeat_enabled = bool((info.flow_settings or {}).get("heartbeat_enabled", True))
        self._take_task_runs(info.task_runs, task_states, task_contexts)
        return super().initialize_run(
            state if state is not None else info.state,
            task_states,
            context,
            task_contexts,
            {**(info.parameters or {}), **parameters},
        )

    def _ids(self, slug: str) -> dict[str, str]:  # the API gives them
        return {}

    def _take_task_runs(
        self, task_runs: Iterable[Any], task_states: "dict[Task, State]", task_contexts: "dict[Task, dict[str, Any]]"
    ) -> None:
        by_slug = {slug: task for task, slug in self.flow.slugs.items()}
        for task_run in task_runs:
            task = by_slug.get(task_run.task_slug)
            if task is None:
                raise KeyError(_SLUG_MISMATCH.format(slug=task_run.task_slug))
            task_states.setdefault(task, task_run.state)
            task_contexts.setdefault(task, {}).update(
                task_id=task_run.task_id, task_run_id=task_run.id, task_run_version=task_run.version
            )

    # -- states ------------------------------------------------------------------------------------------------------

    def _report(self, old_state: State, new_state: State) -> State:
        flow_run_id = prefect_context.get("flow_run_id", "")
        version = prefect_context.get("flow_run_version")
        is_end = new_state.is_finished()
        if is_end and has_kept(flow_run_id):
            return self._kept(flow_run_id, new_state)
        try:
            if is_end:
                # Whoever watches the run shall see what it did before seeing that it is over.
                flush_logs(time.sleep)
            answer = self.client.set_flow_run_state(
                flow_run_id, state=new_state, version=version if new_state.is_running() else None
            )
        except VersionLockMismatchSignal as refusal:
            stored = self.client.get_flow_run_state(flow_run_id)
            if stored.is_running():
                self.logger.debug("Version lock encountered and flow is already in a running state.")
                raise ENDRUN(stored) from refusal
            self.logger.debug(
                "Version lock encountered for flow run, proceeding with state %s...", type(stored).__name__
            )
            return stored
        except SystemExit:
            if is_end and PATIENCE.is_tried:
                # Told to end while it waits for the API: the end of the run is known, and need not be lost.
                keep_flow_end(flow_run_id, new_state)
            raise
        except Exception as error:
            self.logger.exception(f"Failed to set flow state with error: {error!r}")  # noqa: TRY401 - the text is that of 1.x
            if is_end and is_outage(error):
                return self._kept(flow_run_id, new_state)
            raise ENDRUN(new_state) from error
        if isinstance(answer, Queued):
            answer.state = old_state
            raise ENDRUN(answer)
        prefect_context["flow_run_version"] = (version or 0) + 1
        return answer

    def _kept(self, flow_run_id: str, state: State) -> State:
        is_kept = keep_flow_end(flow_run_id, state)
        if self._told_to_end is not None:
            raise self._told_to_end
        if not is_kept:
            raise ENDRUN(state)
        return state

    def fail_run(self, state: Failed) -> State:
        """Report the failure of a run that ended by an error outside the steps."""
        flow_run_id = prefect_context.get("flow_run_id", "")
        if has_kept(flow_run_id):
            keep_flow_end(flow_run_id, state)
            return state
        try:
            self.client.set_flow_run_state(flow_run_id, state=state)
        except (Exception, VersionLockMismatchSignal) as error:
            if is_outage(error):
                keep_flow_end(flow_run_id, state)
            self.logger.exception(f"Failed to set flow state with error: {error!r}")  # noqa: TRY401 - the text is that of 1.x
        return state

    # -- tasks -------------------------------------------------------------------------------------------------------

    def load_for_mapping(self, task: "Task", state: State) -> State:
        """Read the value of a task that ended in another process; if that fails, whoever needs the value fails."""
        if state.is_successful():
            try:
                state.load_result(task.result if task.result is not None else self.flow.result)
            except Exception as error:
                from prefect.engine.result.travel import UnavailableResult  # noqa: PLC0415 - loads cloudpickle

                # Children that have ended need no value; the others say in their own states what is wrong.
                state = copy.copy(state)
                state._result = UnavailableResult(str(error))  # noqa: SLF001 - states and engine are one part
        return state

    def prepare_children(
        self, task: "Task", count: int, task_context: Mapping[str, Any]
    ) -> "list[tuple[State | None, dict[str, Any]]]":
        """Have the task runs of all children made at once; children of which nothing is known ask for themselves."""
        if count < _FEW_CHILDREN:
            return super().prepare_children(task, count, task_context)
        try:
            found = self.client.get_mapped_task_runs(
                prefect_context.flow_run_id, task_context.get("task_id", ""), count
            )
        except (Exception, VersionLockMismatchSignal) as error:
            self.logger.debug("The task runs of mapped children could not be made at once: %r", error)
            return super().prepare_children(task, count, task_context)
        return [
            (info.state, {"task_run_id": info.id, "task_run_version": info.version, "task_run_map_index": index})
            for index, info in enumerate(found)
        ]

    def execute(self, state: State, flow_pass: FlowPass, return_tasks: "set[Task]") -> State:
        """Run the tasks while the API is told that they run, and asked whether they should."""
        if not state.is_running():
            return super().execute(state, flow_pass, return_tasks)
        flow_run_id = prefect_context.flow_run_id
        watcher = CancellationWatcher(hasty_client(), flow_run_id)
        writer = StateWriter(self.client, flow_run_id)
        beats: contextlib.AbstractContextManager[Any] = heartbeat(
            self.client, flow_run_id, watcher.refuse, enabled=self._heartbeat_enabled
        )
        try:
            try:
                watcher.start()
                with beats, writer.opened():
                    try:
                        end = super().execute(state, flow_pass, return_tasks)
                    finally:
                        lost = self._flush(writer)
            finally:
                watcher.stop()
        except KeyboardInterrupt:
            if watcher.fenced:
                raise ENDRUN(state) from None
            if not watcher.cancelled:
                raise
        except SystemExit:
            # SIGTERM: from the agent when the run is to be cancelled, else from somebody who ends processes.
            watcher.check()
            if not watcher.cancelled:
                raise
        else:
            self._check_at_end(watcher)
        if watcher.cancelled:
            return Cancelled("Flow run is cancelled")
        if lost:
            # What is not stored has not happened: another process goes on from what is.
            raise ENDRUN(state)
        if writer.refused and not end.is_failed():
            return Failed(f"The API refused to store the ends of task runs: {writer.refused[0]}", result=end.result)
        return end

    def _check_at_end(self, watcher: CancellationWatcher) -> None:
        if self._told_to_end is None:
            watcher.check()

    def _flush(self, writer: StateWriter) -> bool:
        try:
            try:
                writer.flush()
            except SystemExit as end:
                if not PATIENCE.is_tried:
                    raise
                # Told to end while it waits for the API: what is known by now need not be lost.
                self._told_to_end = end
                PATIENCE.end()
                writer.give_up(ClientError("The process was told to end while the API was away."))
        except (Exception, VersionLockMismatchSignal) as error:
            self.logger.exception(f"Failed to set task state with error: {error!r}")  # noqa: TRY401 - the text is that of 1.x
            return True
        return False
