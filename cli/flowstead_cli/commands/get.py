"""`prefect get`: tables of what the API knows.  An empty result is a table without rows, and success."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flowstead_cli.commands.logs import logs
from flowstead_cli.output.listings import Column, Format, Output, ago, second, show
from flowstead_cli.wiring import group_app

if TYPE_CHECKING:
    from prefect._generated.types import FlowRunLine

app = group_app("List flows, flow runs, tasks, projects, agents and logs.")

DEFAULT_LIMIT = 10
_WAITING_STATES = frozenset({"Scheduled", "Retrying", "Resume", "Paused", "Queued", "Submitted", "Pending"})
_HEALTHY_FOR = timedelta(minutes=1)

Limit = Annotated[int, typer.Option("--limit", "-l", min=1, help="How many rows at most.")]


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
        [
            Column("NAME", "name"),
            Column("VERSION", "version"),
            ago("AGE", "created"),
            Column("ID", "id"),
            Column("PROJECT NAME", "project_name"),
        ],
        [(flow.name, flow.version, flow.created, flow.id, flow.project.name) for flow in flows],
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
    """Print flow runs, newest first; a run that waits is listed with the time at which it is to start."""
    from flowstead_cli.api import open_session
    from prefect._generated import operations as ops

    listing = ops.list_started_flow_runs if options.started else ops.list_flow_runs
    with open_session() as session:
        runs = session.execute(
            listing(flow_name=_given(options.flow), project_name=_given(options.project), limit=options.limit)
        )
    columns = [
        Column("NAME", "name"),
        Column("FLOW NAME", "flow_name"),
        Column("STATE", "state"),
        ago("AGE", "created"),
        Column("START TIME", "start_time", second),
        Column("ID", "id"),
    ]
    rows: list[tuple[Any, ...]] = [
        (run.name, run.flow.name, run.state, run.created, _start(run), run.id) for run in runs
    ]
    if options.output is not Format.TABLE:
        # a program wants to know which of the two it is
        columns.append(Column("SCHEDULED START TIME", "scheduled_start_time"))
        rows = [
            (*row[:4], run.start_time, run.id, run.scheduled_start_time) for row, run in zip(rows, runs, strict=True)
        ]
    show(columns, rows, options.output)


def _start(run: "FlowRunLine") -> datetime | None:
    """When a run started, or while it waits, when it is to start."""
    waits = run.start_time is None and run.state in _WAITING_STATES
    return run.scheduled_start_time if waits else run.start_time


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
        [
            Column("NAME", "name"),
            Column("FLOW NAME", "flow_name"),
            Column("FLOW VERSION", "flow_version"),
            ago("AGE", "created"),
            Column("MAPPED", "mapped"),
            Column("TYPE", "type"),
        ],
        [(task.name, task.flow.name, task.flow.version, task.created, task.mapped, task.type) for task in tasks],
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
        [
            Column("NAME", "name"),
            Column("FLOW COUNT", "flow_count"),
            ago("AGE", "created"),
            Column("DESCRIPTION", "description"),
        ],
        [
            (project.name, project.flows_aggregate.aggregate.count, project.created, project.description)
            for project in projects
        ],
        options.output,
    )


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """Which agents to list."""

    name: str | None = None
    limit: int = DEFAULT_LIMIT
    output: Format = Format.TABLE


def get_agents(options: AgentOptions) -> None:
    """Print agents, the last seen first; one that asked for work within the last minute is healthy."""
    from flowstead_cli.api import open_session
    from prefect._generated import operations as ops

    with open_session() as session:
        agents = session.execute(ops.list_agents(name=_given(options.name), limit=options.limit))
    now = datetime.now(UTC)
    columns = [
        Column("NAME", "name"),
        Column("TYPE", "type"),
        Column("LABELS", "labels", lambda labels: ", ".join(labels or [])),
        Column("STATUS", "status"),
        ago("LAST SEEN", "last_queried"),
        Column("VERSION", "core_version"),
        Column("ID", "id"),
    ]
    rows = [
        (
            agent.name,
            agent.type,
            agent.labels,
            _health(agent.last_queried, now),
            agent.last_queried,
            agent.core_version,
            agent.id,
        )
        for agent in agents
    ]
    show(columns, rows, options.output)


def _health(last_queried: datetime | None, now: datetime) -> str:
    if last_queried is None:
        return "never seen"
    return "healthy" if now - last_queried < _HEALTHY_FOR else "unhealthy"


@app.command("flows")
def flows(
    name: Annotated[str | None, typer.Option("--name", "-n", help="Only flows of this name.")] = None,
    version: Annotated[int | None, typer.Option("--version", "-v", help="Only this version.")] = None,
    project: Annotated[str | None, typer.Option("--project", "-p", help="Only flows of this project.")] = None,
    limit: Limit = DEFAULT_LIMIT,
    all_versions: Annotated[bool, typer.Option("--all-versions", help="Every version, not only the newest.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """List flows, by name: the newest version of each.

    Examples:

      prefect get flows --project tutorial

      prefect get flows --name hello --all-versions --output json
    """
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
    """List tasks, newest first.

    Example:  prefect get tasks --flow-name hello --flow-version 2
    """
    get_tasks(TaskOptions(name, flow_name, flow_version, project, limit, output))


@app.command("projects")
def projects(
    name: Annotated[str | None, typer.Option("--name", "-n", help="Only the project of this name.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """List projects, by name, with the number of flows in each."""
    get_projects(ProjectOptions(name, output))


@app.command("agents")
def agents(
    name: Annotated[str | None, typer.Option("--name", "-n", help="Only agents of this name.")] = None,
    limit: Limit = DEFAULT_LIMIT,
    output: Output = Format.TABLE,
) -> None:
    """List agents, the last seen first; healthy ones asked for work within the last minute."""
    get_agents(AgentOptions(name, limit, output))


app.command("logs")(logs)
