"""`prefect register`: register the flows of files, modules and JSON files into a project.

All sources are loaded first: if one of them is broken, nothing is registered.  Exit code 1 if any flow could not be
registered; unchanged flows are skipped, which is success.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from flowstead_cli.collecting import Labels, Modules, Names, Paths
from flowstead_cli.errors import CliError
from flowstead_cli.output.lines import RED, YELLOW, say, summary
from flowstead_cli.wiring import command_app

if TYPE_CHECKING:
    from prefect.client.session import Session

app = command_app()


@dataclass(frozen=True, slots=True)
class Options:
    """What to register, and how."""

    project: str | None = None
    paths: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    json_files: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    force: bool = False
    watch: bool = False
    schedule: bool = True
    keep_going: bool = False


def run(options: Options) -> int:
    """Register flows and return the exit code.

    Raises:
        CliError: the project or a source does not exist, or a source is broken.
        prefect.exceptions.ClientError: the API refused or cannot be reached.
    """
    from flowstead_cli.sources import expand_paths

    if options.project is None:
        raise CliError("Error: Missing required option '--project'")
    if options.watch:
        return _watch(options)
    paths = expand_paths(options.paths)

    from flowstead_cli.api import open_session
    from flowstead_cli.collecting import collect, select_by_name
    from flowstead_cli.registration import Target, register_sources

    with open_session() as session:
        project_id = _project_id(session, options.project)
        say("Collecting flows...")
        sources, broken = collect(paths, options.modules, options.json_files, keep_going=options.keep_going)
        sources = select_by_name(sources, options.names, keep_going=options.keep_going)
        if not sources:
            say("Found no flows.", YELLOW)
        target = Target(project_id, labels=options.labels, force=options.force, schedule=options.schedule)
        counts = register_sources(session, sources, target)
    say(
        summary(
            (counts.registered, "registered", None),
            (counts.skipped, "skipped", YELLOW),
            (counts.errored, "errored", RED),
        )
    )
    return 1 if counts.errored or broken else 0


def _project_id(session: "Session", name: str) -> str:
    from prefect._generated import operations as ops

    projects = session.execute(ops.projects_by_name(name=name))
    if not projects:
        raise CliError(f"Project '{name}' does not exist; create it with `prefect create project '{name}'`.")
    return projects[0].id


def _watch(options: Options) -> int:
    from flowstead_cli.register_watch import WatchedSources, watch

    words = ["--project", str(options.project), "--schedule" if options.schedule else "--no-schedule"]
    words += [word for name in options.names for word in ("--name", name)]
    words += [word for label in options.labels for word in ("--label", label)]
    if options.force:
        words.append("--force")
    watch(WatchedSources(options.paths, options.modules, options.json_files), words)
    return 0


@app.command("register")
def main(
    project: Annotated[str | None, typer.Option("--project", help="Project to register into.  [required]")] = None,
    path: Paths = None,
    module: Modules = None,
    json_file: Annotated[
        list[str] | None,
        typer.Option("--json", "-j", metavar="FILE", help="File or URL made by `prefect build`; can be repeated."),
    ] = None,
    name: Names = None,
    label: Labels = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Register flows that have not changed, too.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on, and register again what changes, until Ctrl-C.")
    ] = False,
    schedule: Annotated[
        bool, typer.Option("--schedule/--no-schedule", help="Activate the schedules of the flows.")
    ] = True,
    keep_going: Annotated[
        bool,
        typer.Option("--keep-going", help="Register what can be loaded even if some sources or names cannot be found."),
    ] = False,
) -> int:
    """Register the flows in files and modules into a project.

    A flow that is already registered and has not changed is skipped.  If a source cannot be loaded, nothing is
    registered, unless --keep-going is given.

    Examples:

      prefect register --project tutorial -p flows/

      prefect register --project tutorial -p "flows/**/*.py" --name hello

      prefect register --project tutorial -m my_package.flows --watch

      prefect register --project tutorial --json flows.json
    """
    return run(
        Options(
            project=project,
            paths=tuple(path or ()),
            modules=tuple(module or ()),
            json_files=tuple(json_file or ()),
            names=tuple(name or ()),
            labels=tuple(label or ()),
            force=force,
            watch=watch,
            schedule=schedule,
            keep_going=keep_going,
        )
    )
