"""The options of `prefect server start`, which `prefect server config` has too, and what they mean to the server."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from flowstead_cli.errors import CliError

__all__ = [
    "AllowUnauthenticated",
    "DataDir",
    "Expose",
    "ExternalPostgres",
    "Host",
    "NoServices",
    "NoUi",
    "NoUpgrade",
    "Port",
    "PostgresUrl",
    "StartOptions",
    "database_arguments",
    "server_arguments",
    "start_options",
]

Port = Annotated[
    int | None,
    typer.Option(
        "--port", "--server-port", min=0, max=65535, help="Port of the API; 0 takes a free one. [default: 4200]"
    ),
]
Host = Annotated[str | None, typer.Option(help="Address to listen on. [default: 127.0.0.1]")]
Expose = Annotated[bool, typer.Option("--expose", help="Listen on all addresses, as --host 0.0.0.0.")]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", "--volume-path", help="Directory of the embedded PostgreSQL. [default: ~/.prefect/pgdata]"
    ),
]
PostgresUrl = Annotated[
    str | None,
    typer.Option(help="Use this PostgreSQL (15 or newer) instead: postgres://user:password@host:port/database."),
]
ExternalPostgres = Annotated[
    bool,
    typer.Option(
        "--external-postgres", "-ep", help="Use the PostgreSQL of the setting server.database.connection_url."
    ),
]
NoUpgrade = Annotated[
    bool, typer.Option("--no-upgrade", "-n", help="Do not apply migrations; end if the database needs some.")
]
AllowUnauthenticated = Annotated[
    bool, typer.Option("--allow-unauthenticated", help="Listen on other than loopback addresses without any login.")
]

NoUi = Annotated[bool, typer.Option("--no-ui", "-u", help="Show browsers no playground.")]
NoServices = Annotated[
    bool,
    typer.Option(
        "--no-services", help="Run no services here; `prefect server services start` does, in its own process."
    ),
]


@dataclass(frozen=True, slots=True)
class StartOptions:
    """What `server start` was asked to do; None means the configured value."""

    port: int | None = None
    host: str | None = None
    data_dir: Path | None = None
    postgres_url: str | None = None
    no_upgrade: bool = False
    allow_unauthenticated: bool = False
    no_ui: bool = False
    no_services: bool = False
    hide_welcome: bool = False
    detach: bool = False


def server_arguments(options: StartOptions) -> list[str]:
    """Return the arguments of the server process: the options, and the configuration for those not given.

    Raises:
        CliError: options contradict each other.
    """
    from prefect import config

    server = config.server
    port = server.port if options.port is None else options.port
    arguments = ["--host", options.host or str(server.host_ip), "--port", str(port), *database_arguments(options)]
    if options.allow_unauthenticated:
        arguments.append("--allow-unauthenticated")
    if options.no_ui:
        arguments.append("--no-ui")
    if options.no_services:
        arguments.append("--no-services")
    return arguments


def database_arguments(options: StartOptions) -> list[str]:
    """Return those arguments of a server process that say which database it uses, and whether it may be changed.

    Raises:
        CliError: options contradict each other.
    """
    from prefect import config

    if options.data_dir is not None and options.postgres_url is not None:
        raise CliError("--data-dir is for the embedded PostgreSQL; it cannot be combined with --postgres-url.")
    # A directory on the command line wins over a configured database.
    configured = None if options.data_dir else config.server.database.get("connection_url")
    postgres_url = options.postgres_url or configured or None
    if postgres_url:
        arguments = ["--postgres-url", postgres_url]
    else:
        arguments = ["--data-dir", str(options.data_dir or Path(config.home_dir).expanduser() / "pgdata")]
    if options.no_upgrade:
        arguments.append("--no-upgrade")
    return arguments


def start_options(
    *,
    port: int | None = None,
    host: str | None = None,
    expose: bool = False,
    data_dir: Path | None,
    postgres_url: str | None,
    external_postgres: bool,
    **others: bool,
) -> StartOptions:
    """Return options as they were given on a command line.

    Raises:
        CliError: they contradict each other, or `external_postgres` has nothing to be connected to.
    """
    from prefect import config

    if expose and host is not None:
        raise CliError("--expose means --host 0.0.0.0; give only one of them.")
    if external_postgres and postgres_url is None:
        postgres_url = config.server.database.get("connection_url") or None
        if postgres_url is None:
            raise CliError("--external-postgres needs --postgres-url, or the setting server.database.connection_url.")
    return StartOptions(
        port=port,
        host="0.0.0.0" if expose else host,  # noqa: S104 - that is what --expose asks for
        data_dir=data_dir,
        postgres_url=postgres_url,
        **others,
    )
