"""`prefect build`: put flows into a JSON file, to be registered later or elsewhere.  Needs no API.

The file is written also if some flows failed, with those that did not; the exit code is 1 then.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from flowstead_cli.collecting import Labels, Modules, Names, Paths
from flowstead_cli.output.lines import RED, YELLOW, say, summary
from flowstead_cli.wiring import command_app

app = command_app()


@dataclass(frozen=True, slots=True)
class Options:
    """What to build, and where to."""

    paths: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    output: str = "flows.json"
    update: bool = False


def run(options: Options) -> int:
    """Build flows and return the exit code.

    Raises:
        CliError: a source does not exist or is broken, or the file cannot be read or written.
    """
    from flowstead_cli.building import Outcome, process
    from flowstead_cli.collecting import collect, select_by_name
    from flowstead_cli.flow_files import local_file, read_flow_file, write_flow_file
    from flowstead_cli.sources import expand_paths

    paths = expand_paths(options.paths)
    kept = read_flow_file(options.output) if options.update and local_file(options.output).exists() else []
    say("Collecting flows...")
    sources, _ = collect(paths, options.modules)
    sources = select_by_name(sources, options.names)
    if not sources:
        say("Found no flows.", YELLOW)
    built: list[dict[str, Any]] = []

    def build(serialized: dict[str, Any]) -> Outcome:
        built.append(serialized)
        return Outcome()

    errored = process(sources, options.labels, "Building", build)
    say(f"Writing output to '{options.output}'")
    write_flow_file(options.output, [*kept, *built])
    say(summary((len(built), "built", None), (errored, "errored", RED)))
    return 1 if errored else 0


@app.command("build")
def main(
    path: Paths = None,
    module: Modules = None,
    name: Names = None,
    label: Labels = None,
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="File to write.")] = "flows.json",
    update: Annotated[
        bool, typer.Option("--update", "-u", help="Replace flows of the same name in the file, and keep the others.")
    ] = False,
) -> int:
    """Build flows into a JSON file, which `prefect register --json` registers later.

    The storage of every flow is built, and nothing is registered; no API is needed.

    Example:  prefect build -p flows/ -o flows.json
    """
    return run(
        Options(
            paths=tuple(path or ()),
            modules=tuple(module or ()),
            names=tuple(name or ()),
            labels=tuple(label or ()),
            output=output,
            update=update,
        )
    )
