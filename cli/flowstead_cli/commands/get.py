"""`prefect get`: tables of what the API knows.  An empty result is a table without rows, and success."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import typer

from flowstead_cli.errors import CliError
from flowstead_cli.output.lines import say
from flowstead_cli.output.tables import age, as_datetime, render_json, render_table
from flowstead_cli.wiring import group_app

app = group_app("List flows, flow runs, tasks, projects and logs.")

DEFAULT_LIMIT = 10
_LOG_PAGE = 5000

Limit = Annotated[int, typer.Option("--limit", "-l", min=1, help="How many rows at most.")]


class Format(StrEnum):
    """How a listing is printed."""

    TABLE = "table"
    JSON = "json"


Output = Annotated[Format, typer.Option("--output", "-o", help="How to print the listing.")]


def show(headers: Sequence[str], rows: Sequence[Sequence[Any]], output: Format) -> None:
    """Print rows as a table, or as JSON objects whose keys are the headers in small letters."""
    if output is Format.JSON:
        keys = [header.lower().replace(" ", "_") for header in headers]
        say(render_json([dict(zip(keys, row, strict=True)) for row in rows]))
    else:
        say(render_table(headers, rows))


def _given(value: Any) -> Any:
    from prefect.client.request import UNSET

    return UNSET if value is None else value


@dataclass(frozen=True, slots=True)
class FlowOptions:
    """Which flows to list."""

    name: str | None = None
    version: int | None = None
    project: str | None = None
    limit: int = DEFAULT_LIMIT
    all_versions: bool = False
    output: Format = Format.TABLE


def get_flows(options: FlowOptions) -> None:
    """Print flows: the newest version of each name, or all versions."""
    from flowstead_cli.api import open_session
    from prefect._generated import operations as ops

    listing = ops.list_flow_versions if options.all_versions else ops.list_flows
    with open_session() as session:
        flows = session.execute(
            listing(
                name=_given(options.name),
                version=_given(options.version),
                project_name=_given(options.project),
                limit=options.limit,
            )
        )
    show(
        ["NAME", "VERSION", "AGE", "ID", "PROJECT NAME"],
        [(flow.name, flow.version, age(flow.created), flow.id, flow.project.name) for flow in flows],
        options.output,
    )


@dataclass(frozen=True, slots=True)
class FlowRunOptions:
    """Which flow runs to list."""

    flow: str | None = None
    project: str | None = None
    limit: int = DEFAULT_LIMIT
    started: bool = False
    output: Format = Format.TABLE


def get_flow_runs(options: FlowRunOptions) -> None:
    """Print flow runs, newest first."""
    from flowstead_cli.api import open_session
    from prefect._generated import operations as ops

    listing = ops.list_started_flow_runs if options.started else ops.list_flow_runs
    with open_session() as session:
        runs = session.execute(
            listing(flow_name=_given(options.flow), project_name=_given(options.project), limit=options.limit)
        )
    show(
        ["NAME", "FLOW NAME", "STATE", "AGE", "START TIME", "ID"],
        [(run.name, run.flow.name, run.state, age(run.created), _start_time(run.start_time), run.id) for run in runs],
        options.output,
    )


def _start_time(value: Any) -> str | None:
    moment = as_datetime(value)
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """Which tasks to list."""

    name: str | None = None
    flow_name: str | None = None
    flow_version: int | None = None
    project: str | None = None
    limit: int = DEFAULT_LIMIT
    output: Format = Format.TABLE


def get_tasks(options: TaskOptions) -> None:
    """Print tasks, newest first."""
    from flowstead_cli.api import open_session
    from prefect._generated import operations as ops

    with open_session() as session:
        tasks = session.execute(
            ops.list_tasks(
                name=_given(options.name),
                flow_name=_given(options.flow_name),
                flow_version=_given(options.flow_version),
                project_name=_given(options.project),
                limit=options.limit,
            )
        )
    show(
        ["NAME", "FLOW NAME", "FLOW VERSION", "AGE", "MAPPED", "TYPE"],
        [(task.name, task.flow.name, task.flow.version, age(task.created), task.mapped, task.type) for task in tasks],
        options.output,
    )


@dataclass(frozen=True, slots=True)
class ProjectOptions:
    """Which projects to list."""

    name: str | None = None
    output: Format = Format.TABLE


def get_projects(options: ProjectOptions) -> None:
    """Print projects by name."""
    from flowstead_cli.api import open_session
    from prefect._generated import operations as ops

    with open_session() as session:
        projects = session.execute(ops.list_projects(name=_given(options.name)))
    show(
        ["NAME", "FLOW COUNT", "AGE", "DESCRIPTION"],
        [
            (project.name, project.flows_aggregate.aggregate.count, age(project.created), project.description)
            for project in projects
        ],
        options.output,
    )


@dataclass(frozen=True, slots=True)
class LogOptions:
    """The flow run whose log to print."""

    name: str | None = None
    flow_run_id: str | None = None
    info: bool = False
    output: Format = Format.TABLE


def get_logs(options: LogOptions) -> None:
    """Print the whole log of a flow run; of several runs with the name, that of the last started one.

    Raises:
        CliError: no run was named, or there is none of that name or id.
    """
    from flowstead_cli.api import open_session
    from prefect._generated import operations as ops

    if options.name is None and options.flow_run_id is None:
        raise CliError("Either --name or --id must be provided")
    rows: list[tuple[Any, ...]] = []
    infos: list[Any] = []
    with open_session() as session:
        flow_run_id = _flow_run_id(session, options)
        while True:
            page = session.execute(ops.flow_run_logs(flow_run_id=flow_run_id, limit=_LOG_PAGE, offset=len(rows)))
            if page is None:
                raise CliError(f"{options.flow_run_id} not found")
            rows += [(_iso(log.timestamp), log.level, log.message) for log in page.logs]
            infos += [log.info for log in page.logs]
            if len(page.logs) < _LOG_PAGE:
                break
    if options.info:
        for info in infos:
            say(str(info))
    else:
        show(["TIMESTAMP", "LEVEL", "MESSAGE"], rows, options.output)


def _iso(value: Any) -> str:
    moment = as_datetime(value)
    return "" if moment is None else moment.isoformat()


def _flow_run_id(session: Any, options: LogOptions) -> str:
    from prefect._generated import operations as ops

    if options.name is None:
        try:
            return str(UUID(options.flow_run_id))
        except ValueError:
            raise CliError(f"{options.flow_run_id} not found") from None
    runs = session.execute(ops.flow_runs_by_name(name=options.name))
    if options.flow_run_id is not None:
        runs = [run for run in runs if run.id == options.flow_run_id]
    if not runs:
        raise CliError(f"{options.name} not found")
    # Runs that have not started have no start time and come last.
    started = [run for run in runs if run.start_time is not None]
    return str((started or list(runs))[0].id)


@app.command("flows")
def flows(
    name: Annotated[str | None, typer.Option("--name", "-n", help="Only flows of this name.")] = None,
    version: Annotated[int | None, typer.Option("--version", "-v", help="Only this version.")] = None,
    project: Annotated[str | None, typer.Option("--project", "-p", help="Only flows of this project.")] = None,
    limit: Limit = DEFAULT_LIMIT,
    all_versions: Annotated[bool, typer.Option("--all-versions", help="Every version, not only the newest.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """List flows."""
    get_flows(FlowOptions(name, version, project, limit, all_versions, output))


@app.command("flow-runs")
def flow_runs(
    limit: Limit = DEFAULT_LIMIT,
    flow: Annotated[str | None, typer.Option("--flow", "-f", help="Only runs of this flow.")] = None,
    project: Annotated[str | None, typer.Option("--project", "-p", help="Only runs in this project.")] = None,
    started: Annotated[
        bool, typer.Option("--started", "-s", help="Only runs that started, last started first.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """List flow runs, newest first."""
    get_flow_runs(FlowRunOptions(flow, project, limit, started, output))


@app.command("tasks")
def tasks(
    name: Annotated[str | None, typer.Option("--name", "-n", help="Only tasks of this name.")] = None,
    flow_name: Annotated[str | None, typer.Option("--flow-name", "-fn", help="Only tasks of this flow.")] = None,
    flow_version: Annotated[
        int | None, typer.Option("--flow-version", "-fv", help="Only tasks of this version of the flow.")
    ] = None,
    project: Annotated[str | None, typer.Option("--project", "-p", help="Only tasks in this project.")] = None,
    limit: Limit = DEFAULT_LIMIT,
    output: Output = Format.TABLE,
) -> None:
    """List tasks, newest first."""
    get_tasks(TaskOptions(name, flow_name, flow_version, project, limit, output))


@app.command("projects")
def projects(
    name: Annotated[str | None, typer.Option("--name", "-n", help="Only the project of this name.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """List projects."""
    get_projects(ProjectOptions(name, output))


@app.command("logs")
def logs(
    name: Annotated[str | None, typer.Option("--name", "-n", help="Name of the flow run.")] = None,
    flow_run_id: Annotated[str | None, typer.Option("--id", help="Id of the flow run.")] = None,
    info: Annotated[bool, typer.Option("--info", "-i", help="Print what each line carries besides its text.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Print the log of a flow run."""
    get_logs(LogOptions(name, flow_run_id, info, output))
