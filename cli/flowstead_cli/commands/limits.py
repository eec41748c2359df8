"""`prefect limits`: how many flow runs and task runs may run at the same time."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from flowstead_cli.errors import CliError
from flowstead_cli.lookup import find_flow
from flowstead_cli.output.lines import GREEN, say
from flowstead_cli.output.listings import Column, Format, Output, show
from flowstead_cli.wiring import group_app

if TYPE_CHECKING:
    from prefect.client.session import Session

app = group_app("Limit how many flow runs and task runs may run at the same time.")


@dataclass(frozen=True, slots=True)
class Limited:
    """What a limit is for: exactly one of a label of flow runs, a tag of tasks, and a flow."""

    label: str | None = None
    tag: str | None = None
    flow: str | None = None
    project: str | None = None

    def __str__(self) -> str:
        """Name it for messages."""
        if self.label is not None:
            return f"flow runs with the label {self.label!r}"
        return f"task runs with the tag {self.tag!r}" if self.tag is not None else f"runs of the flow {self.flow!r}"

    def check(self) -> None:
        """Raise CliError unless one thing is named."""
        if sum(name is not None for name in (self.label, self.tag, self.flow)) != 1:
            raise CliError("Say what the limit is for: give one of `--label`, `--tag` and `--flow`.")
        if self.project is not None and self.flow is None:
            raise CliError("`--project` goes with `--flow` only.")


def list_limits(output: Format) -> None:
    """Print all limits."""
    from flowstead_cli.api import open_session
    from prefect._generated import operations as ops

    with open_session() as session:
        labels = session.execute(ops.list_flow_concurrency_limits())
        tags = session.execute(ops.list_task_tag_limits())
        flows = session.execute(ops.list_limited_flows())
    rows = [
        *(("label", limit.name, None, limit.limit) for limit in labels),
        *(("tag", limit.tag, None, limit.limit) for limit in tags),
        *(("flow", flow.name, flow.project.name, flow.flow_group.concurrency_limit) for flow in flows),
    ]
    columns = [
        Column("OF", "of"),
        Column("NAME", "name"),
        Column("PROJECT NAME", "project_name", lambda name: name or ""),
    ]
    show([*columns, Column("LIMIT", "limit")], rows, output)


def set_limit(limited: Limited, limit: int) -> None:
    """Set a limit, in place of one that is there.

    Raises:
        CliError: it is not said what the limit is for, or there is no such flow.
        prefect.exceptions.ClientError: the API refused (the limit is negative, say) or cannot be reached.
    """
    from flowstead_cli.api import open_session
    from prefect._generated import operations as ops

    limited.check()
    with open_session() as session:
        if limited.label is not None:
            session.execute(ops.update_flow_concurrency_limit(label=limited.label, limit=limit))
        elif limited.tag is not None:
            session.execute(ops.update_task_tag_limit(tag=limited.tag, limit=limit))
        else:
            _limit_flow(session, limited, limit)
    say(f"At most {limit} {limited} run at the same time from now on.", GREEN)


def delete_limit(limited: Limited) -> None:
    """Remove a limit.

    Raises:
        CliError: it is not said what the limit is for, or there is none.
        prefect.exceptions.ClientError: the API refused or cannot be reached.
    """
    from flowstead_cli.api import open_session
    from prefect._generated import operations as ops

    limited.check()
    with open_session() as session:
        done: bool | None = True
        if limited.label is not None:
            labels = session.execute(ops.list_flow_concurrency_limits(name=limited.label))
            done = bool(labels) and session.execute(ops.delete_flow_concurrency_limit(limit_id=labels[0].id)).success
        elif limited.tag is not None:
            tags = session.execute(ops.list_task_tag_limits(tag=limited.tag))
            done = bool(tags) and session.execute(ops.delete_task_tag_limit(limit_id=tags[0].id)).success
        else:
            _limit_flow(session, limited, None)
    if not done:
        raise CliError(f"There is no limit for {limited}.")
    say(f"There is no limit any more for {limited}.", GREEN)


def _limit_flow(session: "Session", limited: Limited, limit: int | None) -> None:
    from prefect._generated import operations as ops

    flow = find_flow(session, flow_id=None, name=limited.flow, project=limited.project)
    session.execute(ops.set_flow_group_concurrency_limit(flow_group_id=flow.flow_group_id, limit=limit))


Label = Annotated[str | None, typer.Option("--label", help="Flow runs with this label.")]
Tag = Annotated[str | None, typer.Option("--tag", help="Task runs whose task has this tag.")]
Flow = Annotated[str | None, typer.Option("--flow", "-f", help="Runs of this flow, all versions together.")]
Project = Annotated[str | None, typer.Option("--project", "-p", help="Project of the flow.")]


@app.command("list")
def list_command(output: Output = Format.TABLE) -> None:
    """List all limits."""
    list_limits(output)


@app.command("set")
def set_command(
    limit: Annotated[int, typer.Argument(help="How many may run at the same time; 0 lets nothing start.")],
    label: Label = None,
    tag: Tag = None,
    flow: Flow = None,
    project: Project = None,
) -> None:
    """Set a limit. What runs goes on, and nothing more starts until it fits.

    Example:  prefect limits set 2 --label database
    """
    set_limit(Limited(label, tag, flow, project), limit)


@app.command("delete")
def delete_command(label: Label = None, tag: Tag = None, flow: Flow = None, project: Project = None) -> None:
    """Remove a limit."""
    delete_limit(Limited(label, tag, flow, project))
