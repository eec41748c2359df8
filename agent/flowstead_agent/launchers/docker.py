"""Flow runs as containers of a Docker engine.

Each run is a container with its own environment, removed when it ends.  An image that cannot be pulled, a registry
that is not allowed and whatever else the engine refuses raise `LaunchError`.  How a container ends is heard from the
engine's events; while the engine is away that is made up for when it is back, and after some minutes without it the
agent ends with `AgentError`.
"""

import asyncio
import contextlib
import logging
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from flowstead_agent.environment import ApiAccess, container_environment
from flowstead_agent.errors import AgentError, LaunchError
from flowstead_agent.launchers.docker_engine import ContainerFollower, engine_errors
from flowstead_agent.launchers.docker_volumes import Volume
from flowstead_agent.launchers.images import checked_run_config, image_of
from flowstead_agent.launchers.protocol import ClaimedRun, Ended, Launched

__all__ = ["DockerContainer", "DockerLauncher", "DockerLauncherSettings"]

COMMAND = ("prefect", "execute", "flow-run")
_NAME_LENGTH = 250
_NAME_ATTEMPTS = 100
_CONFLICT = 409
_HOST_GATEWAY_SINCE = (20, 10)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SERVER_NETWORK = "prefect-server"


@dataclass(frozen=True, slots=True)
class DockerLauncherSettings:
    """What every run of a Docker agent has in common."""

    access: ApiAccess
    labels: Sequence[str]
    agent_env: Mapping[str, Any]
    send_logs: bool
    logging_level: str
    default_image: str | None = None
    no_pull: bool = False
    volumes: Sequence[Volume] = ()
    networks: Sequence[str] = ()
    show_flow_logs: bool = False
    reg_allow_list: Sequence[str] | None = None
    """registries that images may be pulled from; None for all"""


class DockerContainer:
    """A launched run: a container."""

    def __init__(
        self, client: Any, container_id: str, ended: "asyncio.Future[Ended]", follower: ContainerFollower
    ) -> None:
        self.container_id = container_id
        self._client = client
        self._ended = ended
        self._follower = follower

    @property
    def description(self) -> str:
        """Return `Container ID: …`."""
        return f"Container ID: {self.container_id}"

    @property
    def ended(self) -> "asyncio.Future[Ended]":
        """Return how the container ended, when it has."""
        return asyncio.shield(self._ended)

    async def terminate(self, grace_seconds: float) -> str:
        """End the container by SIGTERM, and by SIGKILL after `grace_seconds`."""
        what = f"container {self.container_id[:12]}"
        if self._ended.done():
            return f"nothing: {what} had ended by itself"
        stop = self._client.api.stop
        with engine_errors(ignore_missing=True):
            await asyncio.to_thread(stop, self.container_id, timeout=round(grace_seconds))
        code = await self._follower.code_of(self.container_id)
        how = "by SIGKILL" if code == 128 + 9 else "by SIGTERM"
        return f"{what} {how}"


class DockerLauncher:
    """Starts runs as containers; see the module.  Belongs to one event loop."""

    supported_run_config = "DockerRun"

    def __init__(self, settings: DockerLauncherSettings, client: Any, logger: logging.Logger) -> None:
        self._settings = settings
        self._client = client
        self._logger = logger
        self._follower = ContainerFollower(client, logger, show_output=settings.show_flow_logs)
        self._extra_hosts: dict[str, str] = {}

    async def start(self) -> None:
        """See that the engine is there.  Raises `AgentError`."""
        import docker.errors  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra without types

        try:
            version = await asyncio.to_thread(self._client.version)
        except (docker.errors.DockerException, OSError) as error:
            raise AgentError(f"Issue connecting to the Docker daemon. Make sure it is running. ({error})") from error
        if _number(str(version.get("Version", ""))) >= _HOST_GATEWAY_SINCE:
            self._extra_hosts = {"host.docker.internal": "host-gateway"}
        else:
            self._logger.warning(
                "This Docker engine is older than 20.10.0: containers cannot reach this machine as "
                "`host.docker.internal`."
            )
        self._follower.start()

    async def launch(self, claimed: ClaimedRun) -> Launched:
        """Start a run.  Raises `LaunchError`."""
        run_config = checked_run_config(claimed, self.supported_run_config)
        image = image_of(claimed, run_config, self._settings.default_image)
        container_id = await asyncio.to_thread(self._deploy, claimed, run_config, image)
        self._logger.debug("Submitted flow run %s to container %s", claimed.flow_run_id, container_id)
        return DockerContainer(self._client, container_id, self._follower.ended(container_id), self._follower)

    async def watch(self) -> None:
        """Look after the engine.  Raises `AgentError` if it stays away."""
        await self._follower.gone_for_good()

    async def close(self) -> None:
        """Stop following; containers go on."""
        await self._follower.close()
        await asyncio.to_thread(self._client.close)

    # -- in a thread -------------------------------------------------------------------------------------------------

    def _deploy(self, claimed: ClaimedRun, run_config: Mapping[str, Any], image: str) -> str:
        with engine_errors():
            self._pull(image)
            self._make_volumes()
            container_id = self._create(claimed, run_config, image)
            try:
                for network in self._settings.networks[1:]:
                    self._client.api.connect_container_to_network(container_id, network)
                # Before the start: a container may end, and be removed, before anybody could ask for it.
                self._follower.expect(container_id)
                self._client.api.start(container_id)
            except BaseException:
                self._follower.forget(container_id)
                with contextlib.suppress(Exception):
                    self._client.api.remove_container(container_id, force=True)
                raise
            return container_id

    def _pull(self, image: str) -> None:
        settings = self._settings
        registry, slash, _ = image.partition("/")
        if settings.no_pull or not slash:
            return
        if settings.reg_allow_list is not None and registry not in settings.reg_allow_list:
            raise LaunchError(
                f"Trying to pull image from a Docker registry '{registry}' which is not in the reg_allow_list"
            )
        self._logger.info("Pulling image %s...", image)
        problem = None
        # read to its end, so that the connection can be used again
        for line in self._client.api.pull(image, stream=True, decode=True):
            problem = problem or line.get("error")
            self._logger.debug("%s", line)
        if problem:
            raise LaunchError(f"The image {image} cannot be pulled: {problem}")
        self._logger.info("Successfully pulled image %s", image)

    def _make_volumes(self) -> None:
        named = [volume.outer for volume in self._settings.volumes if volume.is_named]
        if not named:
            return
        existing = {volume["Name"] for volume in self._client.api.volumes().get("Volumes") or []}
        for name in named:
            if name not in existing:
                self._logger.debug("Creating named volume %s", name)
                self._client.api.create_volume(name=name, driver="local", labels={"prefect_created": "true"})

    def _create(self, claimed: ClaimedRun, run_config: Mapping[str, Any], image: str) -> str:
        import docker.errors  # noqa: PLC0415 - as above

        api, settings = self._client.api, self._settings
        networks = settings.networks
        host: dict[str, Any] = {"auto_remove": True}
        if self._extra_hosts:
            host["extra_hosts"] = self._extra_hosts
        if settings.volumes:
            host["binds"] = [volume.bind for volume in settings.volumes]
        ports = list(run_config.get("ports") or [])
        if networks and networks[0] in {"host", "none"}:
            host["network_mode"] = networks[0]
        host |= run_config.get("host_config") or {}
        arguments: dict[str, Any] = {
            "command": list(COMMAND),
            "environment": self._environment(claimed, run_config, image),
            "labels": {
                "io.prefect.flow-name": claimed.flow_name,
                "io.prefect.flow-id": claimed.flow_id,
                "io.prefect.flow-run-id": claimed.flow_run_id,
            },
            "host_config": api.create_host_config(**host),
        }
        if settings.volumes:
            arguments["volumes"] = [volume.inner for volume in settings.volumes]
        if ports:
            arguments["ports"] = ports
        if networks:
            arguments["networking_config"] = api.create_networking_config({networks[0]: api.create_endpoint_config()})
        for name in _names(claimed):
            try:
                return str(api.create_container(image, name=name, **arguments)["Id"])
            except docker.errors.APIError as error:
                if error.status_code != _CONFLICT:
                    raise
        raise LaunchError(f"All names for the container of flow run {claimed.flow_run_id} are taken.")

    def _environment(self, claimed: ClaimedRun, run_config: Mapping[str, Any], image: str) -> dict[str, str]:
        settings = self._settings
        access = settings.access
        return container_environment(
            logging_level=settings.logging_level,
            agent_env=settings.agent_env,
            run_env=run_config.get("env") or {},
            send_logs=settings.send_logs,
            access=ApiAccess(
                container_url(access.url, settings.networks), access.backend, access.api_key, access.tenant_id
            ),
            agent_labels=settings.labels,
            flow_run_id=claimed.flow_run_id,
            flow_id=claimed.flow_id,
            claim_token=claimed.claim_token,
            image=image,
            api_url_is_early=True,
        )


def container_url(url: str, networks: Sequence[str]) -> str:
    """Return the address of the API as a container sees it: what is local to this machine is not local to it."""
    parts = urlsplit(url)
    if parts.hostname not in _LOOPBACK:
        return url
    host = "apollo" if _SERVER_NETWORK in networks else "host.docker.internal"
    return urlunsplit(parts._replace(netloc=host if parts.port is None else f"{host}:{parts.port}"))


def _names(claimed: ClaimedRun) -> Iterator[str]:
    """Yield names for the container until one is free."""
    cleaned = re.sub(r"[^a-zA-Z0-9_.-]", "-", claimed.name or "").lstrip("_-.")[:_NAME_LENGTH]
    name = cleaned if len(cleaned) > 1 else claimed.flow_run_id
    yield name
    for number in range(1, _NAME_ATTEMPTS):
        yield f"{name}-{number}"


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2]) or (sys.maxsize,)
