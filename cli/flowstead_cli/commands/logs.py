"""`prefect logs` and `prefect get logs`, which are one command: the stored log of a flow run, and with `--follow` what
is still being written."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import typer

from flowstead_cli.errors import CliError
from flowstead_cli.output.lines import say
from flowstead_cli.output.listings import Column, Format, Output, show
from flowstead_cli.output.tables import as_datetime
from flowstead_cli.output.tail import for_this_output
from flowstead_cli.wiring import command_app

app = command_app()

_PAGE = 5000


@dataclass(frozen=True, slots=True)
class Options:
    """The flow run whose log to print."""

    run: str | None = None
    name: str | None = None
    flow_run_id: str | None = None
    info: bool = False
    output: Format = Format.TABLE
    follow: bool = False


def run(options: Options) -> None:
    """Print the whole log of a flow run; of several runs with the name, that of the last started one.

    Raises:
        CliError: no run was named, there is none of that name or id, or options contradict each other.
        prefect.exceptions.ClientError: the API refused or cannot be reached.
    """
    from flowstead_cli.api import open_session
    from prefect._generated import operations as ops

    name, flow_run_id = _meant(options)
    if options.follow and (options.info or options.output is Format.YAML):
        raise CliError("`--follow` prints lines as a table or as JSON; it goes with neither `--info` nor YAML.")
    rows: list[tuple[Any, ...]] = []
    infos: list[Any] = []
    with open_session() as session:
        found = _flow_run_id(session, name, flow_run_id)
        if options.follow:
            from flowstead_cli.log_follow import follow_log

            follow_log(session, found, as_json=options.output is Format.JSON)
            return
        while True:
            page = session.execute(ops.flow_run_logs(flow_run_id=found, limit=_PAGE, offset=len(rows)))
            if page is None:
                raise CliError(f"{flow_run_id} not found")
            rows += [(log.timestamp, log.level, log.message) for log in page.logs]
            infos += [log.info for log in page.logs]
            if len(page.logs) < _PAGE:
                break
    if options.info:
        for info in infos:
            say(str(info))
        return
    columns = [
        Column("TIMESTAMP", "timestamp", _iso),
        Column("LEVEL", "level"),
        Column("MESSAGE", "message", for_this_output),
    ]
    show(columns, rows, options.output)


def _meant(options: Options) -> tuple[str | None, str | None]:
    """Return the name and the id that were given; RUN is an id if it looks like one, else a name."""
    name, flow_run_id = options.name, options.flow_run_id
    if options.run is not None:
        if name is not None or flow_run_id is not None:
            raise CliError("Give the flow run as RUN, or with --name or --id, but not both ways.")
        return (None, options.run) if _is_uuid(options.run) else (options.run, None)
    if name is None and flow_run_id is None:
        raise CliError("Either --name or --id must be provided, or the flow run as RUN.")
    return name, flow_run_id


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _iso(value: Any) -> str:
    moment = as_datetime(value)
    return "" if moment is None else moment.isoformat()


def _flow_run_id(session: Any, name: str | None, flow_run_id: str | None) -> str:
    from prefect._generated import operations as ops

    if flow_run_id is not None and not _is_uuid(flow_run_id):
        raise CliError(f"{flow_run_id} not found")
    if name is None:
        return str(UUID(flow_run_id))
    runs = session.execute(ops.flow_runs_by_name(name=name))
    if flow_run_id is not None:
        runs = [run for run in runs if run.id == str(UUID(flow_run_id))]
    if not runs:
        raise CliError(f"{name} not found")
    # Runs that have not started have no start time and come last.
    started = [run for run in runs if run.start_time is not None]
    return str((started or list(runs))[0].id)


@app.command("logs")
def logs(
    flow_run: Annotated[str | None, typer.Argument(metavar="RUN", help="The flow run: its id, or its name.")] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", "-n", help="Name of the flow run; of several, the last started one is taken."),
    ] = None,
    flow_run_id: Annotated[str | None, typer.Option("--id", help="Id of the flow run.")] = None,
    info: Annotated[
        bool, typer.Option("--info", "-i", help="Print what each line carries besides its text, and nothing else.")
    ] = False,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Print lines as they are written, until the run is finished."),
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Print the log of a flow run.

    With --follow, JSON is one object for each line.

    Examples:

      prefect logs sturdy-heron --follow

      prefect logs 019aae4c-6a4e-7d1c-bb1a-6f3a3a0f7c55 --output json
    """
    run(Options(run=flow_run, name=name, flow_run_id=flow_run_id, info=info, output=output, follow=follow))
