"""`prefect describe`: all that the API knows about one flow, its tasks, or a flow run.

A name that fits several things describes none of them: the candidates are listed with what tells them apart.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from flowstead_cli.errors import CliError
from flowstead_cli.output.lines import say
from flowstead_cli.output.listings import as_json, as_yaml
from flowstead_cli.output.tables import age
from flowstead_cli.wiring import group_app

if TYPE_CHECKING:
    from prefect._generated.types import FlowDescription
    from prefect.client.session import Session

app = group_app("Describe a flow, its tasks, or a flow run in full.")

_MOST_CANDIDATES = 10


class Format(StrEnum):
    """How a description is printed."""

    JSON = "json"
    YAML = "yaml"


Output = Annotated[Format, typer.Option("--output", "-o", help="How to print the description.")]


def _print(value: Any, output: Format) -> None:
    render = as_json if output is Format.JSON else as_yaml
    say(render(value, sort_keys=True))


@dataclass(frozen=True, slots=True)
class FlowOptions:
    """The flow to describe, or whose tasks to describe; the newest version if none is given."""

    name: str
    version: int | None = None
    project: str | None = None
    output: Format = Format.JSON


def _flow(session: "Session", options: FlowOptions) -> "FlowDescription":
    from prefect._generated import operations as ops
    from prefect.client.request import UNSET

    flows = session.execute(
        ops.describe_flows(
            name=options.name,
            version=UNSET if options.version is None else options.version,
            project_name=UNSET if options.project is None else options.project,
        )
    )
    if not flows:
        raise CliError(f"{options.name} not found; `prefect get flows` lists the flows there are.")
    if len(flows) > 1:
        listed = [f"  --project '{flow.project.name}'  (version {flow.version}, id {flow.id})" for flow in flows]
        raise CliError(_several(f"Found multiple flows with the name {options.name!r}. Give one of these:", listed))
    return flows[0]


def _several(headline: str, listed: Sequence[str]) -> str:
    more = ["  ..."] if len(listed) > _MOST_CANDIDATES else []
    return "\n".join([headline, *listed[:_MOST_CANDIDATES], *more])


def describe_flow(options: FlowOptions) -> None:
    """Print a flow.

    Raises:
        CliError: there is no such flow, or there are several.
        prefect.exceptions.ClientError: the API refused or cannot be reached.
    """
    from flowstead_cli.api import open_session

    with open_session() as session:
        flow = _flow(session, options)
    _print(flow, options.output)


def describe_tasks(options: FlowOptions) -> None:
    """Print the tasks of a flow.

    Raises:
        CliError: there is no such flow, there are several, or it has no tasks.
        prefect.exceptions.ClientError: the API refused or cannot be reached.
    """
    from flowstead_cli.api import open_session
    from prefect._generated import operations as ops

    with open_session() as session:
        found = session.execute(ops.describe_tasks(flow_id=_flow(session, options).id))
    if not found:
        raise CliError(f"No tasks found for flow {options.name}")
    _print(found, options.output)


@dataclass(frozen=True, slots=True)
class FlowRunOptions:
    """The flow run to describe."""

    name: str | None = None
    flow_run_id: str | None = None
    flow_name: str | None = None
    output: Format = Format.JSON


def describe_flow_run(options: FlowRunOptions) -> None:
    """Print a flow run, and why it is where it is.

    Raises:
        CliError: no run was named, there is no such run, or there are several.
        prefect.exceptions.ClientError: the API refused or cannot be reached.
    """
    from flowstead_cli.api import open_session
    from prefect._generated import operations as ops
    from prefect.client.request import UNSET

    if options.name is None and options.flow_run_id is None:
        raise CliError("Either --name or --id must be provided")
    missing = CliError(f"{options.name or options.flow_run_id} not found")
    flow_run_id: Any = UNSET
    if options.flow_run_id is not None:
        try:
            flow_run_id = str(UUID(options.flow_run_id))
        except ValueError:
            raise missing from None
    with open_session() as session:
        runs = session.execute(
            ops.describe_flow_runs(
                id=flow_run_id,
                name=UNSET if options.name is None else options.name,
                flow_name=UNSET if options.flow_name is None else options.flow_name,
                limit=_MOST_CANDIDATES + 1,
            )
        )
        explanation = session.execute(ops.flow_run_explanation(flow_run_id=runs[0].id)) if len(runs) == 1 else None
    if not runs:
        raise missing
    if explanation is None:
        listed = [
            f"  --id {run.id}  (flow '{run.flow.name}', project '{run.flow.project.name}', {run.state}, "
            f"created {age(run.created)})"
            for run in runs
        ]
        raise CliError(_several(f"Found multiple flow runs with the name {options.name!r}. Give one of these:", listed))
    why = {name: getattr(explanation, name) for name in ("reason", "message", "since", "until")}
    _print({**asdict(runs[0]), "explanation": why}, options.output)


@app.command("flows")
def flows(
    name: Annotated[str, typer.Option("--name", "-n", help="Name of the flow.")],
    version: Annotated[int | None, typer.Option("--version", "-v", help="Its version. [default: the newest]")] = None,
    project: Annotated[str | None, typer.Option("--project", "-p", help="Its project, if several have one.")] = None,
    output: Output = Format.JSON,
) -> None:
    """Describe a flow: its parameters, storage, run configuration and schedule.

    Example:  prefect describe flows --name hello --output yaml
    """
    describe_flow(FlowOptions(name, version, project, output))


@app.command("tasks")
def tasks(
    name: Annotated[str, typer.Option("--name", "-n", help="Name of the flow that the tasks are of.")],
    version: Annotated[int | None, typer.Option("--version", "-v", help="Its version. [default: the newest]")] = None,
    project: Annotated[str | None, typer.Option("--project", "-p", help="Its project, if several have one.")] = None,
    output: Output = Format.JSON,
) -> None:
    """Describe the tasks of a flow: their slugs, types and retries."""
    describe_tasks(FlowOptions(name, version, project, output))


@app.command("flow-runs")
def flow_runs(
    name: Annotated[str | None, typer.Option("--name", "-n", help="Name of the flow run.")] = None,
    flow_run_id: Annotated[str | None, typer.Option("--id", help="Id of the flow run.")] = None,
    flow_name: Annotated[str | None, typer.Option("--flow-name", "-fn", help="Only a run of this flow.")] = None,
    output: Output = Format.JSON,
) -> None:
    """Describe a flow run: its parameters, times and state, and what it waits for."""
    describe_flow_run(FlowRunOptions(name, flow_run_id, flow_name, output))
