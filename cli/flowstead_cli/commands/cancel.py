"""`prefect cancel`: stop flow runs.  Exit code 1 if one of them does not exist or had ended already."""

import sys
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from flowstead_cli.errors import CliError
from flowstead_cli.output.lines import GREEN, say
from flowstead_cli.wiring import command_app

if TYPE_CHECKING:
    from prefect.client.session import Session

app = command_app()


LOOK_SECONDS = 1.0


class Children(StrEnum):
    """What becomes of the runs that a run has created."""

    DETACH = "detach"
    CASCADE = "cascade"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Options:
    """The ids of the runs to cancel, and what becomes of the runs that they have created."""

    flow_run_ids: tuple[str, ...]
    children: Children = Children.DETACH


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
                say(_cancelled(session, flow_run_id, options.children), GREEN)
            except CliError as error:
                print(error.message, file=sys.stderr)
                code = error.exit_code
    return code


def _cancelled(session: "Session", flow_run_id: str, children: Children) -> str:
    from prefect._generated import operations as ops
    from prefect._generated.enums import CancelChildren
    from prefect.exceptions import ObjectNotFoundError

    missing = CliError(f"There is no flow run with the id {flow_run_id!r}; `prefect get flow-runs` lists the newest.")
    try:
        parsed = str(UUID(flow_run_id))
    except ValueError:
        raise missing from None
    if children is Children.WAIT:
        _wait_for_children(session, parsed)
    try:
        answer = session.execute(
            ops.cancel_flow_run(
                flow_run_id=parsed,
                children=CancelChildren.CASCADE if children is Children.CASCADE else CancelChildren.DETACH,
            )
        )
    except ObjectNotFoundError:
        raise missing from None
    count = len(answer.children)
    too = f" {count} run(s) that it created are cancelled too." if count else ""
    if answer.state == "Cancelling":
        return f"Flow run {parsed} is being cancelled: its process is told to stop.{too}"
    if answer.state == "Cancelled":
        return f"Flow run {parsed} is cancelled.{too}"
    if count:
        return f"Flow run {parsed} had ended already, as {answer.state}.{too}"
    raise CliError(f"Flow run {parsed} had ended already, as {answer.state}; there is nothing to cancel.")


def _wait_for_children(session: "Session", flow_run_id: str) -> None:
    from prefect._generated import operations as ops

    told = False
    while waiting := len(session.execute(ops.unfinished_children(id=flow_run_id))):
        if not told:
            say(f"Waiting for {waiting} child run(s) to end; Ctrl-C cancels nothing.")
            told = True
        time.sleep(LOOK_SECONDS)


@app.command("cancel")
def cancel(
    flow_run: Annotated[list[str], typer.Argument(metavar="RUN", help="Ids of flow runs.")],
    children: Annotated[
        Children,
        typer.Option(
            help="Runs that it created: detach lets them go on, cascade cancels them too, wait lets them end first."
        ),
    ] = Children.DETACH,
) -> int:
    """Cancel flow runs.

    A run that has not started is cancelled at once.  The process of a running one is ended by its agent, with all that
    it has started, and the run's log says so.

    Example:  prefect cancel 019aae4c-6a4e-7d1c-bb1a-6f3a3a0f7c55
    """
    return run(Options(tuple(flow_run), children))
