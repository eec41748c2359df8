"""`prefect heartbeat flow-run`: report again and again that a flow run is alive.  Prints nothing.

A beat that fails is logged and the next one is tried; a signal ends the loop.
"""

import time
from dataclasses import dataclass
from itertools import count
from typing import Annotated

import typer

from flowstead_cli.wiring import group_app

app = group_app("Report that a flow run is alive.")


@dataclass(frozen=True, slots=True)
class Options:
    """The run to report on, and how often in all (None: without end)."""

    flow_run_id: str
    num: int | None = None


def run(options: Options) -> None:
    """Send one heartbeat at once, and then one every `cloud.heartbeat_interval` seconds."""
    import prefect
    from prefect.client import Client
    from prefect.utilities.logging import get_logger

    logger = get_logger("subprocess_heartbeat")
    with prefect.context(flow_run_id=options.flow_run_id, running_with_backend=True):
        client = Client()
        try:
            for beat in count(1):
                try:
                    client.update_flow_run_heartbeat(options.flow_run_id)
                except Exception as error:
                    logger.exception("Failed to send heartbeat with exception: %r", error)  # noqa: TRY401 - the text is known to users
                if beat == options.num:
                    return
                time.sleep(prefect.config.cloud.heartbeat_interval)
        except BaseException as error:
            logger.error("Heartbeat process encountered terminal exception: %r", error)  # noqa: TRY400 - no traceback for a signal
            raise


@app.command("flow-run")
def flow_run(
    flow_run_id: Annotated[str, typer.Option("--id", "-i", help="Id of the flow run.")],
    num: Annotated[int | None, typer.Option("--num", "-n", min=1, help="How often; without end if not given.")] = None,
) -> None:
    """Send heartbeats for a flow run."""
    run(Options(flow_run_id=flow_run_id, num=num))
