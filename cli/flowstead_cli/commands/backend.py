"""`prefect backend`: choose the API that commands talk to, for this user."""

import os
from dataclasses import dataclass
from typing import Annotated

import typer

from flowstead_cli.errors import CliError
from flowstead_cli.output.lines import GREEN, YELLOW, say
from flowstead_cli.wiring import command_app

app = command_app()


@dataclass(frozen=True, slots=True)
class Options:
    """The backend to switch to."""

    api: str


def run(options: Options) -> None:
    """Write the choice where the configuration is read from.

    Raises:
        CliError: there is no such backend, or the file cannot be written.
    """
    from prefect.utilities.backend import backend_file, save_backend

    try:
        save_backend(options.api)
    except ValueError as error:
        raise CliError(str(error)) from None
    except OSError as error:
        raise CliError(f"Cannot write the choice of backend to '{backend_file()}': {error.strerror}.") from None
    say(f"Backend switched to {options.api}", GREEN)
    override = os.environ.get("PREFECT__BACKEND")
    if override and override != options.api:
        say(f"PREFECT__BACKEND={override} in the environment still wins over that.", YELLOW)


@app.command("backend")
def backend(api: Annotated[str, typer.Argument(help="server or cloud.")]) -> None:
    """Choose the API that commands talk to, for this user.

    With `server` it is at the setting server.endpoint, with `cloud` at cloud.endpoint.  The setting cloud.api
    (PREFECT__CLOUD__API) wins over both.

    Example:  prefect backend server
    """
    run(Options(api=api))
