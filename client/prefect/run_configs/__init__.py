"""Where and how the runs of a flow are executed: settings that agents read."""

from prefect.utilities.importtools import lazy_attributes

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
