"""The body of `prefect execute flow-run`: find the flow of the run that this process is for, and run it.

Everything comes from environment and API.  A run that cannot be loaded is Failed, with the reason in its state and in
its log; how a run that was loaded ends does not concern the exit code.
"""

import contextlib
import importlib
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from prefect._generated import operations as ops
from prefect.client.retries import is_outage
from prefect.configuration import config
from prefect.engine.cloud.flow_runner import CloudFlowRunner
from prefect.engine.cloud.outage import has_kept, keep_flow_end, keep_line, patient_client, release
from prefect.engine.defaults import resolve_class
from prefect.engine.state import Failed
from prefect.exceptions import VersionLockMismatchSignal
from prefect.serialization.storage import storage_from_dict
from prefect.utilities.context import context as prefect_context
from prefect.utilities.logging import LOG_MANAGER
from prefect.utilities.secrets import Secret

if TYPE_CHECKING:
    from prefect.client import Client
    from prefect.core.flow import Flow

__all__ = ["execute_flow_run", "load_flow"]

# What nearly every flow needs.  Whoever forks processes to execute runs imports this module once, before them.
for _module in (
    "prefect.core.flow",
    "prefect.engine.results.local_result",
    "prefect.engine.results.prefect_result",
    "prefect.executors.local",
    "prefect._generated.flow_runs",
    "prefect._generated.logs",
    "prefect._generated.task_runs",
    "prefect.run_configs.base",
    "prefect.run_configs.local",
    "prefect.serialization.state",
    "prefect.storage.local",
    "prefect.storage.module",
    "prefect.tasks.core.collections",
    "prefect.tasks.core.operators",
    "prefect.utilities.tasks",
):
    importlib.import_module(_module)

T = TypeVar("T")
_LOCAL_RUNNER = "prefect.engine.flow_runner.FlowRunner"
_CLOUD_RUNNER = "prefect.engine.cloud.CloudFlowRunner"
_FLUSH_SECONDS = 30.0


class _Terminated(SystemExit):
    """The process was told to end: that says nothing about the run, which another process may take on."""


def execute_flow_run() -> int:
    """Execute the flow run that `prefect.context.flow_run_id` names; returns the exit code of the process.

    0 if the run was executed, however it ended; 1 if it was not found or could not be loaded, which is printed and
    reported.  Callable in a freshly forked process after `prefect.configuration.reload()`.
    """
    flow_run_id = prefect_context.get("flow_run_id")
    if not flow_run_id:
        print("Not currently executing a flow within a Cloud context.")  # noqa: T201 - output of the command
        return 1
    client = patient_client()
    # The runner's first question does not depend on the flow: it is asked while the flow is found and loaded.
    info = _in_background(lambda: client.get_flow_run_info(flow_run_id))
    found = client.execute(ops.flow_run_storage(id=flow_run_id))
    if found is None:
        print(f"Flow run {flow_run_id} not found")  # noqa: T201 - output of the command
        return 1
    LOG_MANAGER.serve(flow_run_id)
    with _signals_raise(), prefect_context(flow_run_id=flow_run_id, running_with_backend=True):
        try:
            flow = load_flow(found.flow.name, found.flow.storage)
            runner = _runner_class()(flow=flow)
            if isinstance(runner, CloudFlowRunner):
                runner.expect_info(info)
            runner.run()
        except Exception as error:
            traceback.print_exc()
            _report_failure(client, flow_run_id, error)
            return 1
        except _Terminated:
            raise
        except SystemExit as error:
            # Code of the flow ended the process; without a word, the run would seem to go on.
            _report_failure(client, flow_run_id, error)
            raise
        except VersionLockMismatchSignal as refusal:
            print(f"This process may no longer act for flow run {flow_run_id}: {refusal}")  # noqa: T201 - as above
            return 1
        finally:
            # Threads and connections are still alive here, at interpreter exit they may not be.
            LOG_MANAGER.stop(_FLUSH_SECONDS)
            release()
    return 0


def _in_background(ask: Callable[[], T]) -> "Future[T]":
    answer: Future[T] = Future()

    def work() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=work, name="prefect-run-info", daemon=True).start()
    return answer


def _runner_class() -> Any:
    configured = config.engine.flow_runner.default_class
    # A process that executes a run of the API always reports to it.
    return resolve_class(_CLOUD_RUNNER if configured == _LOCAL_RUNNER else configured, _CLOUD_RUNNER)


def load_flow(flow_name: str, description: Any) -> "Flow":
    """Load the flow of this name from its storage; raises `ValueError` without one, and what the storage raises."""
    if not description:
        raise ValueError(f"The flow {flow_name!r} was registered without a storage to load it from.")
    storage = storage_from_dict(description)
    secrets = dict(prefect_context.get("secrets") or {})
    for name in storage.secrets:
        secrets[name] = Secret(name).get()
    prefect_context["secrets"] = secrets
    with prefect_context(loading_flow=True):
        flow = storage.get_flow(flow_name)
    if flow.result is None:
        # Registration gives pickled flows the result of their storage; scripts are registered without it.
        flow.result = storage.default_result()
    return flow


def _report_failure(client: "Client", flow_run_id: str, error: BaseException) -> None:
    message = f"Failed to load and execute flow run: {error!r}"
    trace = "".join(traceback.format_exception(error)).rstrip()
    line = {
        "flow_run_id": flow_run_id,
        "task_run_id": None,
        "timestamp": datetime.now(UTC).isoformat(),
        "name": "execute flow-run",
        "level": "ERROR",
        "message": f"{message}\n{trace}",
    }
    failed = Failed(message)
    for report in (
        lambda: client.write_run_logs([line]),
        lambda: client.set_flow_run_state(flow_run_id, state=failed),
    ):
        try:
            if not has_kept(flow_run_id):
                report()
        except (Exception, VersionLockMismatchSignal) as problem:
            print(f"This could not be reported to the API: {problem}", file=sys.stderr)  # noqa: T201 - nobody else to tell
            if is_outage(problem):
                keep_line(flow_run_id, line)
    if has_kept(flow_run_id):
        keep_flow_end(flow_run_id, failed)


@contextlib.contextmanager
def _signals_raise() -> Iterator[None]:
    """Let SIGINT and SIGTERM raise in the main thread, whatever a parent process set, so that logs are still sent."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(number: int, _frame: FrameType | None) -> None:
        raise _Terminated(128 + number)

    previous = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGTERM: signal.signal(signal.SIGTERM, terminate),
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            # None stands for a handler that Python did not install and cannot install again.
            if handler is not None:
                signal.signal(number, handler)
