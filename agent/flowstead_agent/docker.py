"""`DockerAgent`: an agent that runs flow runs as containers of a Docker engine."""

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from flowstead_agent.base import PlatformAgent
from flowstead_agent.errors import AgentError
from flowstead_agent.launchers.docker import DockerLauncher, DockerLauncherSettings
from flowstead_agent.launchers.docker_volumes import parsed_volumes
from flowstead_agent.launchers.protocol import Launcher
from prefect.configuration import config
from prefect.utilities.context import context

__all__ = ["DockerAgent"]

_SOCKET = "npipe:////./pipe/docker_engine" if sys.platform == "win32" else "unix://var/run/docker.sock"


class DockerAgent(PlatformAgent):
    """Claims flow runs that carry no label which this agent lacks, and runs each as a container.

    - base_url: address of the Docker engine; by default its socket on this machine
    - no_pull: start from images that are there, and pull none
    - show_flow_logs: print the output of flow runs to standard output
    - volumes: `path`, `outer:inner` or `outer:inner:mode` each
    - networks: names of networks that exist
    - reg_allow_list: registries that images may be pulled from; None for all
    - docker_client_timeout: seconds that one request to the engine may take

    The other arguments are those of `PlatformAgent`.  Raises `ImportError` without the extra `docker`.
    """

    def __init__(
        self,
        agent_config_id: str | None = None,
        name: str | None = None,
        labels: Iterable[str] | None = None,
        env_vars: Mapping[str, Any] | None = None,
        max_polls: int | None = None,
        agent_address: str | None = None,
        no_cloud_logs: bool | None = None,
        base_url: str | None = None,
        no_pull: bool | None = None,
        show_flow_logs: bool = False,
        volumes: Iterable[str] | None = None,
        networks: Iterable[str] | None = None,
        reg_allow_list: Iterable[str] | None = None,
        docker_client_timeout: int | None = None,
        max_concurrent: int | None = None,
        grace_seconds: float | None = None,
    ) -> None:
        try:
            import docker.errors  # type: ignore[import-untyped]  # noqa: F401, PLC0415 - an extra without types
        except ImportError as error:
            raise ImportError(
                "The Docker agent needs Docker's library. Install it with `pip install 'flowstead[docker]'`."
            ) from error
        self.base_url = base_url or context.get("base_url") or _SOCKET
        self.no_pull = bool(context.get("no_pull") if no_pull is None else no_pull)
        self.show_flow_logs = show_flow_logs
        self.volumes = parsed_volumes(volumes or ())
        self.networks = list(networks or ())
        self.reg_allow_list = None if reg_allow_list is None else list(reg_allow_list)
        self.docker_client_timeout = docker_client_timeout or 60
        super().__init__(
            agent_config_id=agent_config_id,
            name=name,
            labels=labels,
            env_vars=env_vars,
            max_polls=max_polls,
            agent_address=agent_address,
            no_cloud_logs=no_cloud_logs,
            max_concurrent=max_concurrent,
            grace_seconds=grace_seconds,
        )
        self.logger.debug("Docker engine: %s", self.base_url)
        self.logger.debug("Volumes: %s, networks: %s", [one.bind for one in self.volumes], self.networks)

    def _launcher(self) -> Launcher:
        import docker  # noqa: PLC0415 - an extra

        settings = DockerLauncherSettings(
            access=self.access,
            labels=self.labels,
            agent_env=self.env_vars,
            send_logs=self.log_to_cloud,
            logging_level=str(config.logging.level),
            default_image=config.cloud.agent.get("default_image") or None,
            no_pull=self.no_pull,
            volumes=self.volumes,
            networks=self.networks,
            show_flow_logs=self.show_flow_logs,
            reg_allow_list=self.reg_allow_list,
        )
        try:
            client = docker.DockerClient(base_url=self.base_url, version="auto", timeout=self.docker_client_timeout)
        except (docker.errors.DockerException, OSError) as error:
            raise AgentError(
                f"Issue connecting to the Docker daemon at {self.base_url}. Make sure it is running. ({error})"
            ) from error
        return DockerLauncher(settings, client, self.logger)
