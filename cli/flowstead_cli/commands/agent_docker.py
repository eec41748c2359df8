"""`prefect agent docker start`: run an agent that executes flow runs as containers of a Docker engine."""

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
    serve,
)
from flowstead_cli.wiring import group_app

if TYPE_CHECKING:
    from flowstead_agent.base import PlatformAgent

docker = group_app("Execute flow runs as containers of a Docker engine.")


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerOptions(AgentOptions):
    """What `agent docker start` was asked to do; None means the configured value, empty lists too."""

    base_url: str | None = None
    no_pull: bool = False
    show_flow_logs: bool = False
    volumes: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    docker_client_timeout: int | None = None


def run(options: DockerOptions) -> int:
    """Run a Docker agent until it is told to stop.

    Raises:
        CliError: an option has a bad value, the extra is not installed, or the engine cannot be reached.
    """

    def make(common: dict[str, Any]) -> "PlatformAgent":
        from prefect.agent.docker import DockerAgent

        return DockerAgent(
            **common,
            base_url=options.base_url,
            no_pull=options.no_pull or None,
            show_flow_logs=options.show_flow_logs,
            volumes=options.volumes,
            networks=options.networks,
            docker_client_timeout=options.docker_client_timeout,
        )

    return serve(options, make)


@docker.command("start")
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
    base_url: Annotated[
        str | None, typer.Option("--base-url", "-b", help="Address of the Docker engine. [default: its local socket]")
    ] = None,
    no_pull: Annotated[bool, typer.Option("--no-pull", help="Use images that are there, and pull none.")] = False,
    show_flow_logs: ShowFlowLogs = False,
    volume: Annotated[
        list[str] | None,
        typer.Option("--volume", metavar="OUTER:INNER[:MODE]", help="Mount this in every run; can be repeated."),
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option("--network", metavar="NAME", help="Connect every run to this network; can be repeated."),
    ] = None,
    docker_client_timeout: Annotated[
        int | None, typer.Option(min=1, help="Seconds that a request to the engine may take. [default: 60]")
    ] = None,
    max_concurrent: MaxConcurrent = None,
) -> int:
    """Start an agent that runs flow runs as Docker containers, until Ctrl-C.

    A run's image is that of its `Docker` storage or of its `DockerRun`, else the setting `cloud.agent.default_image`.
    The containers go on when the agent ends.

    Examples:

      prefect agent docker start --label docker

      prefect agent docker start --volume /data --network backend
    """
    return run(
        DockerOptions(
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
            base_url=base_url,
            no_pull=no_pull,
            show_flow_logs=show_flow_logs,
            volumes=tuple(volume or ()),
            networks=tuple(network or ()),
            docker_client_timeout=docker_client_timeout,
            max_concurrent=max_concurrent,
        )
    )
