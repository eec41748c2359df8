"""`prefect server services start`: run the services of the server alone, in a process that answers no requests."""

from typing import Annotated

import typer

from flowstead_cli.output.lines import say
from flowstead_cli.server_options import (
    AllowUnauthenticated,
    DataDir,
    ExternalPostgres,
    Host,
    NoUpgrade,
    PostgresUrl,
    StartOptions,
    database_arguments,
    start_options,
)
from flowstead_cli.wiring import group_app

services = group_app("Run the services of the server in a process of their own.")


MetricsPort = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="Answer at /metrics on this port; 0 takes a free one. [default: do not]"),
]


def run(options: StartOptions, metrics_port: int | None = None) -> int:
    """Run the services until they end, and return the exit code of their process (0 after Ctrl-C or SIGTERM).

    Raises:
        CliError: options contradict each other.
    """
    from flowstead_cli.processes import ServerProcess, deferred_signals, raise_on_termination
    from prefect import config

    arguments = ["services", *database_arguments(options)]
    if metrics_port is not None:
        arguments += ["--metrics-port", str(metrics_port), "--host", options.host or str(config.server.host_ip)]
        if options.allow_unauthenticated:
            arguments.append("--allow-unauthenticated")
    with raise_on_termination():
        with deferred_signals():
            process = ServerProcess(arguments)
        with process:
            try:
                ready = process.wait_until_ready()
                if ready is not None and not options.hide_welcome:
                    say(f"The services run: {', '.join(ready['services'])}.")
                    if "port" in ready:
                        say(f"Their metrics are at http://{ready['host']}:{ready['port']}/metrics.")
                    say("Press Ctrl-C to stop.")
                return process.wait()
            except KeyboardInterrupt:
                return process.stop()


@services.command("start")
def start(
    data_dir: DataDir = None,
    postgres_url: PostgresUrl = None,
    external_postgres: ExternalPostgres = False,
    no_upgrade: NoUpgrade = False,
    metrics_port: MetricsPort = None,
    host: Host = None,
    allow_unauthenticated: AllowUnauthenticated = False,
    hide_welcome: Annotated[bool, typer.Option("--hide-welcome", help="Do not say what runs.")] = False,
) -> int:
    """Run the services of the server (scheduler, zombie reaper and so on) until Ctrl-C, and no API.

    Any number of these may run, on any machines, beside servers that were started with --no-services or
    without it.  They wait for a database that does not answer yet.  The embedded PostgreSQL is shared by
    all processes of one machine that name its directory.

    Examples:

      prefect server start --no-services --postgres-url postgres://db/prefect

      prefect server services start --postgres-url postgres://db/prefect
    """
    return run(
        start_options(
            data_dir=data_dir,
            postgres_url=postgres_url,
            external_postgres=external_postgres,
            no_upgrade=no_upgrade,
            host=host,
            allow_unauthenticated=allow_unauthenticated,
            hide_welcome=hide_welcome,
        ),
        metrics_port,
    )
