"""`prefect register`: register the flows of files and modules into a project.

All sources are loaded first: if one of them is broken, nothing is registered.  Exit code 1 if any flow could not be
registered; unchanged flows are skipped, which is success.
"""

from dataclasses import dataclass
from typing import Annotated

import typer

from flowstead_cli.errors import CliError
from flowstead_cli.output.lines import RED, YELLOW, colour, say, summary_bar
from flowstead_cli.wiring import command_app

app = command_app()


@dataclass(frozen=True, slots=True)
class Options:
    """What to register, and how."""

    project: str | None = None
    paths: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    force: bool = False
    schedule: bool = True


def run(options: Options) -> int:
    """Register flows and return the exit code.

    Raises:
        CliError: the project or a source does not exist, or a source is broken.
        prefect.exceptions.ClientError: the API refused or cannot be reached.
    """
    from flowstead_cli.sources import expand_paths

    if options.project is None:
        raise CliError("Error: Missing required option '--project'")
    paths = expand_paths(options.paths)

    from flowstead_cli.api import open_session
    from flowstead_cli.registration import Target, collect, register_sources, select_by_name
    from prefect._generated import operations as ops

    with open_session() as session:
        projects = session.execute(ops.projects_by_name(name=options.project))
        if not projects:
            raise CliError(
                f"Project '{options.project}' does not exist; "
                f"create it with `prefect create project '{options.project}'`."
            )
        say("Collecting flows...")
        sources = select_by_name(collect(paths, options.modules), options.names)
        target = Target(
            project=options.project,
            project_id=projects[0].id,
            labels=options.labels,
            force=options.force,
            schedule=options.schedule,
        )
        counts = register_sources(session, sources, target)
    parts = [f"{counts.registered} registered"]
    shown = list(parts)
    for count, word, code in ((counts.skipped, "skipped", YELLOW), (counts.errored, "errored", RED)):
        if count:
            parts.append(f"{count} {word}")
            shown.append(colour(f"{count} {word}", code))
    say(summary_bar(", ".join(shown), len(", ".join(parts))))
    return 1 if counts.errored else 0


@app.command("register")
def main(
    project: Annotated[str | None, typer.Option("--project", help="Project to register into.  [required]")] = None,
    path: Annotated[
        list[str] | None,
        typer.Option("--path", "-p", metavar="PATH", help="Python file, directory, or glob; can be repeated."),
    ] = None,
    module: Annotated[
        list[str] | None,
        typer.Option("--module", "-m", metavar="NAME", help="Module, or full import path of a flow; can be repeated."),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", "-n", metavar="TEXT", help="Only flows of this name; can be repeated."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", "-l", metavar="TEXT", help="Label to add to every flow; can be repeated."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Register flows that have not changed, too.")] = False,
    schedule: Annotated[
        bool, typer.Option("--schedule/--no-schedule", help="Activate the schedules of the flows.")
    ] = True,
) -> int:
    """Register the flows in files and modules into a project.

    Example:  prefect register --project tutorial -p flows/
    """
    return run(
        Options(
            project=project,
            paths=tuple(path or ()),
            modules=tuple(module or ()),
            names=tuple(name or ()),
            labels=tuple(label or ()),
            force=force,
            schedule=schedule,
        )
    )
