"""`prefect agent local`: run an agent that executes flow runs as processes of this machine, or have it kept running.

Options win over the configuration for the life of the process.  The agent itself says what it does, on its log, and
goes on while the API is away.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flowstead_cli.agent_options import (
    AgentAddress,
    AgentConfigId,
    AgentOptions,
    Api,
    Env,
    Key,
    Labels,
    LogLevel,
    MaxConcurrent,
    MaxPolls,
    Name,
    NoCloudLogs,
    ShowFlowLogs,
    TenantId,
    parse_environment,
    serve,
)
from flowstead_cli.commands.agent_docker import docker
from flowstead_cli.commands.agent_kubernetes import kubernetes
from flowstead_cli.errors import CliError
from flowstead_cli.output.lines import say
from flowstead_cli.supervisors import Supervisor, SupervisorOption
from flowstead_cli.wiring import group_app

if TYPE_CHECKING:
    from flowstead_agent.base import PlatformAgent

app = group_app("Run agents, which execute flow runs.")
local = group_app("Execute flow runs as processes of this machine.")
app.add_typer(local, name="local", help="Execute flow runs as processes of this machine.")
app.add_typer(docker, name="docker", help="Execute flow runs as containers of a Docker engine.")
app.add_typer(kubernetes, name="kubernetes", help="Execute flow runs as Jobs of a Kubernetes cluster.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalOptions(AgentOptions):
    """What `agent local start` was asked to do; None means the configured value, empty lists too."""

    import_paths: tuple[str, ...] = ()
    show_flow_logs: bool = False
    hostname_label: bool = True


def run(options: LocalOptions) -> int:
    """Run a local agent until it is told to stop.

    Raises:
        CliError: an option has a bad value.
    """

    def make(common: dict[str, Any]) -> "PlatformAgent":
        from prefect.agent.local import LocalAgent

        agent = LocalAgent(
            **common,
            import_paths=list(options.import_paths) or None,
            show_flow_logs=options.show_flow_logs,
            hostname_label=options.hostname_label,
        )
        agent.fork_off()
        return agent

    return serve(options, make)


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


ImportPaths = Annotated[
    list[str] | None,
    typer.Option("--import-path", "-p", metavar="DIR", help="Added to PYTHONPATH of flow runs; can be repeated."),
]


@local.command("start")
def start(
    key: Key = None,
    tenant_id: TenantId = None,
    api: Api = None,
    agent_config_id: AgentConfigId = None,
    name: Name = None,
    label: Labels = None,
    env: Env = None,
    max_polls: MaxPolls = None,
    agent_address: AgentAddress = None,
    no_cloud_logs: NoCloudLogs = False,
    log_level: LogLevel = None,
    import_path: ImportPaths = None,
    show_flow_logs: ShowFlowLogs = False,
    hostname_label: Annotated[
        bool, typer.Option("--hostname-label/--no-hostname-label", help="Add the name of this machine as a label.")
    ] = True,
    max_concurrent: MaxConcurrent = None,
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
