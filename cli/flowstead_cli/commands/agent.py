"""`prefect agent local`: run an agent that executes flow runs as processes of this machine, or have it kept running.

Options win over the configuration for the life of the process.  The agent itself says what it does, on its log, and
goes on while the API is away.
"""

import os
import sys
from dataclasses import dataclass
from typing import Annotated

import typer

from flowstead_cli.errors import CliError
from flowstead_cli.output.lines import say
from flowstead_cli.supervisors import Supervisor, SupervisorOption
from flowstead_cli.wiring import group_app

app = group_app("Run agents, which execute flow runs.")
local = group_app("Execute flow runs as processes of this machine.")
app.add_typer(local, name="local", help="Execute flow runs as processes of this machine.")

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """What `agent local start` was asked to do; None means the configured value, empty lists too."""

    key: str | None = None
    tenant_id: str | None = None
    api: str | None = None
    agent_config_id: str | None = None
    name: str | None = None
    labels: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    max_polls: int | None = None
    agent_address: str | None = None
    no_cloud_logs: bool = False
    log_level: str | None = None
    import_paths: tuple[str, ...] = ()
    show_flow_logs: bool = False
    hostname_label: bool = True
    max_concurrent: int | None = None


def parse_environment(pairs: tuple[str, ...]) -> dict[str, str]:
    """Return `KEY=VALUE` options as a mapping; the first `=` divides.

    Raises:
        CliError: an option has no `=` or no key.
    """
    values = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise CliError(f"--env takes KEY=VALUE, but got {pair!r}.", exit_code=2)
        values[key] = value
    return values


def normalised_level(level: str | None) -> str | None:
    """Return a log level in capitals.

    Raises:
        CliError: there is no such level.
    """
    if level is None:
        return None
    if level.upper() not in LEVELS:
        raise CliError(f"{level!r} is not a log level; choose one of {', '.join(LEVELS)}.", exit_code=2)
    return level.upper()


def apply_settings(options: LocalOptions) -> None:
    """Put the options that replace settings into the environment, before the configuration is read.

    The processes of flow runs get the same settings that way.
    """
    settings = {
        "PREFECT__CLOUD__API": options.api,
        "PREFECT__CLOUD__API_KEY": options.key,
        "PREFECT__CLOUD__TENANT_ID": options.tenant_id,
        "PREFECT__CLOUD__AGENT__LEVEL": normalised_level(options.log_level),
    }
    os.environ.update({name: value for name, value in settings.items() if value})
    configuration = sys.modules.get("prefect.configuration")
    if configuration is not None:
        configuration.reload()


def run(options: LocalOptions) -> int:
    """Run a local agent until it is told to stop.

    Raises:
        CliError: an option has a bad value.
    """
    env_vars = parse_environment(options.env)
    apply_settings(options)
    from flowstead_agent.errors import AgentError
    from prefect.agent.local import LocalAgent

    try:
        agent = LocalAgent(
            agent_config_id=options.agent_config_id,
            name=options.name,
            labels=sorted(set(options.labels)) or None,
            env_vars=env_vars or None,
            max_polls=options.max_polls,
            agent_address=options.agent_address,
            no_cloud_logs=options.no_cloud_logs or None,
            import_paths=list(options.import_paths) or None,
            show_flow_logs=options.show_flow_logs,
            hostname_label=options.hostname_label,
            max_concurrent=options.max_concurrent,
        )
        agent.start()
    except AgentError as error:
        raise CliError(str(error)) from None
    return 0


@dataclass(frozen=True, slots=True)
class InstallOptions:
    """The agent to keep running, and the program that is to do so."""

    key: str | None = None
    tenant_id: str | None = None
    api: str | None = None
    agent_config_id: str | None = None
    name: str | None = None
    labels: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    import_paths: tuple[str, ...] = ()
    show_flow_logs: bool = False
    supervisor: Supervisor = Supervisor.SUPERVISORD


def install(options: InstallOptions) -> None:
    """Print the file with which a supervisor keeps such an agent running.

    Raises:
        CliError: an option has a bad value, or one that the file cannot hold.
    """
    from flowstead_agent.local import local_agent_program
    from flowstead_agent.supervision import supervisord_configuration, systemd_unit

    parse_environment(options.env)
    arguments = ["-f"] if options.show_flow_logs else []
    arguments += ["--name", options.name] if options.name else []
    arguments += [word for label in options.labels for word in ("-l", label)]
    arguments += [word for pair in options.env for word in ("-e", pair)]
    arguments += [word for path in options.import_paths for word in ("-p", path)]
    arguments += ["--agent-config-id", options.agent_config_id] if options.agent_config_id else []
    try:
        program = local_agent_program(arguments, key=options.key, tenant_id=options.tenant_id, api=options.api)
        render = systemd_unit if options.supervisor is Supervisor.SYSTEMD else supervisord_configuration
        say(render(program), end="")
    except ValueError as error:
        raise CliError(str(error)) from None


Key = Annotated[str | None, typer.Option("--key", "-k", help="API key. [default: configured]")]
TenantId = Annotated[str | None, typer.Option(help="Tenant to work for. [default: the key's or server's]")]
Api = Annotated[str | None, typer.Option("--api", "-a", help="URL of the API. [default: configured]")]
AgentConfigId = Annotated[str | None, typer.Option(help="Agent configuration to link to.")]
Name = Annotated[str | None, typer.Option("--name", "-n", help="Name of the agent. [default: agent]")]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", "-l", metavar="TEXT", help="Take runs with this label; can be repeated."),
]
Env = Annotated[
    list[str] | None,
    typer.Option("--env", "-e", metavar="KEY=VALUE", help="Environment of every flow run; can be repeated."),
]
ImportPaths = Annotated[
    list[str] | None,
    typer.Option("--import-path", "-p", metavar="DIR", help="Added to PYTHONPATH of flow runs; can be repeated."),
]
ShowFlowLogs = Annotated[bool, typer.Option("--show-flow-logs", "-f", help="Print the output of flow runs here too.")]


@local.command("start")
def start(
    key: Key = None,
    tenant_id: TenantId = None,
    api: Api = None,
    agent_config_id: AgentConfigId = None,
    name: Name = None,
    label: Labels = None,
    env: Env = None,
    max_polls: Annotated[int | None, typer.Option(min=1, help="Stop after asking for work this often.")] = None,
    agent_address: Annotated[
        str | None, typer.Option(help="Serve the agent's health here, such as http://:8080.")
    ] = None,
    no_cloud_logs: Annotated[
        bool, typer.Option("--no-cloud-logs", help="Do not send the logs of flow runs to the API.")
    ] = False,
    log_level: Annotated[str | None, typer.Option(help=f"Level of the agent's own log: {', '.join(LEVELS)}.")] = None,
    import_path: ImportPaths = None,
    show_flow_logs: ShowFlowLogs = False,
    hostname_label: Annotated[
        bool, typer.Option("--hostname-label/--no-hostname-label", help="Add the name of this machine as a label.")
    ] = True,
    max_concurrent: Annotated[
        int | None, typer.Option(min=1, help="Run at most so many flow runs at a time. [default: as many as come]")
    ] = None,
) -> int:
    """Start an agent that runs flow runs as processes of this machine, until Ctrl-C.

    It takes the runs whose labels are all among its own; runs without labels go to agents without labels.  What it has
    started goes on when it ends.

    Examples:

      prefect agent local start

      prefect agent local start --label production --max-concurrent 4
    """
    return run(
        LocalOptions(
            key=key,
            tenant_id=tenant_id,
            api=api,
            agent_config_id=agent_config_id,
            name=name,
            labels=tuple(label or ()),
            env=tuple(env or ()),
            max_polls=max_polls,
            agent_address=agent_address,
            no_cloud_logs=no_cloud_logs,
            log_level=log_level,
            import_paths=tuple(import_path or ()),
            show_flow_logs=show_flow_logs,
            hostname_label=hostname_label,
            max_concurrent=max_concurrent,
        )
    )


@local.command("install")
def install_command(
    key: Annotated[str | None, typer.Option("--key", "-k", help="API key of the agent.")] = None,
    tenant_id: TenantId = None,
    api: Api = None,
    agent_config_id: AgentConfigId = None,
    name: Name = None,
    label: Labels = None,
    env: Env = None,
    import_path: ImportPaths = None,
    show_flow_logs: ShowFlowLogs = False,
    supervisor: SupervisorOption = Supervisor.SUPERVISORD,
) -> None:
    """Print a file with which supervisord or systemd keeps an agent running, and nothing else.

    A key, the tenant and an API that is not the default become environment of the agent, not arguments, which other
    users of the machine could read.

    Examples:

      prefect agent local install -l production > supervisord.conf

      prefect agent local install --for systemd > prefect-agent.service
    """
    install(
        InstallOptions(
            key=key,
            tenant_id=tenant_id,
            api=api,
            agent_config_id=agent_config_id,
            name=name,
            labels=tuple(label or ()),
            env=tuple(env or ()),
            import_paths=tuple(import_path or ()),
            show_flow_logs=show_flow_logs,
            supervisor=supervisor,
        )
    )
