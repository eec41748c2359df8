"""`prefect run --execute`: execute the run that was created from here, in this terminal, without an agent.

A label that no agent has keeps agents away from the run.  Ctrl-C cancels it, here and in the API; the exit code is 0
only if the run succeeded.
"""

import logging
from typing import TYPE_CHECKING
from uuid import uuid4

from flowstead_cli.local_run import NO_LOGS, TREE_DATE_FORMAT, TREE_FORMAT, tree_logs
from flowstead_cli.output.lines import RED, say
from flowstead_cli.processes import raise_on_termination

if TYPE_CHECKING:
    from prefect.client.session import Session

__all__ = ["AGENTLESS", "agentless_label", "execute_here"]

# How labels begin that no agent has.
AGENTLESS = "agentless-run-"


def agentless_label() -> str:
    """Return a new label that no agent has."""
    return f"{AGENTLESS}{uuid4().hex[:8]}"


def execute_here(
    session: "Session", flow_run_id: str, *, log_level: str | None, no_logs: bool = False, quiet: bool = False
) -> int:
    """Execute a run to its end and return the exit code.

    Args:
        session: to the API that has the run.
        flow_run_id: the run, which nobody may have begun.
        log_level: of what is shown; None for the configured one.
        no_logs: show no log lines; the API gets them nevertheless.
        quiet: print nothing at all, but for what the flow itself prints.

    Raises:
        prefect.exceptions.ClientError: the API cannot be reached.
    """
    import prefect
    from prefect._generated import operations as ops
    from prefect.backend.execution import execute_flow_run_in_subprocess
    from prefect.utilities.configuration import set_temporary_config

    if not quiet:
        say("Executing flow run...")
    silent = quiet or no_logs
    level = log_level or prefect.config.logging.level
    settings = {
        "logging.level": level,
        "logging.format": TREE_FORMAT,
        "logging.datefmt": TREE_DATE_FORMAT,
        "logging.to_stdout": not silent,
    }
    with (
        set_temporary_config(settings),
        tree_logs(NO_LOGS if silent else logging.getLevelName(level)),
        raise_on_termination(),
    ):
        try:
            execute_flow_run_in_subprocess(flow_run_id)
        except KeyboardInterrupt:
            if not quiet:
                say("\nKeyboard interrupt detected! Aborting...")
        except RuntimeError as error:
            say(str(error), RED)
            return 1
    from flowstead_cli.commands.run import report_outcome

    end = session.execute(ops.flow_run_progress(id=flow_run_id))
    return report_outcome((end and end.state) or "unknown", end.state_message if end is not None else None, quiet=quiet)
