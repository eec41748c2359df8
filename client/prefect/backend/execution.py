"""Executing a flow run that the API knows from here, without an agent.

A process executes the run, in the terminal of this one, so that debuggers work; this one waits for what is due later,
and answers for the process: if it dies the run becomes Failed, if the user interrupts it the run becomes Cancelled.
Raises `ValueError` for an unknown run and `RuntimeError` for one that cannot be executed; what goes wrong on the way to
the API is a `prefect.exceptions.ClientError`.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import prefect
from prefect._generated import operations as ops
from prefect.client import Client
from prefect.engine.state import Cancelled, Failed, Pending, State
from prefect.utilities.datetimes import as_datetime, utcnow
from prefect.utilities.logging import get_logger
from prefect.utilities.outbox import outbox_directory, waiting_files

if TYPE_CHECKING:
    from prefect._generated.types import FlowRunTiming
    from prefect.core.flow import Flow
    from prefect.run_configs import RunConfig

__all__ = ["execute_flow_run", "execute_flow_run_in_subprocess", "generate_flow_run_environ"]

_PAUSE = 0.5
_SLICE = 60.0
# What an interrupted process gets, and the seconds until the next; first nothing: the terminal interrupted it already.
_ENDINGS = ((None, 2.0), (signal.SIGINT, 10.0), (signal.SIGTERM, 5.0), (getattr(signal, "SIGKILL", None), None))
_logger = get_logger("backend.execution")


def generate_flow_run_environ(
    flow_run_id: str,
    flow_id: str,
    run_config: "RunConfig | Mapping[str, Any] | None",
    run_api_key: str | None = None,
    include_local_env: bool = False,
) -> dict[str, str]:
    """Return the environment of a process that executes a run; of the run config only `env` is heeded.

    `run_api_key` replaces the configured API key; `include_local_env` begins with this process's own variables.
    """
    config = prefect.config
    run_env = run_config.get("env") if isinstance(run_config, Mapping) else getattr(run_config, "env", None)
    logging = config.logging
    environment: dict[str, Any] = {
        **(os.environ if include_local_env else {}),
        "PREFECT__LOGGING__LEVEL": logging.level,
        "PREFECT__LOGGING__FORMAT": logging.format,
        "PREFECT__LOGGING__DATEFMT": logging.datefmt,
        "PREFECT__LOGGING__TO_STDOUT": str(bool(logging.to_stdout)).lower(),
        "PREFECT__CLOUD__SEND_FLOW_RUN_LOGS": str(bool(config.cloud.send_flow_run_logs)).lower(),
        **(run_env or {}),
        "PREFECT__BACKEND": config.backend,
        "PREFECT__CLOUD__API": config.cloud.api,
        "PREFECT__CLOUD__TENANT_ID": config.cloud.tenant_id,
        "PREFECT__CLOUD__API_KEY": run_api_key if run_api_key is not None else config.cloud.api_key,
        "PREFECT__CONTEXT__FLOW_RUN_ID": flow_run_id,
        "PREFECT__CONTEXT__FLOW_ID": flow_id,
        "PREFECT__ENGINE__FLOW_RUNNER__DEFAULT_CLASS": "prefect.engine.cloud.CloudFlowRunner",
    }
    # A claim of another run, which this process may be executing, must not be passed on.
    environment.pop("PREFECT__CONTEXT__CLAIM_TOKEN", None)
    return {name: str(value) for name, value in environment.items() if value is not None}


def execute_flow_run_in_subprocess(
    flow_run_id: str, run_api_key: str | None = None, include_local_env: bool = True
) -> None:
    """Execute a run to its end in processes of its own, sleeping until its start and until long retries are due.

    Returns earlier if all that the run waits for has no time.  Raises `RuntimeError` if the run was begun elsewhere, or
    if the process failed; `KeyboardInterrupt` after an interrupt, when the run is Cancelled.
    """
    _send_what_is_left()
    timing, state = _timing(flow_run_id)
    if not state.is_scheduled() and not state.is_finished():
        raise RuntimeError(
            f"Flow run is already in state {state!r}! Cannot execute flow run unless it is in a 'Scheduled' state."
        )
    environment = generate_flow_run_environ(
        flow_run_id, timing.flow_id, timing.run_config or timing.flow.run_config, run_api_key, include_local_env
    )
    try:
        while not state.is_finished():
            _wait_until_due(timing, state)
            _logger.info("Creating subprocess to execute flow run...")
            code = _run_process(environment)
            _send_what_is_left()
            if code != 0:
                _answer_for(flow_run_id, code)
                raise RuntimeError("The flow run process failed.")
            timing, state = _timing(flow_run_id)
            if state.is_running() and not timing.task_runs:
                return
            if not state.is_finished():
                time.sleep(_PAUSE)
    except KeyboardInterrupt:
        _end_run(flow_run_id, Cancelled("Flow run received an interrupt signal."))
        raise
    except OSError as error:
        message = f"Flow run encountered unexpected exception during execution: {error!r}"
        _end_run(flow_run_id, Failed(message))
        raise RuntimeError(message) from error


def execute_flow_run(flow_run_id: str, flow: "Flow | None" = None, runner_cls: Any = None, **kwargs: Any) -> State:
    """Execute a run once, in this process, and return the state it ends in; `kwargs` are those of the runner's `run`.

    `flow` is loaded from the run's storage by default; `runner_cls` is `CloudFlowRunner` by default.
    """
    from prefect.engine.cloud import CloudFlowRunner  # noqa: PLC0415 - most users of this module start processes
    from prefect.engine.execute import load_flow  # noqa: PLC0415 - as above

    with prefect.context(flow_run_id=flow_run_id, running_with_backend=True):
        if flow is None:
            found = Client().execute(ops.flow_run_storage(id=flow_run_id))
            if found is None:
                raise ValueError(f"There is no flow run with the id {flow_run_id!r}.")
            flow = load_flow(found.flow.name, found.flow.storage)
        end: State = (runner_cls or CloudFlowRunner)(flow=flow).run(**kwargs)
        return end


def _timing(flow_run_id: str) -> "tuple[FlowRunTiming, State]":
    timing = Client().execute(ops.flow_run_timing(id=flow_run_id))
    if timing is None:
        raise ValueError(f"There is no flow run with the id {flow_run_id!r}.")
    return timing, State.deserialize(timing.serialized_state) if timing.serialized_state else Pending()


def _wait_until_due(timing: "FlowRunTiming", state: State) -> None:
    if state.is_scheduled():
        due = getattr(state, "start_time", None) or as_datetime(timing.scheduled_start_time)
        text = "Flow run scheduled to run in %s; sleeping before trying to run flow..."
    elif timing.task_runs and timing.task_runs[0].state_start_time is not None:
        due = as_datetime(timing.task_runs[0].state_start_time)
        text = "Found task run scheduled in %s; sleeping before trying to run flow again..."
    else:
        return
    if due > utcnow():
        _logger.info(text, (due - utcnow()).in_words() or "a moment")
    while (seconds := (due - utcnow()).total_seconds()) > 0:
        time.sleep(min(seconds, _SLICE))


def _run_process(environment: Mapping[str, str]) -> int:
    process = subprocess.Popen([sys.executable, "-m", "prefect", "execute", "flow-run"], env=dict(environment))
    try:
        return process.wait()
    except KeyboardInterrupt:
        _end(process)
        raise


def _end(process: "subprocess.Popen[bytes]") -> None:
    for number, patience in _ENDINGS:
        # One more interrupt by the user means: faster.
        with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            if number is not None:
                process.send_signal(number)
            process.wait(patience)
            return
    process.wait()


def _send_what_is_left() -> None:
    """Send what this or an earlier process could not tell an API that was away."""
    if not waiting_files(outbox_directory()):
        return
    from prefect.client.outbox_delivery import deliver  # noqa: PLC0415 - there is seldom anything

    try:
        deliver(outbox_directory(), Client().session, _logger.warning)
    except (prefect.exceptions.ClientError, OSError) as error:
        _logger.warning("What earlier runs have left in %s is sent later: %s", outbox_directory(), error)


def _answer_for(flow_run_id: str, code: int) -> None:
    """Let a run whose process is gone become Failed, unless the process said itself how the run ended."""
    _, state = _timing(flow_run_id)
    if not state.is_finished():
        reason = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        _end_run(flow_run_id, Failed(f"The process of the flow run {reason} before the run was finished."))


def _end_run(flow_run_id: str, state: State) -> None:
    client = Client()
    _, current = _timing(flow_run_id)
    if current.is_finished():
        return
    client.set_flow_run_state(flow_run_id, state=state)
    line = {
        "flow_run_id": flow_run_id,
        "task_run_id": None,
        "timestamp": datetime.now(UTC).isoformat(),
        "name": _logger.name,
        "level": "ERROR",
        "message": state.message,
    }
    client.write_run_logs([line])
