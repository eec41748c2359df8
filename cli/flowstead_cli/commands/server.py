"""`prefect server`: run the server as a process, in the foreground or detached, and stop it.

The server is a program of its own; `start` passes it the settings, says when it answers, and ends with its exit code.
What stops the server from starting (a port in use, an unwritable directory, an unreachable database) is the server's
own sentence on standard error.
"""

from contextlib import ExitStack
from typing import Annotated, Any

import typer

from flowstead_cli.commands.server_retention import retention
from flowstead_cli.commands.server_services import services
from flowstead_cli.errors import CliError
from flowstead_cli.legacy_options import ServerCommand
from flowstead_cli.output.lines import GREEN, say, step
from flowstead_cli.server_options import (
    AllowUnauthenticated,
    DataDir,
    Expose,
    ExternalPostgres,
    Host,
    NoServices,
    NoUi,
    NoUpgrade,
    Port,
    PostgresUrl,
    StartOptions,
    server_arguments,
    start_options,
)
from flowstead_cli.supervisors import Supervisor, SupervisorOption
from flowstead_cli.wiring import group_app

app = group_app("Run the server, and manage it.")
app.add_typer(services, name="services")
app.command("retention")(retention)

_LOG_TAIL = 2000


def run(options: StartOptions) -> int:
    """Run the server until it ends, and return its exit code (0 after Ctrl-C or SIGTERM); detached, until it answers.

    Raises:
        CliError: options contradict each other, or a detached server did not start.
    """
    from flowstead_cli.processes import ServerProcess, deferred_signals, raise_on_termination
    from flowstead_cli.server_records import recorded

    arguments = server_arguments(options)
    if options.detach:
        _detach(arguments, options)
        return 0
    with raise_on_termination(), ExitStack() as stack:
        with deferred_signals():
            server = stack.enter_context(ServerProcess(arguments))
        try:
            ready = server.wait_until_ready()
            if ready is not None:
                stack.enter_context(recorded(server.pid, url_of(ready)))
                if not options.hide_welcome:
                    _welcome(ready, stop="Press Ctrl-C to stop.")
            return server.wait()
        except KeyboardInterrupt:
            return server.stop()


def _detach(arguments: list[str], options: StartOptions) -> None:
    from flowstead_cli.processes import ServerProcess, deferred_signals, raise_on_termination
    from flowstead_cli.server_records import home, record

    log = home() / "server.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        opened = log.open("ab")
    except OSError as error:
        raise CliError(f"The log of a detached server cannot be written to {log}: {error.strerror}.") from None
    with raise_on_termination(), opened as output:
        start = output.tell()
        with deferred_signals():
            server = ServerProcess(arguments, output=output, stays=True)
        try:
            ready = server.wait_until_ready()
        except KeyboardInterrupt:
            server.stop()
            raise
    if ready is None:
        said = log.read_bytes()[start:][-_LOG_TAIL:].decode(errors="replace").strip()
        raise CliError(f"The server did not start; in {log} it says:\n{said}", exit_code=max(server.wait(), 1))
    record(server.pid, url_of(ready))
    if not options.hide_welcome:
        _welcome(ready, stop=f"Its log is {log}. Stop it with:  prefect server stop")


def stop_servers() -> None:
    """Stop every server that this user has started with `prefect server start`, here or in another terminal."""
    from flowstead_cli.server_records import running_servers, stop_server

    servers = running_servers()
    if not servers:
        say("No running Prefect Server found")
        return
    for server in servers:
        with step(f"Stopping Prefect Server at {server.url}..."):
            stop_server(server)
    say("Prefect Server stopped", GREEN)


def show_config(options: StartOptions, supervisor: Supervisor) -> None:
    """Print the file with which a supervisor keeps a server with these options running.

    Raises:
        CliError: options contradict each other, or the file cannot hold one of them.
    """
    from flowstead_agent.supervision import Program, prefect_command, supervisord_configuration, systemd_unit

    arguments = server_arguments(options)
    environment = {}
    if "--postgres-url" in arguments:
        # It has a password, which other users could read in a command line.
        place = arguments.index("--postgres-url")
        environment["PREFECT__SERVER__DATABASE__CONNECTION_URL"] = arguments[place + 1]
        del arguments[place : place + 2]
    try:
        program = Program(
            name="prefect-server",
            description="The Prefect server",
            command=[*prefect_command(), "server", "start", "--hide-welcome", *arguments],
            environment=environment,
        )
        text = systemd_unit(program) if supervisor is Supervisor.SYSTEMD else supervisord_configuration(program)
    except ValueError as error:
        raise CliError(str(error)) from None
    say(text, end="")


def create_tenant(name: str, slug: str | None) -> None:
    """Create a tenant.

    Raises:
        CliError: there is one with that slug, or the backend is not a server.
        prefect.exceptions.ClientError: the API refused or cannot be reached.
    """
    from flowstead_cli.api import open_session
    from prefect import config
    from prefect._generated import operations as ops
    from prefect.client.errors import ApiError

    if config.backend != "server":
        raise CliError(f"Tenants can only be created with the backend 'server', not {config.backend!r}.")
    if slug is None:
        from slugify import slugify

        slug = slugify(name)
    with open_session() as session:
        try:
            tenant_id = session.execute(ops.create_tenant(name=name, slug=slug), retry=False).id
        except ApiError as error:
            if "Uniqueness violation." not in str(error):
                raise
            raise CliError(f"There is a tenant with the slug {slug!r} already; give another --slug.") from None
    say(f"Tenant created with ID: {tenant_id}", GREEN)


def url_of(ready: dict[str, Any]) -> str:
    """Return the URL of the API from what the server process says when it is ready."""
    host = str(ready.get("host") or "127.0.0.1")
    name = {"0.0.0.0": "localhost", "::": "localhost", "127.0.0.1": "localhost"}.get(host, host)  # noqa: S104 - read, not bound
    return f"http://{f'[{name}]' if ':' in name else name}:{ready['port']}"


def _welcome(ready: dict[str, Any], stop: str) -> None:
    from prefect import config

    url = url_of(ready)
    say(f"Flowstead is ready. The API is at {url} (GraphQL over POST; {url}/health says whether it works).")
    if ready.get("playground"):
        say("Open that address in a browser for the playground: documentation, examples, live subscriptions.")
    if str(config.cloud.api).rstrip("/") != url:
        say(f"Tell other programs where it is:  export PREFECT__CLOUD__API={url}")
    say("Start an agent with:  prefect agent local start")
    say(stop)


@app.command("start", cls=ServerCommand)
def start(
    port: Port = None,
    host: Host = None,
    expose: Expose = False,
    data_dir: DataDir = None,
    postgres_url: PostgresUrl = None,
    external_postgres: ExternalPostgres = False,
    no_upgrade: NoUpgrade = False,
    allow_unauthenticated: AllowUnauthenticated = False,
    no_ui: NoUi = False,
    no_services: NoServices = False,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return when the server answers, and leave it running.")
    ] = False,
    hide_welcome: Annotated[bool, typer.Option("--hide-welcome", help="Do not print the welcome text.")] = False,
) -> int:
    """Start the API server, with its own PostgreSQL unless another one is named, and run it until Ctrl-C.

    Data is kept from one start to the next.  With --detach the server goes on in the background until
    `prefect server stop`.

    Examples:

      prefect server start --detach

      prefect server start --postgres-url postgres://user:secret@db/prefect
    """
    return run(
        start_options(
            port=port,
            host=host,
            expose=expose,
            data_dir=data_dir,
            postgres_url=postgres_url,
            external_postgres=external_postgres,
            no_upgrade=no_upgrade,
            allow_unauthenticated=allow_unauthenticated,
            no_ui=no_ui,
            no_services=no_services,
            hide_welcome=hide_welcome,
            detach=detach,
        )
    )


@app.command("stop")
def stop() -> None:
    """Stop the servers that you have started with `prefect server start`, here or in other terminals."""
    stop_servers()


@app.command("config", cls=ServerCommand)
def config_command(
    port: Port = None,
    host: Host = None,
    expose: Expose = False,
    data_dir: DataDir = None,
    postgres_url: PostgresUrl = None,
    external_postgres: ExternalPostgres = False,
    no_upgrade: NoUpgrade = False,
    allow_unauthenticated: AllowUnauthenticated = False,
    no_ui: NoUi = False,
    no_services: NoServices = False,
    supervisor: SupervisorOption = Supervisor.SYSTEMD,
) -> None:
    """Print a file with which systemd or supervisord keeps the server running, and nothing else.

    The options are those of `prefect server start`.

    Example:  prefect server config --port 4200 > ~/.config/systemd/user/prefect-server.service
    """
    options = start_options(
        port=port,
        host=host,
        expose=expose,
        data_dir=data_dir,
        postgres_url=postgres_url,
        external_postgres=external_postgres,
        no_upgrade=no_upgrade,
        allow_unauthenticated=allow_unauthenticated,
        no_ui=no_ui,
        no_services=no_services,
    )
    show_config(options, supervisor)


@app.command("create-tenant")
def create_tenant_command(
    name: Annotated[str, typer.Option("--name", "-n", help="Name of the tenant.")],
    slug: Annotated[
        str | None, typer.Option("--slug", "-s", help="Its slug, unique on the server. [default: made of the name]")
    ] = None,
) -> None:
    """Create a tenant, an owner of projects, flows and runs that sees nothing of other tenants."""
    create_tenant(name, slug)
