"""`prefect server start`: run the server as a process in the foreground.

The server is a program of its own; this command passes it the settings, says when it answers, and ends with its exit
code.  What stops the server from starting (a port in use, an unwritable directory, an unreachable database) is the
server's own sentence on standard error.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from flowstead_cli.errors import CliError
from flowstead_cli.output.lines import say
from flowstead_cli.wiring import group_app

app = group_app("Run the server.")


@dataclass(frozen=True, slots=True)
class StartOptions:
    """What `server start` was asked to do; None means the configured value."""

    port: int | None = None
    host: str | None = None
    data_dir: Path | None = None
    postgres_url: str | None = None
    no_upgrade: bool = False
    allow_unauthenticated: bool = False
    hide_welcome: bool = False


def server_arguments(options: StartOptions) -> list[str]:
    """Return the arguments of the server process: the options, and the configuration for those not given."""
    from prefect import config

    server = config.server
    port = server.port if options.port is None else options.port
    # A directory on the command line wins over a configured database.
    configured = None if options.data_dir else server.database.get("connection_url")
    postgres_url = options.postgres_url or configured or None
    arguments = ["--host", options.host or str(server.host_ip), "--port", str(port)]
    if postgres_url:
        arguments += ["--postgres-url", postgres_url]
    else:
        arguments += ["--data-dir", str(options.data_dir or Path(config.home_dir).expanduser() / "pgdata")]
    if options.no_upgrade:
        arguments.append("--no-upgrade")
    if options.allow_unauthenticated:
        arguments.append("--allow-unauthenticated")
    return arguments


def run(options: StartOptions) -> int:
    """Run the server until it ends, and return its exit code (0 after Ctrl-C or SIGTERM).

    Raises:
        CliError: options contradict each other.
    """
    from flowstead_cli.processes import ServerProcess, deferred_signals, raise_on_termination

    if options.data_dir is not None and options.postgres_url is not None:
        raise CliError("--data-dir is for the embedded PostgreSQL; it cannot be combined with --postgres-url.")
    with raise_on_termination(), ExitStack() as stack:
        with deferred_signals():
            server = stack.enter_context(ServerProcess(server_arguments(options)))
        try:
            ready = server.wait_until_ready()
        except KeyboardInterrupt:
            return server.stop()
        if ready is not None and not options.hide_welcome:
            _welcome(url_of(ready))
        return server.wait()


def url_of(ready: dict[str, Any]) -> str:
    """Return the URL of the API from what the server process says when it is ready."""
    host = str(ready.get("host") or "127.0.0.1")
    name = {"0.0.0.0": "localhost", "::": "localhost", "127.0.0.1": "localhost"}.get(host, host)  # noqa: S104 - read, not bound
    return f"http://{f'[{name}]' if ':' in name else name}:{ready['port']}"


def _welcome(url: str) -> None:
    from prefect import config

    say(f"Flowstead is ready. The API is at {url} (GraphQL over POST; {url}/health says whether it works).")
    if str(config.cloud.api).rstrip("/") != url:
        say(f"Tell other programs where it is:  export PREFECT__CLOUD__API={url}")
    say("Start an agent with:  prefect agent local start")
    say("Press Ctrl-C to stop.")


@app.command("start")
def start(
    port: Annotated[
        int | None,
        typer.Option(
            "--port", "--server-port", min=0, max=65535, help="Port of the API; 0 takes a free one. [default: 4200]"
        ),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on. [default: 127.0.0.1]")] = None,
    expose: Annotated[bool, typer.Option("--expose", help="Listen on all addresses, as --host 0.0.0.0.")] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="Directory of the embedded PostgreSQL. [default: ~/.prefect/pgdata]")
    ] = None,
    postgres_url: Annotated[
        str | None,
        typer.Option(help="Use this PostgreSQL (15 or newer) instead: postgres://user:password@host:port/database."),
    ] = None,
    no_upgrade: Annotated[
        bool, typer.Option("--no-upgrade", "-n", help="Do not apply migrations; end if the database needs some.")
    ] = False,
    allow_unauthenticated: Annotated[
        bool, typer.Option("--allow-unauthenticated", help="Listen on other than loopback addresses without any login.")
    ] = False,
    hide_welcome: Annotated[bool, typer.Option("--hide-welcome", help="Do not print the welcome text.")] = False,
) -> int:
    """Start the API server, with its own PostgreSQL unless another one is named, and run it until Ctrl-C."""
    if expose and host is not None:
        raise CliError("--expose means --host 0.0.0.0; give only one of them.")
    return run(
        StartOptions(
            port=port,
            host="0.0.0.0" if expose else host,  # noqa: S104 - that is what --expose asks for
            data_dir=data_dir,
            postgres_url=postgres_url,
            no_upgrade=no_upgrade,
            allow_unauthenticated=allow_unauthenticated,
            hide_welcome=hide_welcome,
        )
    )
