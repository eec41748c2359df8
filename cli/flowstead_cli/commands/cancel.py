"""`prefect cancel`: stop flow runs.  Exit code 1 if one of them does not exist or had ended already."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from flowstead_cli.errors import CliError
from flowstead_cli.output.lines import GREEN, say
from flowstead_cli.wiring import command_app

if TYPE_CHECKING:
    from prefect.client.session import Session

app = command_app()


@dataclass(frozen=True, slots=True)
class Options:
    """The ids of the runs to cancel."""

    flow_run_ids: tuple[str, ...]


def run(options: Options) -> int:
    """Cancel flow runs, each whatever happens to the others, and return the exit code.

    Raises:
        prefect.exceptions.ClientError: the API cannot be reached, or refused for another reason than the run itself.
    """
    from flowstead_cli.api import open_session

    code = 0
    with open_session() as session:
        for flow_run_id in options.flow_run_ids:
            try:
                say(_cancelled(session, flow_run_id), GREEN)
            except CliError as error:
                print(error.message, file=sys.stderr)
                code = error.exit_code
    return code


def _cancelled(session: "Session", flow_run_id: str) -> str:
    from prefect._generated import operations as ops
    from prefect.exceptions import ObjectNotFoundError

    missing = CliError(f"There is no flow run with the id {flow_run_id!r}; `prefect get flow-runs` lists the newest.")
    try:
        parsed = str(UUID(flow_run_id))
    except ValueError:
        raise missing from None
    try:
        state = session.execute(ops.cancel_flow_run(flow_run_id=parsed)).state
    except ObjectNotFoundError:
        raise missing from None
    if state == "Cancelling":
        return f"Flow run {parsed} is being cancelled: its process stops its tasks and then ends."
    if state == "Cancelled":
        return f"Flow run {parsed} is cancelled."
    raise CliError(f"Flow run {parsed} had ended already, as {state}; there is nothing to cancel.")


@app.command("cancel")
def cancel(
    flow_run: Annotated[list[str], typer.Argument(metavar="RUN", help="Ids of flow runs.")],
) -> int:
    """Cancel flow runs.

    A run that has not started is cancelled at once.  The process of a running one is told to stop its tasks, and the
    run is Cancelled when it has.

    Example:  prefect cancel 019aae4c-6a4e-7d1c-bb1a-6f3a3a0f7c55
    """
    return run(Options(tuple(flow_run)))
