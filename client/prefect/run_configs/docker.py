"""Runs in a Docker container."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from prefect.run_configs.base import RunConfig

__all__ = ["DockerRun"]


class DockerRun(RunConfig):
    """Runs `image` with the given ports; `host_config` goes to Docker as it is."""

    fields: ClassVar[tuple[str, ...]] = ("image", "host_config", "ports")

    def __init__(
        self,
        *,
        image: str | None = None,
        env: Mapping[str, Any] | None = None,
        labels: Iterable[str] | None = None,
        ports: Iterable[int] | None = None,
        host_config: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(env=env, labels=labels)
        self.image = image
        self.ports = [int(port) for port in ports] if ports is not None else None
        self.host_config = dict(host_config) if host_config is not None else None
