"""Where and how the runs of a flow are executed: settings that agents read."""

from typing import TYPE_CHECKING

from prefect.utilities.importtools import lazy_attributes

if TYPE_CHECKING:
    from prefect.run_configs.base import RunConfig, UniversalRun
    from prefect.run_configs.docker import DockerRun
    from prefect.run_configs.ecs import ECSRun
    from prefect.run_configs.kubernetes import KubernetesRun
    from prefect.run_configs.local import LocalRun
    from prefect.run_configs.vertex import VertexRun

__all__ = ["DockerRun", "ECSRun", "KubernetesRun", "LocalRun", "RunConfig", "UniversalRun", "VertexRun"]

__getattr__, __dir__ = lazy_attributes(
    "prefect.run_configs",
    {
        "DockerRun": "prefect.run_configs.docker",
        "ECSRun": "prefect.run_configs.ecs",
        "KubernetesRun": "prefect.run_configs.kubernetes",
        "LocalRun": "prefect.run_configs.local",
        "RunConfig": "prefect.run_configs.base",
        "UniversalRun": "prefect.run_configs.base",
        "VertexRun": "prefect.run_configs.vertex",
    },
    ("base", "docker", "ecs", "kubernetes", "local", "vertex"),
)
