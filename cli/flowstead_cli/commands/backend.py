"""`prefect backend`: choose the API that commands talk to, for this user."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from flowstead_cli.errors import CliError
from flowstead_cli.output.lines import GREEN, YELLOW, say
from flowstead_cli.wiring import command_app

app = command_app()

BACKENDS = ("server", "cloud")


@dataclass(frozen=True, slots=True)
class Options:
    """The backend to switch to."""

    api: str


def run(options: Options) -> None:
    """Write the choice where the configuration is read from.

    Raises:
        CliError: there is no such backend, or the file cannot be written.
    """
    if options.api not in BACKENDS:
        raise CliError(f"{options.api} is not a valid backend API; choose one of {', '.join(BACKENDS)}.")
    from prefect.configuration import BACKEND_CONFIG

    # The place that is read, also when home_dir is elsewhere.
    file = Path(os.path.expandvars(BACKEND_CONFIG)).expanduser()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'backend = "{options.api}"\n', encoding="utf-8")
    except OSError as error:
        raise CliError(f"Cannot write the choice of backend to '{file}': {error.strerror}.") from None
    say(f"Backend switched to {options.api}", GREEN)
    override = os.environ.get("PREFECT__BACKEND")
    if override and override != options.api:
        say(f"PREFECT__BACKEND={override} in the environment still wins over that.", YELLOW)


@app.command("backend")
def backend(api: Annotated[str, typer.Argument(help="server, or cloud.")]) -> None:
    """Choose the API that commands talk to: server (cloud.api follows server.endpoint) or cloud."""
    run(Options(api=api))
