"""`prefect version`: the version, one line."""

import typer

from flowstead_cli.wiring import command_app

app = command_app()


@app.command("version")
def version() -> None:
    """Show the version."""
    from prefect._version import __version__

    typer.echo(__version__)
