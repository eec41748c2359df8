"""`prefect diagnostics`: what to add to a report of a problem.  Names of settings only, never their values."""

from dataclasses import dataclass
from typing import Annotated

import typer

from flowstead_cli.output.lines import say
from flowstead_cli.wiring import command_app

app = command_app()


@dataclass(frozen=True, slots=True)
class Options:
    """What to include."""

    include_secret_names: bool = False


def run(options: Options) -> None:
    """Print the diagnosis, a JSON document.

    Raises:
        tomllib.TOMLDecodeError: the user's configuration file is no valid TOML.
    """
    from prefect.utilities.diagnostics import diagnostic_info

    say(diagnostic_info(include_secret_names=options.include_secret_names))


@app.command("diagnostics")
def main(
    include_secret_names: Annotated[
        bool, typer.Option("--include-secret-names", help="Include the names of local secrets, never their values.")
    ] = False,
) -> None:
    """Show what a report of a problem should include: versions, and which settings were changed.

    Values of settings are never shown, and names of secrets only when asked for.
    """
    run(Options(include_secret_names=include_secret_names))
