"""Runs of a flow in this process, from its file or module, without the API.

What the flow's own code raises is shown with its traceback; the exit code is 0 only if the run succeeded.
"""

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Any

from flowstead_cli.errors import CliError
from flowstead_cli.lookup import check_parameters
from flowstead_cli.output.lines import GREEN, RED, colour, item, say, step
from flowstead_cli.sources import SourceError, flows_of_module, flows_of_script, select_flow, user_traceback

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.engine.state import State

__all__ = ["NO_LOGS", "TREE_DATE_FORMAT", "TREE_FORMAT", "run_locally", "tree_logs"]

NO_LOGS = 100
TREE_FORMAT = "└── %(asctime)s | %(levelname)-7s | %(message)s"
TREE_DATE_FORMAT = "%H:%M:%S"


class _TreeFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__(TREE_FORMAT, TREE_DATE_FORMAT)
        self.converter = time.localtime

    def format(self, record: logging.LogRecord) -> str:
        styles = {logging.ERROR: RED, logging.CRITICAL: RED, logging.WARNING: "33", logging.DEBUG: "2"}
        return colour(super().format(record), styles.get(record.levelno))


@contextmanager
def tree_logs(level: int) -> Iterator[None]:
    """Show the library's log lines from `level` on as lines of a tree, inside the block."""
    from prefect.utilities.logging import get_logger

    logger = get_logger()
    level_before = logger.level
    formatters = [(handler, handler.formatter) for handler in logger.handlers]
    logger.setLevel(level)
    for handler, _ in formatters:
        if isinstance(handler, logging.StreamHandler):
            handler.setFormatter(_TreeFormatter())
    try:
        yield
    finally:
        logger.setLevel(level_before)
        for handler, formatter in formatters:
            handler.setFormatter(formatter)


@contextmanager
def _all_to_stderr() -> Iterator[None]:
    from prefect.utilities.logging import get_logger

    streams = [handler for handler in get_logger().handlers if isinstance(handler, logging.StreamHandler)]
    before = [handler.setStream(sys.stderr) for handler in streams]
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        for handler, stream in zip(streams, before, strict=True):
            if stream is not None:
                handler.setStream(stream)


def run_locally(
    *,
    path: str | None,
    module: str | None,
    name: str | None,
    parameters: dict[str, Any],
    context: dict[str, Any],
    log_level: str | None,
    no_logs: bool,
    on_schedule: bool,
    as_json: bool = False,
) -> int:
    """Load a flow from a file (`path`) or a module, run it here, and return the exit code.

    With `as_json` standard output gets one JSON object and nothing else.

    Raises:
        CliError: the flow cannot be found or loaded, lacks one of the parameters, or its run raised.
    """
    import prefect

    with _all_to_stderr() if as_json else nullcontext():
        with step("Retrieving local flow..."):
            flow = _load(path, module, name)
        check_parameters(flow.name, (parameter.name for parameter in flow.parameters()), parameters)
        if parameters or context:
            say("Configured local flow run")
            if parameters:
                item(f"Parameters: {parameters}")
            if context:
                item(f"Context: {context}")
        say("Running flow locally...")
        level = NO_LOGS if no_logs else logging.getLevelName(log_level or prefect.config.logging.level)
        with tree_logs(level), prefect.context(**context):
            try:
                state = flow.run(parameters=parameters, run_on_schedule=on_schedule)
            except Exception as error:
                say("Flow runner encountered an exception!", RED)
                say(user_traceback(error))
                raise CliError("Flow run failed!") from None
        code = _report(state)
    if as_json:
        say(json.dumps(_as_json(flow, parameters, state), indent=2))
    return code


def _report(state: "State | None") -> int:
    if state is None or state.is_failed() or not state.is_finished():
        say("Flow run failed!", RED)
        return 1
    if not state.is_successful():
        say(f"Flow run was not successful: {state.message}", RED)
        return 1
    say("Flow run succeeded!", GREEN)
    return 0


def _as_json(flow: "Flow", parameters: dict[str, Any], state: "State | None") -> dict[str, Any]:
    return {
        "flow": {"name": flow.name},
        "parameters": parameters,
        "state": None if state is None else type(state).__name__,
        "state_message": None if state is None or state.message is None else str(state.message),
    }


def _load(path: str | None, module: str | None, name: str | None) -> "Flow":
    location = path if path is not None else module
    assert location is not None
    try:
        flows = flows_of_script(location) if path is not None else flows_of_module(location)
    except SourceError as error:
        if not error.is_traceback:
            raise
        raise CliError(
            f"{error.message}\n\n'{location}' raised this while it was loaded, so no flow was run."
        ) from None
    return select_flow(flows, location, name)
