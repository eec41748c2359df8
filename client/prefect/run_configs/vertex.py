"""Runs as a Vertex AI job."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from prefect.run_configs.base import RunConfig

__all__ = ["VertexRun"]


class VertexRun(RunConfig):
    """Runs `image` on a machine of `machine_type`."""

    fields: ClassVar[tuple[str, ...]] = (
        "image",
        "machine_type",
        "scheduling",
        "service_account",
        "network",
        "worker_pool_specs",
    )

    def __init__(
        self,
        *,
        env: Mapping[str, Any] | None = None,
        labels: Iterable[str] | None = None,
        image: str | None = None,
        machine_type: str = "e2-standard-4",
        scheduling: Mapping[str, Any] | None = None,
        service_account: str | None = None,
        network: str | None = None,
        worker_pool_specs: Iterable[Any] | None = None,
    ) -> None:
        super().__init__(env=env, labels=labels)
        self.image = image
        self.machine_type = machine_type
        self.scheduling = dict(scheduling) if scheduling is not None else None
        self.service_account = service_account
        self.network = network
        self.worker_pool_specs = list(worker_pool_specs) if worker_pool_specs is not None else None
