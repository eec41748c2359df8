"""What is said about a run that was just created, to people and to programs."""

import json
from typing import TYPE_CHECKING, Any

from flowstead_cli.errors import CliError
from flowstead_cli.output.lines import item, say
from flowstead_cli.output.tables import age

if TYPE_CHECKING:
    from prefect._generated.types import CreatedFlowRun
    from prefect.client.session import Session

__all__ = ["abort_creation", "describe_created", "run_as_json", "show_created_as_json"]


def describe_created(session: "Session", flow_run_id: str, *, tell_start: bool) -> None:
    """Print the members of a run as a tree; its start time only where somebody chose it.

    Raises:
        CliError: the run is gone already.
    """
    run = _read(session, flow_run_id)
    item(f"Name: {run.name}")
    item(f"UUID: {flow_run_id}")
    item(f"Labels: {list(run.labels or [])}")
    item(f"Parameters: {run.parameters or {}}")
    item(f"Context: {run.context or {}}")
    if tell_start and run.scheduled_start_time is not None:
        moment = run.scheduled_start_time.astimezone()
        item(f"Start: {moment.isoformat(sep=' ', timespec='seconds')} ({age(moment)})")


def show_created_as_json(session: "Session", flow_run_id: str) -> None:
    """Print a run as a JSON object."""
    say(json.dumps(run_as_json(session, flow_run_id), indent=2))


def run_as_json(session: "Session", flow_run_id: str) -> dict[str, Any]:
    """Return a run as `prefect run --json` prints it, moments in ISO form."""
    run = _read(session, flow_run_id)
    moments = {
        name: None if moment is None else moment.isoformat()
        for name, moment in (
            ("scheduled_start_time", run.scheduled_start_time),
            ("start_time", run.start_time),
            ("end_time", run.end_time),
        )
    }
    return {
        "id": flow_run_id,
        "name": run.name,
        "flow": {"id": run.flow_id, "name": run.flow.name, "version": run.flow.version},
        "project": run.flow.project.name,
        "state": run.state,
        "state_message": run.state_message,
        "labels": list(run.labels or []),
        "parameters": run.parameters or {},
        "context": run.context or {},
        **moments,
    }


def _read(session: "Session", flow_run_id: str) -> "CreatedFlowRun":
    from prefect._generated import operations as ops

    run = session.execute(ops.created_flow_run(id=flow_run_id))
    if run is None:
        raise CliError(f"The flow run {flow_run_id} was created, but the API does not know it any more.")
    return run


def abort_creation(session: "Session", created: list[str], *, quiet: bool = False) -> int:
    """Cancel the run if it was created already; returns the exit code."""
    from prefect._generated import operations as ops

    if not quiet:
        say("\nKeyboard interrupt detected! Aborting...")
    if created:
        session.execute(ops.cancel_flow_run(flow_run_id=created[0]))
    if not quiet:
        say("Cancelled flow run." if created else "Aborted.")
    return 0
